"""The best k items of a list, as item ids."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.arguments import whole_number

Shape = tuple[int | None, ...]
NO_ITEM = -1


@keras.saving.register_keras_serializable(package="recsys")
class TopKRecommendationSelector(keras.layers.Layer):  # type: ignore[misc]
    """Picks the k items with the highest scores among those that may be recommended.

    Never picked: items marked `seen`, or not `eligible`, with a negative id, or with a score of NaN or minus infinity. Of
    equal ids in a row at most one is picked, the one with the best score, and none if one of them may not be: who has seen
    an item has seen it wherever it stands.

    Order: highest score first; of equal scores the lower position in the list first. Where fewer than k items may be
    recommended, the end is filled up with id -1 and score minus infinity.

    Args:
        k: slots, >= 1.
        **kwargs: as for every Keras layer.

    Call arguments:
        scores: floats `(batch_size, num_items)`, finite, NaN or minus infinity.
        item_ids: integers `(batch_size, num_items)`, or `(num_items,)` for all rows; None takes the positions as ids.
        seen: bool `(batch_size, num_items)`; None marks none.
        eligible: bool `(batch_size, num_items)`; None marks all.

    Returns:
        `(ids, scores)`, each `(batch_size, k)`: integers (int64, or int32 where `item_ids` are or there are none) and floats.

    Raises:
        ValueError: if k is not a whole number >= 1, or a shape is another.
    """

    def __init__(self, k: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = whole_number(k, "k")
        self.built = True

    def call(self, scores: Any, item_ids: Any = None, seen: Any = None, eligible: Any = None) -> tuple[Any, Any]:
        """The best k; see the class."""
        self._validate(scores, item_ids=item_ids, seen=seen, eligible=eligible)
        scores = ops.where(scores == 0, ops.zeros_like(scores), scores)  # compiled, -0.0 would stand below 0.0
        allowed = scores > -float("inf")  # False for NaN too
        if eligible is not None:
            allowed = ops.logical_and(allowed, ops.cast(eligible, "bool"))
        if seen is not None:
            allowed = ops.logical_and(allowed, ops.logical_not(ops.cast(seen, "bool")))
        if item_ids is None:
            ids = ops.zeros_like(scores, dtype="int32") + ops.arange(ops.shape(scores)[1], dtype="int32")
            masked = _only(allowed, scores)
        else:
            item_ids = ops.cast(item_ids, _id_type(item_ids))
            ids = ops.zeros_like(scores, dtype=item_ids.dtype) + item_ids  # (batch_size, num_items)
            scores, ids, masked = _once_each(scores, ids, ops.logical_and(allowed, ids >= 0))
        return self._best(masked, ids)

    def _best(self, masked: Any, ids: Any) -> tuple[Any, Any]:
        """The first k of `masked` `(batch_size, num_items)`, with no item where it is minus infinity."""
        room = [[0, 0], [0, self.k]]  # for a list shorter than k
        masked = ops.pad(masked, room, constant_values=-float("inf"))
        ids = ops.pad(ids, room, constant_values=NO_ITEM)
        best, order = ops.top_k(masked, self.k)  # (batch_size, k); of equal values the lower position first
        best_ids = ops.take_along_axis(ids, order, axis=1)
        return ops.where(best > -float("inf"), best_ids, ops.full_like(best_ids, NO_ITEM)), best

    @staticmethod
    def _validate(scores: Any, **others: Any) -> None:
        if len(scores.shape) != 2:
            raise ValueError(f"Expected scores (batch_size, num_items), got {tuple(scores.shape)}.")
        for name, other in others.items():
            one_for_all = name == "item_ids" and other is not None and len(other.shape) == 1
            if other is not None and not (
                (len(other.shape) == 2 or one_for_all) and other.shape[-1] == scores.shape[1]
            ):
                raise ValueError(
                    f"Expected {name} of the shape of scores {tuple(scores.shape)}, got {tuple(other.shape)}."
                )

    def compute_output_spec(
        self, scores: Any, item_ids: Any = None, seen: Any = None, eligible: Any = None
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Shapes and types of both results."""
        self._validate(scores, item_ids=item_ids, seen=seen, eligible=eligible)
        shape = (scores.shape[0], self.k)
        return (
            keras.KerasTensor(shape, dtype="int32" if item_ids is None else _id_type(item_ids)),
            keras.KerasTensor(shape, dtype=scores.dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {**super().get_config(), "k": self.k}


def _id_type(item_ids: Any) -> str:
    """A type with room for `NO_ITEM`."""
    return "int32" if keras.backend.standardize_dtype(item_ids.dtype) == "int32" else "int64"


def _only(allowed: Any, scores: Any) -> Any:
    """Scores where allowed, minus infinity elsewhere."""
    return ops.where(allowed, scores, ops.full_like(scores, -float("inf")))


def _once_each(scores: Any, ids: Any, allowed: Any) -> tuple[Any, Any, Any]:
    """Reorders each row best first, and keeps one of equal ids; `(scores, ids, masked scores)`, `(batch_size, num_items)`."""
    # What is not allowed goes first, so that it takes its id from those after it.
    _, order = ops.top_k(ops.where(allowed, scores, ops.full_like(scores, float("inf"))), ops.shape(scores)[1])
    scores, ids, allowed = (ops.take_along_axis(x, order, axis=1) for x in (scores, ids, allowed))
    by_id = ops.argsort(ids, axis=1)  # stable: equal ids stay best first
    grouped = ops.take_along_axis(ids, by_id, axis=1)
    before = ops.pad(grouped, [[0, 0], [1, 0]], constant_values=NO_ITEM)[:, :-1]
    repeated = ops.take_along_axis(grouped == before, ops.argsort(by_id, axis=1), axis=1)  # back in the order of scores
    return scores, ids, _only(ops.logical_and(allowed, ops.logical_not(repeated)), scores)
