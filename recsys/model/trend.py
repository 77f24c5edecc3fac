"""Popularity that fades: the first terms of a score, and the baselines that the gate compares with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def decayed_counts(
    item_positions: IntArray,
    age_days: FloatArray,
    num_items: int,
    half_life_days: float,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Counts events per item, each worth `0.5 ** (age_days / half_life_days)`, times its weight.

    Args:
        item_positions: `(num_events,)`, values in [0, num_items).
        age_days: `(num_events,)`, days before the cut-off, >= 0.
        num_items: length of the result.
        half_life_days: > 0; a very long one gives plain popularity.
        weights: `(num_events,)`; by default all 1.

    Returns:
        float64 array `(num_items,)`.

    Raises:
        ValueError: if an age is negative (an event after the cut-off: leakage) or the half-life is not positive.
    """
    if half_life_days <= 0:
        raise ValueError(f"Expected half_life_days > 0, got {half_life_days}.")
    if age_days.size and age_days.min() < 0:
        raise ValueError(
            f"Expected events up to the cut-off only, got one {-age_days.min():.4f} days after it: "
            "an event after the cut-off would leak into the model."
        )
    worth = 0.5 ** (age_days / half_life_days)
    counts = np.bincount(item_positions, weights=worth if weights is None else worth * weights, minlength=num_items)
    return counts.astype(np.float64)  # without events bincount gives integers


def trend_matrix(
    item_positions: IntArray,
    age_days: FloatArray,
    num_items: int,
    half_lives_days: Sequence[float],
    weights: FloatArray | None = None,
) -> npt.NDArray[np.float32]:
    """Decayed popularity under several half-lives, each scaled so that its top item has 1.

    Returns:
        float32 array `(num_half_lives, num_items)` in [0, 1]; zeros where there are no events.
    """
    rows = []
    for half_life_days in half_lives_days:
        counts = decayed_counts(item_positions, age_days, num_items, half_life_days, weights)
        rows.append(counts / max(counts.max(initial=0.0), np.finfo(np.float64).tiny))
    return np.asarray(rows, dtype=np.float32).reshape(len(half_lives_days), num_items)
