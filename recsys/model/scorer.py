"""What `AdditiveModel` computes, from sparse histories and in NumPy: several times as fast, as histories are short."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.additive import AdditiveModel, combine

FloatArray = npt.NDArray[np.float32]


class Scorer:
    """Scores all items with the weights that a model has now; they are copied out of its variables once.

    Args:
        model: fitted.
    """

    def __init__(self, model: AdditiveModel) -> None:
        number = len(model.trend_half_lives_days)
        head, trends, self._regard, self._genres, self._genre_base = (
            weights.numpy() for weights in (model.head, model.trends, model.regard, model.genres, model.genre_base)
        )
        self._trend, self._head = head[:number] @ trends, head[number:]
        self._shrinkage = model.SHRINKAGE
        self._item_item, self._transitions = model.item_item.numpy(), model.transitions.numpy()
        self._liked_together = self._item_item.positive_part()
        self._disliked_together = model.disliked_together.numpy().positive_part()

    def personal_terms(self, inputs: Mapping[str, sp.csr_matrix]) -> list[FloatArray]:
        """The terms of `PERSONAL_TERMS` before the head weighs them; each float32 `(num_users, num_items)`.

        Args:
            inputs: `likes`, `recent` and `dislikes`, each sparse `(num_users, num_items)`; see `AdditiveModel`.
        """
        likes, dislikes = inputs["likes"], inputs["dislikes"]
        total = np.asarray(likes.sum(axis=1))
        taste = np.maximum(likes @ self._genres - total * self._genre_base, 0.0) / (total + self._shrinkage)
        return [
            self._item_item.added_by(likes),
            self._transitions.added_by(inputs["recent"]),
            -self._liked_together.added_by(dislikes),
            -self._disliked_together.added_by(dislikes),
            taste @ self._genres.T,
        ]

    def scores(self, inputs: Mapping[str, sp.csr_matrix], multipliers: FloatArray | None = None) -> FloatArray:
        """Scores; float32 `(num_users, num_items)`.

        Args:
            inputs: as for `personal_terms`.
            multipliers: `(num_users, num_items)` in [0, 1]; None: all are 1.
        """
        total = combine(self._trend, self.personal_terms(inputs), self._regard, self._head)
        if multipliers is not None:
            total = total - (1.0 - multipliers) * np.maximum(total, 0.0)
        return np.asarray(total, np.float32)
