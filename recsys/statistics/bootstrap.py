"""Paired bootstrap over users: how sure a difference of means is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
DRAWS_AT_ONCE = 1_000_000  # users drawn before their means are taken: bounds the memory; changes no result


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def resampled_means(values: FloatArray, *, num_resamples: int, seed: int) -> FloatArray:
    """Means of each column over users drawn with replacement.

    The draws depend on the number of users, `num_resamples` and `seed` only. So the same users are drawn whatever their
    values: a system that is better for every user is better in every resample.

    Args:
        values: `(num_users, num_columns)`; a user's columns are drawn together, which is what pairs them.
        num_resamples: how often to draw.
        seed: of the draws.

    Returns:
        `(num_resamples, num_columns)`.
    """
    rng = np.random.default_rng(seed)
    num_users, num_columns = values.shape
    block = max(1, DRAWS_AT_ONCE // num_users)
    means = np.empty((num_resamples, num_columns))
    for start in range(0, num_resamples, block):
        drawn = rng.integers(0, num_users, size=(min(block, num_resamples - start), num_users))  # (block, num_users)
        for column in range(num_columns):
            means[start : start + len(drawn), column] = values[:, column][drawn].mean(axis=1)
    return means


@dataclass(frozen=True)
class PairedChange:
    """How two means differ, in the data and in every resample.

    Attributes:
        observed: `mean(first) - mean(second)`, or `mean(first) / mean(second) - 1`.
        draws: `(num_resamples,)`, the same of each resample.
    """

    observed: float
    draws: FloatArray

    def interval(self, confidence: float) -> Interval:
        """Percentile interval.

        References:
            Efron, Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile intervals). The ends are drawn
            values, not interpolated between two: next to infinity there is nothing to interpolate.
        """
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(self.draws, [tail, 1.0 - tail], method="nearest")
        return Interval(self.observed, float(low), float(high))

    def p_value_below(self, bound: float) -> float:
        """One-sided, of "the change is at least `bound`": small if it is significantly below.

        References:
            Davison, Hinkley, Bootstrap Methods and their Application, 1997, section 4.2 (plus one above and below: never 0).
        """
        return float((1 + int((self.draws >= bound).sum())) / (1 + len(self.draws)))


def paired_change(
    first: FloatArray, second: FloatArray, *, seed: int, relative: bool = False, num_resamples: int = 2_000
) -> PairedChange:
    """`mean(first) - mean(second)`, or `mean(first) / mean(second) - 1`, with resamples over users.

    Args:
        first: `(num_users,)`, one value per user.
        second: `(num_users,)`, of the same users in the same order.
        seed: of the resampling.
        relative: True for the ratio - 1, of values that are not negative. Where the second mean is 0: 0 if the first is
            too, else infinity.
        num_resamples: bootstrap draws.

    Raises:
        ValueError: if the arrays differ in length or are empty, a value is not finite (or negative, for a ratio), or
            `num_resamples` is out of range.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"Expected values of the same users, at least one, got {len(first)} and {len(second)}.")
    values = np.column_stack([first, second]).astype(np.float64)
    _validate(values, num_resamples)
    if relative and (values < 0).any():
        raise ValueError(f"Expected values >= 0 to compare as a ratio, got {values.min()}: use relative=False.")
    means = resampled_means(values, num_resamples=num_resamples, seed=seed)
    observed = _compared(values.mean(axis=0, keepdims=True), relative)
    return PairedChange(float(observed[0]), _compared(means, relative))


def paired_difference(
    first: FloatArray,
    second: FloatArray,
    *,
    seed: int,
    relative: bool = False,
    num_resamples: int = 2_000,
    confidence: float = 0.95,
) -> Interval:
    """The interval of `paired_change`.

    Raises:
        ValueError: as `paired_change`, or if `confidence` is not in (0, 1).
    """
    _validate_confidence(confidence)
    return paired_change(first, second, seed=seed, relative=relative, num_resamples=num_resamples).interval(confidence)


def _validate(values: FloatArray, num_resamples: int) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite values, got {int((~np.isfinite(values)).sum())} that are not: leave out the users that have "
            "no such metric."
        )
    if num_resamples < 1:
        raise ValueError(f"Expected num_resamples >= 1, got {num_resamples}.")


def _validate_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"Expected confidence in (0, 1), got {confidence}.")


def _compared(means: FloatArray, relative: bool) -> FloatArray:
    first, second = means[:, 0], means[:, 1]
    if not relative:
        return np.asarray(first - second)
    with np.errstate(over="ignore"):  # a ratio too large for a float is infinite, as it is to nothing
        ratio = np.divide(first, second, out=np.where(first > 0, np.inf, 1.0), where=second > 0)
    return np.asarray(ratio - 1.0)


def mean_interval(values: FloatArray, *, seed: int, num_resamples: int = 1_000, confidence: float = 0.95) -> Interval:
    """The mean of one value per user with its percentile interval; NaN for no users."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    _validate_confidence(confidence)
    _validate(values, num_resamples)
    means = resampled_means(values[:, None].astype(np.float64), num_resamples=num_resamples, seed=seed)[:, 0]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(values.mean()), float(low), float(high))
