"""The sums over users that the closed-form matrices are solved from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.model.item_item import gram_matrix
from recsys.training.events import Events
from recsys.training.recipe import FitConfig


@dataclass(frozen=True)
class LinkedItems:
    """The closed-form matrices over the linked items before their ridge: sums over users, of what was known by a cut-off."""

    gram: npt.NDArray[np.float32]
    dislike_gram: npt.NDArray[np.float32]
    past_past: npt.NDArray[np.float64]
    past_future: npt.NDArray[np.float64]

    @classmethod
    def count(cls, events: Events, num_linked: int, decay_power: float, config: FitConfig) -> LinkedItems:
        """From all events."""
        disliked = np.where(events.is_like, 0.0, events.weights())
        return cls(
            signed_gram(events, num_linked, decay_power, config),
            gram_matrix(events.matrix(disliked)[:, :num_linked]),
            *events.sequences(num_linked, config.seed).moments(num_linked),
        )


def signed_gram(events: Events, num_linked: int, decay_power: float, config: FitConfig) -> npt.NDArray[np.float32]:
    """Gram matrix of likes, and dislikes as smaller negative entries; `(num_linked, num_linked)`."""
    signed = events.weights(decay_power) * np.where(events.is_like, 1.0, -config.dislike_signal)
    return gram_matrix(events.matrix(signed)[:, :num_linked])
