"""Several scores in one, by learned weights."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.arguments import whole_number

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="recsys")
class LearnableWeightedCombination(keras.layers.Layer):  # type: ignore[misc]
    """Weighted mean of several score tensors; the weights are learned, positive and sum to 1.

    The weights are the softmax of what is trained, and start equal. So the result lies between the smallest and the
    largest score, and raising one of the scores never lowers it.

    Args:
        num_scores: how many score tensors there will be, >= 1; None takes as many as the first call brings.
        **kwargs: as for every Keras layer.

    Call arguments:
        inputs: list of one or more floats of one shape, such as `(batch_size, num_items)`.
        mask: None, or a list with a bool tensor of that shape (or None for all) per input: False where that input has no
            score. The weights of the others are scaled up to sum to 1; without any the result is 0.

    Returns:
        Floats of the shape of one input.

    Raises:
        ValueError: if there are no inputs, another number of them than `num_scores`, or their shapes differ.
    """

    def __init__(self, num_scores: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_scores = None if num_scores is None else whole_number(num_scores, "num_scores")

    def build(self, input_shape: Any) -> None:
        """Makes one weight per input."""
        self._validate(input_shape)
        self.logits = self.add_weight(name="logits", shape=(len(input_shape),), initializer="zeros")
        self.built = True

    @property
    def weights_of_inputs(self) -> Any:
        """What each input weighs; `(num_inputs,)`, positive, sum 1."""
        return ops.softmax(self.logits)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The weighted mean; see the class."""
        stacked = ops.stack(inputs, axis=-1)  # (batch_size, num_items, num_inputs)
        weights = self.weights_of_inputs
        if mask is None:
            return ops.sum(stacked * weights, axis=-1)
        present = [
            ops.ones_like(x, dtype="bool") if m is None else m for x, m in zip(inputs, mask, strict=True)
        ]  # one (batch_size, num_items) per input
        has = ops.stack(present, axis=-1)  # (batch_size, num_items, num_inputs)
        shares = ops.where(has, weights, ops.zeros_like(stacked))
        scores = ops.where(has, stacked, ops.zeros_like(stacked))  # what is masked may be NaN
        return ops.divide_no_nan(ops.sum(scores * shares, axis=-1), ops.sum(shares, axis=-1))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the result has a value everywhere."""

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of one input."""
        self._validate(input_shape)
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {**super().get_config(), "num_scores": self.num_scores}

    def _validate(self, input_shape: Any) -> None:
        shapes = [tuple(shape) for shape in input_shape] if isinstance(input_shape[0], list | tuple) else []
        if not shapes or any(len(shape) != len(shapes[0]) or shape[1:] != shapes[0][1:] for shape in shapes):
            raise ValueError(f"Expected a list of score tensors of one shape, got the shapes {input_shape}.")
        if self.num_scores not in (None, len(shapes)):
            raise ValueError(f"Expected {self.num_scores} score tensors (num_scores), got {len(shapes)}.")
