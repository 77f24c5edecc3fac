"""Drift: how far the newest days are from what the champion learned from, and whether that is above what the reference allows.

With thousands of rows every difference is significant, and on a stream of new releases every week differs from all before it.
So neither a p-value nor a fixed limit says much. Instead, the newest days are compared with everything before the champion's
cut-off, and so is each of several windows of the same length before that cut-off, with what came before *it*: these are the
reference distances. A quantity has drifted where its distance is above the prediction interval of the reference,
and by more than a least effect.

Distances are in [0, 1], symmetric, and 0 for equal distributions: Jensen-Shannon for shares, Kolmogorov-Smirnov for numbers.
Small samples are further from anything, by chance alone: earlier windows are thinned to as many users and events as the
newest days have.

Written on SciPy, not Evidently: that needs Plotly < 6, where this project has a later one, and would bring some twenty
packages (web server, NLTK, Faker among them) for the same two distances; it does not ask how much a stream varies by itself.

References:
    Lin, *Divergence Measures Based on the Shannon Entropy*, IEEE Transactions on Information Theory 37 (1991).
    Hahn and Meeker, *Statistical Intervals*, Wiley (1991), 4.7: the prediction interval of one future observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.errors import InputError

TITLES = {
    "items": "which items",
    "genres": "which genres",
    "signals": "kinds of signals",
    "events_per_user": "events per user",
    "reasons": "reasons of dislikes",
    "scores": "scores of active users",
}
MAX_SHIFTS = 3  # that a message names
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DriftConfig:
    """What counts as drift.

    Attributes:
        days: the newest so many days are looked at, as far as the champion does not know them, > 0.
        max_windows: earlier windows in the reference, at most.
        min_windows: and at least, >= 2.
        min_users: so many users must have done something in a window.
        min_events: and so many events must be there; of dislikes with a reason, a tenth of it.
        min_effect: a distance must be this much above the mean of the reference, as a share of what is left to 1; in (0, 1).
        significance: chance of a false alert per night, over all quantities; in (0, 1).
        max_scored_users: whose lists are scored per window.
        seed: of the samples.
    """

    days: float = 7.0
    max_windows: int = 12
    min_windows: int = 6
    min_users: int = 30
    min_events: int = 200
    min_effect: float = 0.1
    significance: float = 0.01
    max_scored_users: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        _require(0 < self.days < float("inf"), "days above 0", self.days)
        _require(self.min_windows >= 2, "min_windows of at least 2", self.min_windows)
        _require(self.max_windows >= self.min_windows, "max_windows of at least min_windows", self.max_windows)
        _require(0 < self.min_effect < 1, "min_effect above 0 and below 1", self.min_effect)
        _require(0 < self.significance < 1, "significance above 0 and below 1", self.significance)
        _require(min(self.min_users, self.min_events) >= 1, "min_users and min_events of at least 1", self.min_users)


def _require(condition: bool, expected: str, came: object) -> None:
    if not condition:
        raise InputError(f"Expected {expected}, got {came}.")


class DriftVerdict(StrEnum):
    """What can be said of a quantity."""

    DRIFT = "drift"
    STABLE = "stable"
    NOT_ENOUGH = "not_enough"


@dataclass(frozen=True)
class Shift:
    """What changed: a category's share, or a quantile's value, before and now."""

    name: str
    before: float
    now: float


@dataclass(frozen=True)
class Drift:
    """One quantity's drift.

    Attributes:
        name: one of `TITLES`.
        verdict: whether it has drifted, or cannot be said.
        reason: in plain words, with the numbers.
        distance: of the newest days from what the champion knows, in [0, 1]; None where it is unknown.
        reference_distances: reference distances, those of earlier windows, oldest first.
        limit: above it is drift; None with too few earlier windows.
        shifts: the largest changes behind it.
    """

    name: str
    verdict: DriftVerdict
    reason: str
    distance: float | None = None
    reference_distances: tuple[float, ...] = ()
    limit: float | None = None
    shifts: tuple[Shift, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "verdict": str(self.verdict), "reference_distances": list(self.reference_distances)}


def share_distance(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Jensen-Shannon distance, base 2, of two counts per category.

    Args:
        one: `(num_categories,)`, >= 0, not all 0.
        other: the same categories.

    Returns:
        In [0, 1]: 0 for equal shares, 1 where no category has both.
    """
    from scipy.spatial.distance import jensenshannon

    shares = [np.asarray(counts, float) / np.sum(counts) for counts in (one, other)]
    distance = float(jensenshannon(*shares, base=2.0))
    return 0.0 if np.isnan(distance) else min(distance, 1.0)  # equal ones can give the root of -1e-17


def number_distance(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Kolmogorov-Smirnov distance of two samples: the largest difference of their cumulative shares, in [0, 1].

    Args:
        one: `(n,)`, n >= 1.
        other: `(m,)`, m >= 1.
    """
    values = [np.sort(np.asarray(sample, float)) for sample in (one, other)]
    places = np.concatenate(values)
    # Not scipy.stats.ks_2samp: most of its time goes into a p-value that nobody asks for.
    shares = [np.searchsorted(sample, places, side="right") / len(sample) for sample in values]
    return float(np.abs(shares[0] - shares[1]).max())


def reference_limit(reference_distances: Sequence[float], config: DriftConfig) -> float:
    """Above which distance a quantity has drifted.

    The upper end of a one-sided prediction interval for the next distance, given the reference, corrected for the number
    of quantities; but at least `min_effect` of the way from their mean to 1.
    """
    from scipy.stats import t

    values, confidence = np.asarray(reference_distances, float), 1.0 - config.significance / len(TITLES)
    spread = float(values.std(ddof=1)) * float(np.sqrt(1.0 + 1.0 / len(values)))
    mean = float(values.mean())
    by_chance = mean + float(t.ppf(confidence, len(values) - 1)) * spread
    return max(by_chance, mean + config.min_effect * (1.0 - mean))


def decide_drift(
    name: str, distance: float, reference_distances: Sequence[float], config: DriftConfig, shifts: Sequence[Shift] = ()
) -> Drift:
    """Whether a distance is above what the reference allows.

    Args:
        name: one of `TITLES`.
        distance: of the newest days, in [0, 1].
        reference_distances: the reference, those of earlier windows, oldest first.
        config: what counts as drift.
        shifts: what changed most, largest first.
    """
    found = f"{TITLES[name]}: distance {distance:.3f} from what the champion learned from"
    drift = Drift(
        name, DriftVerdict.NOT_ENOUGH, "", distance, tuple(reference_distances), shifts=tuple(shifts[:MAX_SHIFTS])
    )
    if len(reference_distances) < config.min_windows:
        return replace(drift, reason=f"{found}. {_unknown_reference(len(reference_distances), config)}")
    limit = reference_limit(reference_distances, config)
    found += f", reference {min(reference_distances):.3f} to {max(reference_distances):.3f}"
    if limit >= 1.0:
        return replace(drift, limit=1.0, reason=f"{found}. The reference varies too much to detect drift.")
    found += f", threshold {limit:.3f}."
    if distance <= limit:
        return replace(drift, limit=limit, verdict=DriftVerdict.STABLE, reason=found)
    changes = "; ".join(f"{one.name} {one.before:.3g} -> {one.now:.3g}" for one in drift.shifts)
    return replace(drift, limit=limit, verdict=DriftVerdict.DRIFT, reason=f"{found} {changes}".rstrip())


def _unknown_reference(count: int, config: DriftConfig) -> str:
    known = f"{count} earlier windows of this length can be compared, {config.min_windows} are needed"
    return f"No reference: {known}."


def unknown_usual(name: str, config: DriftConfig) -> Drift:
    """A quantity of which nothing is known from before the newest days."""
    return Drift(name, DriftVerdict.NOT_ENOUGH, f"{TITLES[name]}: {_unknown_reference(0, config)}")


def number_drift(name: str, windows: Sequence[Array], config: DriftConfig) -> Drift:
    """Drift of a number that each user has.

    Args:
        name: one of `TITLES`.
        windows: one sample `(num_users,)` per window, oldest first; the last one is of the newest days. Each is compared
            with all before it; one with fewer than `min_users` is left out.
        config: what counts as drift.
    """
    *past, newest = windows
    past = [window for window in past if len(window) >= config.min_users]
    if len(newest) < config.min_users:
        return too_few(name, "users", len(newest), config.min_users)
    if not past:
        return unknown_usual(name, config)
    rng, reference_distances = np.random.default_rng(config.seed), []
    for place, window in enumerate(past[1:], 1):
        sample = rng.choice(window, min(len(window), len(newest)), replace=False)
        reference_distances.append(number_distance(np.concatenate(past[:place]), sample))
    reference = np.concatenate(past)
    shifts = [
        Shift(title, float(np.quantile(reference, level)), float(np.quantile(newest, level)))
        for title, level in (("median", 0.5), ("lowest tenth", 0.1), ("highest tenth", 0.9))
    ]
    return decide_drift(name, number_distance(reference, newest), reference_distances, config, shifts)


def too_few(name: str, what: str, count: int, needed: int) -> Drift:
    """A quantity of which the newest days have too little."""
    return Drift(
        name, DriftVerdict.NOT_ENOUGH, f"{TITLES[name]}: {count} {what} in the newest days, {needed} are needed."
    )


def overall_verdict(drifts: Sequence[Drift]) -> DriftVerdict:
    """Drift if anything has drifted; not enough if there is data for nothing; else stable."""
    found = {one.verdict for one in drifts}
    told = (verdict for verdict in (DriftVerdict.DRIFT, DriftVerdict.STABLE) if verdict in found)
    return next(told, DriftVerdict.NOT_ENOUGH)
