"""Softmax over the listed items in place of the whole catalog."""

from __future__ import annotations

from typing import Any

import keras
import keras_rs
from keras import ops


@keras.saving.register_keras_serializable(package="recsys")
class SampledSoftmaxLoss(keras.losses.Loss):  # type: ignore[misc]
    """Mean over a row's positives of their cross entropy against the row's negatives.

        cost(p) = -log(exp(s_p / t) / (exp(s_p / t) + sum over negatives n of exp(s_n / t) / sampling_probability))

    A positive does not compete with other positives. With a `sampling_probability` of m / n, for m negatives drawn evenly
    from n, the sum estimates that over all n, and the loss that of the full softmax.

    Args:
        temperature: t, > 0; smaller makes scores count for more (about 0.1 for cosines).
        sampling_probability: in (0, 1]: how likely each item that is not a positive was to be listed.
        **kwargs: as for every Keras loss (`reduction`, `name`, `dtype`).

    Raises:
        ValueError: if an argument is out of range.

    References:
        Jean et al., On Using Very Large Target Vocabulary for Neural Machine Translation, ACL 2015,
        https://arxiv.org/abs/1412.2007. Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
        Recommendations, RecSys 2019.
    """

    def __init__(self, temperature: float = 1.0, sampling_probability: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not temperature > 0:
            raise ValueError(f"Expected temperature > 0, got {temperature}.")
        if not 0 < sampling_probability <= 1:
            raise ValueError(f"Expected sampling_probability in (0, 1], got {sampling_probability}.")
        self.temperature = temperature
        self.sampling_probability = sampling_probability
        self._correction = keras_rs.layers.SamplingProbabilityCorrection(epsilon=sampling_probability)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One cost per row; `(batch_size,)`, >= 0."""
        logits = y_pred / self.temperature  # (batch_size, num_items)
        corrected = self._correction(logits, ops.full_like(logits, self.sampling_probability))
        is_negative, is_positive = ops.equal(y_true, 0), ops.greater(y_true, 0)
        nothing = ops.full_like(logits, -1e30)
        negatives = ops.where(is_negative, corrected, nothing)
        rivals = ops.logsumexp(negatives, axis=1, keepdims=True)  # (batch_size, 1); about -1e30 without negatives
        costs = ops.where(is_positive, ops.softplus(rivals - logits), ops.zeros_like(logits))  # -log of the softmax
        return ops.divide_no_nan(ops.sum(costs, axis=1), ops.sum(ops.cast(is_positive, costs.dtype), axis=1))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "sampling_probability": self.sampling_probability,
        }
