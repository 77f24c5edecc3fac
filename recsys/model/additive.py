"""The additive model in Keras: score = approval rate of the item, times the sum of non-negatively weighted named terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.linked_weights import Associations, LinkedWeights

FloatArray = npt.NDArray[np.float32]

# Terms of a user, after the trends; then what is no term of its own: see `combine`.
PERSONAL_TERMS = ("likes", "recent", "dislikes", "disliked_together", "genres")
MODIFIERS = ("trend_recent", "regard_power")
LINKED = ("item_item", "transitions", "disliked_together")  # from the items of a history to others


def head_names(trend_half_lives_days: Sequence[float]) -> tuple[str, ...]:
    """Names of the head's weights, in their order."""
    return (*(f"trend_{h:g}d" for h in trend_half_lives_days), *PERSONAL_TERMS, *MODIFIERS)


def combine(trend: Any, personal: Sequence[Any], regard: Any, head: Any) -> Any:
    """Weighs the terms: `regard ** power * (trend * (1 + mu * recent) + sum of weight * term)`.

    Args:
        trend: the trends, already weighed, broadcastable to the scores.
        personal: one array per name in `PERSONAL_TERMS`.
        regard: approval rates in (0, 1], broadcastable to the scores.
        head: the last `len(PERSONAL_TERMS) + len(MODIFIERS)` weights of a head, all >= 0.

    Returns:
        Scores; works on NumPy arrays and Keras tensors alike.
    """
    number = len(PERSONAL_TERMS)
    total = trend * (1.0 + head[number] * personal[PERSONAL_TERMS.index("recent")])
    for position, term in enumerate(personal):
        total = total + head[position] * term
    return regard ** head[number + 1] * total


@dataclass(frozen=True)
class Parts:
    """What a fit puts into the model; all float32.

    Attributes:
        trends: `(num_trends, num_items)` in [0, 1].
        item_item: see `recsys.model.item_item`.
        transitions: see `recsys.model.transitions`.
        disliked_together: item-item weights of dislikes alone.
        genres: `(num_items, num_genres)`; rows sum to 1, or to 0 without a genre.
        genre_base: `(num_genres,)`: everybody's share of liked weight.
        regard: `(num_items,)` approval rates in (0, 1]: share of likes among the opinions on an item, shrunk to everybody's.
    """

    trends: FloatArray
    item_item: Associations
    transitions: Associations
    disliked_together: Associations
    genres: FloatArray
    genre_base: FloatArray
    regard: FloatArray

    def num_stored(self) -> dict[str, int | None]:
        """How the matrices over linked items are to be stored; see `AdditiveModel`."""
        return {name: getattr(self, name).num_stored for name in LINKED}


@keras.saving.register_keras_serializable(package="recsys")
class AdditiveModel(keras.Model):  # type: ignore[misc]
    """Scores every item for a batch of users, exactly as a sum of terms.

        recent(u, i) = sum over the last likes and watches j: r_uj * T(j, i)
        score(u, i)  = regard(i) ** power * (
                         sum over h: tau_h * trend_h(i) * (1 + mu * recent(u, i))
                         + beta  * sum over liked j:    w_uj * B(j, i)
                         + gamma * recent(u, i)
                         - alpha * sum over disliked j: w_uj * max(B[j, i], 0)
                         - delta * sum over disliked j: w_uj * max(D[j, i], 0)
                         + theta * sum over genres g of i: taste_g(u) / number of genres of i )
        adjusted(u, i) = score(u, i) - (1 - m_ui) * max(score(u, i), 0)

    B: which likes go together; T: what comes next; D: which dislikes go together. `B(j, i)` is `B[j, i]` and what stands
    in for it where little is known of i, see `Associations`; dislikes look at what is known only. `m_ui` in (0, 1] is
    what the user's feature adjustments leave of the item (see `recsys.feedback.adjustments`).

    The first `num_linked` items are those with enough support to have item-item weights. All head weights are >= 0, the
    dislike terms take the positive part of B and D, and no multiplier is above 1: adding a dislike can never raise the
    score of any item.

    `taste_g(u)` is how much more of a user's liked weight lies on genre g than of everybody's, shrunk by 3 pseudo-likes
    and cut at 0.

    Args:
        num_items: items in the vocabulary.
        num_linked: items that have item-item weights; they come first in the vocabulary.
        num_genres: distinct genres (0 is allowed).
        trend_half_lives_days: one trend term per entry.
        num_stored: entries of each matrix over the linked items that is sparse; by default all are dense.
    """

    SHRINKAGE = 3.0

    def __init__(
        self,
        num_items: int,
        num_linked: int,
        num_genres: int,
        trend_half_lives_days: Sequence[float],
        num_stored: Mapping[str, int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_items = num_items
        self.num_linked = num_linked
        self.num_genres = num_genres
        self.trend_half_lives_days = tuple(float(h) for h in trend_half_lives_days)
        self.num_stored = dict(num_stored or {})
        shapes = {
            "trends": (len(self.trend_half_lives_days), num_items),
            **dict.fromkeys(LINKED),
            "genres": (num_items, num_genres),
            "genre_base": (num_genres,),
            "regard": (num_items,),
        }
        for name, shape in shapes.items():
            if shape is None:
                weights = LinkedWeights(self, name, num_linked, num_items, self.num_stored.get(name))
            else:
                kind = "ones" if name == "regard" else "zeros"
                weights = self.add_weight(name=name, shape=shape, initializer=kind, trainable=False)
            setattr(self, name, weights)
        self.head = self.add_weight(
            name="head",
            shape=(len(self.head_names),),
            initializer="zeros",
            constraint=keras.constraints.NonNeg(),
        )
        self.built = True

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the head's weights, in their order."""
        return head_names(self.trend_half_lives_days)

    def taste(self, likes: Any) -> Any:
        """How much more than everybody each user likes each genre; `(batch_size, num_genres)`, >= 0."""
        total = ops.sum(likes, axis=1, keepdims=True)
        shrunk = ops.matmul(likes, self.genres) - total * self.genre_base
        return ops.maximum(shrunk, 0.0) / (total + self.SHRINKAGE)

    def personal_terms(self, inputs: Mapping[str, Any]) -> list[Any]:
        """The terms of `PERSONAL_TERMS` before the head weighs them; each float32 `(batch_size, num_items)`.

        Args:
            inputs: `likes`, `recent` and `dislikes`, each float32 `(batch_size, num_items)`: the weight where the user
                liked, lately met, or disliked the item, else 0. `taste`, float32 `(batch_size, num_genres)`, unless it
                follows from `likes`: what a like says of genres is then separated from what it says of items.
        """
        taste = inputs["taste"] if "taste" in inputs else self.taste(inputs["likes"])
        return [
            self.item_item.added_by(inputs["likes"]),
            self.transitions.added_by(inputs["recent"]),
            -self.item_item.positively_added_by(inputs["dislikes"]),
            -self.disliked_together.positively_added_by(inputs["dislikes"]),
            ops.matmul(taste, ops.transpose(self.genres)),
        ]

    def call(self, inputs: Mapping[str, Any]) -> Any:
        """Scores; float32 `(batch_size, num_items)`.

        Args:
            inputs: as for `personal_terms`, and `multipliers`, float32 `(batch_size, num_items)` in (0, 1], unless all
                are 1.
        """
        number = len(self.trend_half_lives_days)
        trend = ops.matmul(ops.expand_dims(self.head[:number], 0), self.trends)  # (1, num_items)
        total = combine(trend, self.personal_terms(inputs), self.regard, self.head[number:])
        if "multipliers" in inputs:
            total = total - (1.0 - inputs["multipliers"]) * ops.relu(total)
        return total

    def set_parts(self, parts: Parts, head: FloatArray) -> None:
        """Puts fitted values in."""
        for name, values in vars(parts).items():
            getattr(self, name).assign(values)
        self.head.assign(head)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "num_items": self.num_items,
            "num_linked": self.num_linked,
            "num_genres": self.num_genres,
            "trend_half_lives_days": list(self.trend_half_lives_days),
            "num_stored": self.num_stored,
        }
