"""Scores as dot products of user and item vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.layers.pair_shapes import as_pairs, scores_shape

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="recsys")
class NormalizedDotProductSimilarity(keras.layers.Layer):  # type: ignore[misc]
    """Dot product of a user's vector with each item's, divided by the square root of their length.

    The division keeps the spread of the scores of random vectors the same, whatever their length.

    Call arguments:
        inputs: `[users, items]`, floats: users `(batch_size, embedding_dim)` or `(batch_size, 1, embedding_dim)`, items
            `(batch_size, num_items, embedding_dim)` or `(batch_size, embedding_dim)`.

    Returns:
        Floats `(batch_size, num_items)`; `(batch_size, 1)` for one item per user. 0 for a vector of zeros.

    Raises:
        ValueError: if the shapes do not go together.

    References:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.1 (the scaling).
    """

    def call(self, inputs: Any) -> Any:
        """Scores; see the class."""
        users, items = as_pairs(*inputs)
        scores = ops.sum(users * items, axis=-1)  # (batch_size, num_items)
        return scores / users.shape[-1] ** 0.5

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """`(batch_size, num_items)`."""
        return scores_shape(*input_shape)
