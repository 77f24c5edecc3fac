"""Gradient descent on the head with Keras, from where the search ended."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.additive import PERSONAL_TERMS, combine
from recsys.training.head.search import HeadSearch

FloatArray = npt.NDArray[np.float32]


class _Head(keras.layers.Layer):  # type: ignore[misc]
    """Scores of candidates from `(batch_size, num_candidates, num_terms + 2)`: terms, approval rate, multipliers."""

    def __init__(self, start: FloatArray, num_trends: int) -> None:
        super().__init__()
        self.start, self.num_trends = start, num_trends

    def build(self, input_shape: tuple[int, ...]) -> None:
        del input_shape
        self.head = self.add_weight(
            name="head",
            shape=self.start.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.start, dtype),
            constraint=keras.constraints.NonNeg(),
        )

    def call(self, inputs: Any) -> Any:
        number = self.num_trends
        trend = ops.matmul(inputs[..., :number], ops.expand_dims(self.head[:number], -1))[..., 0]
        personal = [inputs[..., number + j] for j in range(len(PERSONAL_TERMS))]
        return combine(trend, personal, inputs[..., -2], self.head[number:]) * inputs[..., -1]


def listwise_loss(targets: Any, scores: Any) -> Any:
    """Softmax cross-entropy of the liked candidates plus a logistic cost of each disliked one against their mean.

    Args:
        targets: `(batch_size, num_candidates)`: sample weight where liked, minus it where disliked, NaN-free; padding is
            below -1.
        scores: `(batch_size, num_candidates)`.

    Returns:
        `(batch_size,)`.
    """
    is_real = ops.cast(ops.greater(targets, -1.5), "float32")
    liked = ops.maximum(targets, 0.0)
    disliked = ops.maximum(-targets, 0.0) * is_real
    log_total = ops.logsumexp(scores - 1e9 * (1.0 - is_real), axis=1, keepdims=True)
    of_likes = ops.sum(liked * (log_total - scores), axis=1)
    mean_liked = ops.sum(liked * scores, axis=1, keepdims=True) / ops.maximum(
        ops.sum(liked, axis=1, keepdims=True), 1e-9
    )
    return of_likes + ops.sum(disliked * ops.softplus(scores - mean_liked), axis=1)


def keras_refinement(search: HeadSearch, start: FloatArray, seed: int) -> FloatArray:
    """Gradient descent on `listwise_loss` from `start`, with the examples' sample weights."""
    keras.utils.set_random_seed(seed)
    examples, number = search.examples, search.num_trends + len(PERSONAL_TERMS)
    temperature = np.ones(len(start), np.float32)
    temperature[:number] = 10.0  # scores of order 1 make a flat softmax; the ranking does not change with it
    terms = examples.terms / search.units[:number]
    inputs = np.concatenate([terms, examples.regard[..., None], examples.multipliers[..., None]], axis=-1)
    model = keras.Sequential([keras.Input(inputs.shape[1:]), _Head(start * temperature, search.num_trends)])
    model.compile(optimizer=keras.optimizers.Adam(search.config.learning_rate), loss=listwise_loss)
    targets = np.where(examples.labels == -2, -2.0, np.sign(examples.labels) * examples.weights).astype(np.float32)
    model.fit(inputs, targets, batch_size=256, epochs=search.config.epochs, verbose=0)
    found = np.asarray(model.layers[-1].head.numpy() / temperature, np.float32)
    return search.personal(found)
