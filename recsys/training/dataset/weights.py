"""Sample weights: what one event counts in training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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


def user_share_factors(
    users: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], max_share: float
) -> npt.NDArray[np.float64]:
    """Factors that keep any one user from holding more than a share of the whole weight.

    Every user above the cap is scaled down to it, no other user is touched, and the cap is a share of what is left, so it
    holds exactly. Where so few users are there that the share could not hold, nobody counts more than twice an even share.

    Args:
        users: `(num_examples,)`, positions from 0.
        weights: `(num_examples,)`, >= 0.
        max_share: in (0, 1].

    Returns:
        `(num_users,)` in (0, 1].

    Raises:
        ValueError: if `max_share` is not in (0, 1].
    """
    if not 0 < max_share <= 1:
        raise ValueError(f"Expected max_share in (0, 1], got {max_share}.")
    totals = np.bincount(users, weights=weights)
    num_users = int((totals > 0).sum())
    share = max(max_share, 2.0 / max(num_users, 1))
    if share >= 1.0:
        return np.ones(len(totals))
    ordered = np.sort(totals)[::-1]
    left = totals.sum() - np.concatenate([[0.0], np.cumsum(ordered)])  # left[m]: of all but the m heaviest
    capped = np.arange(len(left))
    # With the m heaviest at the cap c: c = share * (m * c + left[m]).
    feasible = capped * share < 1.0
    caps = share * left[feasible] / (1.0 - share * capped[feasible])
    heaviest = np.concatenate([ordered, [0.0]])[feasible]
    cap = caps[int(np.argmax(heaviest <= caps))]  # the first m under which nobody else is above
    return np.asarray(np.divide(cap, totals, out=np.ones(len(totals)), where=totals > cap))
