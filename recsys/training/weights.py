"""Sample weights: what one event counts in training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.feedback.reinforcement import DISLIKE_WEIGHT_MULTIPLIER

LIKE_WEIGHT = 1.0


def time_decay(age_days: npt.NDArray[np.float64], half_life_days: float) -> npt.NDArray[np.float64]:
    """Weights examples by age: `0.5 ** (age_days / half_life_days)`.

    Args:
        age_days: `(num_examples,)`, days before the cut-off, >= 0.
        half_life_days: age at which a weight has halved, > 0.

    Returns:
        `(num_examples,)` in (0, 1].

    Raises:
        ValueError: if an age is negative (an event after the cut-off: leakage) or the half-life is not positive.
    """
    if half_life_days <= 0:
        raise ValueError(f"Expected half_life_days > 0, got {half_life_days}.")
    if age_days.size and age_days.min() < 0:
        raise ValueError(f"Expected ages >= 0, got {age_days.min():.6f} days: an event after the cut-off leaks.")
    return np.asarray(0.5 ** (age_days / half_life_days))


def sample_weights(
    labels: npt.NDArray[np.int8], age_days: npt.NDArray[np.float64], half_life_days: float
) -> npt.NDArray[np.float64]:
    """Likes 1.0, dislikes 0.8, both times the decay; `(num_examples,)` in (0, 1]."""
    return np.where(labels == 1, LIKE_WEIGHT, DISLIKE_WEIGHT_MULTIPLIER) * time_decay(age_days, half_life_days)
