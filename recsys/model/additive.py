"""The additive model in Keras: score = sum of non-negative head weights times named terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

FloatArray = npt.NDArray[np.float32]


@keras.saving.register_keras_serializable(package="recsys")
class AdditiveModel(keras.Model):  # type: ignore[misc]
    """Scores every item for a batch of users, exactly as a sum of terms.

        score(u, i) = sum over h: tau_h * trend_h(i)
                    + beta  * sum over liked j:    w_uj * B[j, i]
                    - alpha * sum over disliked j: w_uj * max(B[j, i], 0)
                    + theta * sum over genres g of i: taste_g(u) / number of genres of i
        adjusted(u, i) = score(u, i) - (1 - m_ui) * max(score(u, i), 0)

    `m_ui` in (0, 1] is what the user's feature adjustments leave of the item (see `recsys.feedback.adjustments`).

    The first `num_linked` items are those with enough support to have item-item weights. All head weights are >= 0, and
    the dislike term takes max(B, 0), and no multiplier is above 1: adding a dislike can never raise the score of any item.

    `taste_g(u)` is how much more of a user's liked weight lies on genre g than of everybody's, shrunk by 3 pseudo-likes
    and cut at 0.

    Args:
        num_items: items in the vocabulary.
        num_linked: items that have item-item weights; they come first in the vocabulary.
        num_genres: distinct genres (0 is allowed).
        trend_half_lives_days: one trend term per entry.
    """

    SHRINKAGE = 3.0

    def __init__(
        self,
        num_items: int,
        num_linked: int,
        num_genres: int,
        trend_half_lives_days: Sequence[float],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_items = num_items
        self.num_linked = num_linked
        self.num_genres = num_genres
        self.trend_half_lives_days = tuple(float(h) for h in trend_half_lives_days)
        num_trends = len(self.trend_half_lives_days)
        self.trends = self._frozen("trends", (num_trends, num_items))
        self.item_item = self._frozen("item_item", (num_linked, num_linked))
        self.genres = self._frozen("genres", (num_items, num_genres))  # rows sum to 1, or to 0 without a genre
        self.genre_base = self._frozen("genre_base", (num_genres,))  # everybody's share of liked weight
        self.head = self.add_weight(
            name="head", shape=(num_trends + 3,), initializer="zeros", constraint=keras.constraints.NonNeg()
        )
        self.built = True

    def _frozen(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms, in the order of the head's weights."""
        return (*(f"trend_{h:g}d" for h in self.trend_half_lives_days), "likes", "dislikes", "genres")

    def taste(self, likes: Any) -> Any:
        """How much more than everybody each user likes each genre; `(batch_size, num_genres)`, >= 0."""
        total = ops.sum(likes, axis=1, keepdims=True)
        shrunk = ops.matmul(likes, self.genres) - total * self.genre_base
        return ops.maximum(shrunk, 0.0) / (total + self.SHRINKAGE)

    def terms(self, inputs: dict[str, Any]) -> list[Any]:
        """The terms before the head weighs them, in the order of `term_names`.

        Args:
            inputs: `likes` and `dislikes`, each float32 `(batch_size, num_items)`: the sample weight where the user liked
                (disliked) the item, else 0.

        Returns:
            One float32 tensor `(batch_size, num_items)` (trends: `(1, num_items)`) per term.
        """
        likes, dislikes = inputs["likes"], inputs["dislikes"]
        rest = [[0, 0], [0, self.num_items - self.num_linked]]
        liked = ops.matmul(likes[:, : self.num_linked], self.item_item)  # (batch_size, num_linked)
        disliked = ops.matmul(dislikes[:, : self.num_linked], ops.relu(self.item_item))
        return [
            *(self.trends[h : h + 1] for h in range(len(self.trend_half_lives_days))),
            ops.pad(liked, rest),
            -ops.pad(disliked, rest),
            ops.matmul(self.taste(likes), ops.transpose(self.genres)),
        ]

    def call(self, inputs: dict[str, Any]) -> Any:
        """Scores; float32 `(batch_size, num_items)`.

        Args:
            inputs: as for `terms`, and `multipliers`, float32 `(batch_size, num_items)` in (0, 1], unless all are 1.
        """
        total = 0.0
        for position, term in enumerate(self.terms(inputs)):
            total = total + self.head[position] * term
        if "multipliers" in inputs:
            total = total - (1.0 - inputs["multipliers"]) * ops.relu(total)
        return total

    def set_parts(
        self, trends: FloatArray, item_item: FloatArray, genres: FloatArray, genre_base: FloatArray, head: FloatArray
    ) -> None:
        """Puts fitted values in; shapes as in the constructor."""
        self.trends.assign(trends)
        self.item_item.assign(item_item)
        self.genres.assign(genres)
        self.genre_base.assign(genre_base)
        self.head.assign(head)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "num_items": self.num_items,
            "num_linked": self.num_linked,
            "num_genres": self.num_genres,
            "trend_half_lives_days": list(self.trend_half_lives_days),
        }
