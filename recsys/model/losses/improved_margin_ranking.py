"""Margins between what a user chose and the rest."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="recsys")
class ImprovedMarginRankingLoss(keras.losses.Loss):  # type: ignore[misc]
    """Asks every positive to score at least `margin` more than every negative.

        c_pn = max(0, margin - (s_p - s_n))                    for each pair of a positive p and a negative n
        cost = max_min_weight * sqrt(mean of c_pn ** 2) + avg_weight * mean of c_pn

    In the first term the worst pairs of a row (a low positive under a high negative) count for most, in the second all
    alike. Each is 0 only if every positive is `margin` above every negative: a wrong order always costs. The single worst
    pair alone would do that too, but training would chase one outlier after the other; its place in the list, and that of
    unlabelled positives, is mostly chance.

    Both means are computed by sorting, in O(num_items log num_items), without the pairs in memory.

    Args:
        margin: > 0.
        max_min_weight: of the term for the worst pairs, >= 0.
        avg_weight: of the mean, >= 0; the two must not both be 0.
        **kwargs: as for every Keras loss (`reduction`, `name`, `dtype`).

    Raises:
        ValueError: if an argument is out of range.

    References:
        Herbrich, Graepel, Obermayer, Large Margin Rank Boundaries for Ordinal Regression, 2000 (hinge loss over pairs).
    """

    def __init__(
        self, margin: float = 1.0, max_min_weight: float = 0.6, avg_weight: float = 0.4, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not margin > 0:
            raise ValueError(f"Expected margin > 0, got {margin}.")
        if not (max_min_weight >= 0 and avg_weight >= 0 and max_min_weight + avg_weight > 0):
            raise ValueError(
                "Expected max_min_weight and avg_weight >= 0 and not both 0, or a wrong order would cost nothing, got "
                f"{max_min_weight} and {avg_weight}."
            )
        self.margin = margin
        self.max_min_weight = max_min_weight
        self.avg_weight = avg_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One cost per row; `(batch_size,)`, >= 0."""
        is_positive, is_negative = ops.greater(y_true, 0), ops.equal(y_true, 0)  # (batch_size, num_items)
        # A pair costs what the negative is above the positive less the margin.
        lowered = ops.where(is_positive, y_pred - self.margin, ops.where(is_negative, y_pred, ops.zeros_like(y_pred)))
        order = ops.argsort(-lowered, axis=1)
        positive, negative, values = (
            ops.take_along_axis(ops.cast(x, lowered.dtype), order, axis=1) for x in (is_positive, is_negative, lowered)
        )
        costs, squares = _above(values, negative)
        num_pairs = ops.sum(positive, axis=1) * ops.sum(negative, axis=1)  # (batch_size,)
        mean = ops.divide_no_nan(ops.sum(positive * costs, axis=1), num_pairs)
        mean_square = ops.divide_no_nan(ops.sum(positive * squares, axis=1), num_pairs)
        return self.max_min_weight * _safe_sqrt(mean_square) + self.avg_weight * mean

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "margin": self.margin,
            "max_min_weight": self.max_min_weight,
            "avg_weight": self.avg_weight,
        }


def _above(values: Any, counted: Any) -> tuple[Any, Any]:
    """How far the counted values stand above each value: the sum, and the sum of squares.

    From one value to the next lower one, all that stand above gain the gap between the two, so both sums only ever grow and
    lose no digits to subtraction.

    Args:
        values: floats `(batch_size, num_items)`, sorted downwards.
        counted: 1 or 0, of the same shape.

    Returns:
        Two floats `(batch_size, num_items)`, >= 0.
    """
    gaps = ops.pad(values[:, :-1] - values[:, 1:], [[0, 0], [1, 0]])  # (batch_size, num_items)
    num_above = ops.cumsum(counted, axis=1) - counted
    sums = ops.cumsum(num_above * gaps, axis=1)
    sums_before = ops.pad(sums[:, :-1], [[0, 0], [1, 0]])
    return sums, ops.cumsum(gaps * (sums_before + sums), axis=1)  # (x + g)^2 = x^2 + g * (x + (x + g)), summed over x


def _safe_sqrt(values: Any) -> Any:
    """Square root with a gradient of 0 at 0, not infinity."""
    is_positive = values > 0
    return ops.where(
        is_positive, ops.sqrt(ops.where(is_positive, values, ops.ones_like(values))), ops.zeros_like(values)
    )
