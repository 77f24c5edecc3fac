"""How alike a user's vector and each item's are."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.layers.pair_shapes import as_pairs, scores_shape

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="recsys")
class CosineSimilarityExplainer(keras.layers.Layer):  # type: ignore[misc]
    """Cosine of the angle between a user's vector and each item's.

    It says how well an item fits the user's taste, apart from how popular the item and how active the user is.

    Call arguments:
        inputs: `[users, items]`, floats: users `(batch_size, embedding_dim)` or `(batch_size, 1, embedding_dim)`, items
            `(batch_size, num_items, embedding_dim)` or `(batch_size, embedding_dim)`.

    Returns:
        Floats `(batch_size, num_items)` in [-1, 1]; 0 (and a gradient of 0) where a vector is zero. Vectors may be as small
        or large as their type allows.

    Raises:
        ValueError: if the shapes do not go together.
    """

    def call(self, inputs: Any) -> Any:
        """Similarities; see the class."""
        users, items = as_pairs(*inputs)
        cosines = ops.sum(_unit(users) * _unit(items), axis=-1)  # (batch_size, num_items)
        return ops.clip(cosines, -1.0, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """`(batch_size, num_items)`."""
        return scores_shape(*input_shape)


def _unit(vectors: Any) -> Any:
    """Vectors of length 1 in the last axis, or of zeros where they were zero."""
    largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=-1, keepdims=True, initial=0.0))
    # First to a size of about 1, where squares neither overflow nor vanish; the direction stays the same.
    scaled = vectors / ops.where(largest > 0, largest, ops.ones_like(largest))
    squares = ops.sum(ops.square(scaled), axis=-1, keepdims=True)  # 0, or at least 1
    return scaled * ops.rsqrt(ops.maximum(squares, 1.0))
