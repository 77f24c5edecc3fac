"""What a user did last: the newest likes and watches count most for what comes next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

HALF_LIFE_EVENTS = 10.0  # so many newer likes or watches halve what an event counts for what comes next
NEUTRAL_STRENGTH = 0.5  # of a rating without an opinion, or a click; a like has 1


def recency_weights(
    users: npt.NDArray[np.int64], age_days: npt.NDArray[np.float64], is_like: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Weights likes and neutral signals by how many newer ones their user has: `strength * 0.5 ** (newer / half-life)`.

    Events are counted, not days, so that a user who comes back after a year goes on where they stopped. Dislikes are not
    among the events: one more of them must not shift the others.

    Args:
        users: `(num_events,)`, positions.
        age_days: `(num_events,)`; events of one age share the mean of their places.
        is_like: `(num_events,)`, otherwise neutral.

    Returns:
        float64 `(num_events,)` in (0, 1].
    """
    newer = pd.Series(age_days).groupby(users).rank(method="average").to_numpy() - 1.0
    return np.asarray(np.where(is_like, 1.0, NEUTRAL_STRENGTH) * 0.5 ** (newer / HALF_LIFE_EVENTS))


def refreshed_weights(
    users: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], is_like: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Weights of a user's likes and dislikes as of that user's newest like.

    What fades with time is how much an event says about others today; the user who stayed away has kept their taste.
    Dislikes move along, and one more of them changes nothing about the rest.

    Args:
        users: `(num_events,)`, positions.
        weights: `(num_events,)` in (0, 1], decayed.
        is_like: `(num_events,)`, otherwise a dislike.

    Returns:
        float64 `(num_events,)` in (0, 1]; unchanged for users without a like.
    """
    newest = np.zeros(int(users.max(initial=-1)) + 1)
    np.maximum.at(newest, users[is_like], weights[is_like])
    scale = np.where(newest > 0, newest, 1.0)
    return np.asarray(np.minimum(weights / scale[users], 1.0))
