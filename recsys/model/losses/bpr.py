"""Bayesian personalised ranking."""

from __future__ import annotations

from typing import Any

import keras
import keras_rs
from keras import ops


@keras.saving.register_keras_serializable(package="recsys")
class BPRLoss(keras_rs.losses.PairwiseLogisticLoss):  # type: ignore[misc]
    """Mean over a row's pairs (positive p, negative n) of `log(1 + exp(-(s_p - s_n) / temperature))`.

    With graded labels every pair of a higher and a lower label counts. It makes the `(batch_size, num_items, num_items)`
    pairs: list a sample of items, not a whole catalog.

    Args:
        temperature: > 0; smaller makes scores count for more.
        **kwargs: as for every Keras loss (`reduction`, `name`, `dtype`).

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009,
        https://arxiv.org/abs/1205.2618.
    """

    def pairwise_loss(self, pairwise_logits: Any) -> Any:
        """The cost of each pair. keras-rs's own form has no gradient where the two scores are equal."""
        return ops.softplus(-pairwise_logits)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One cost per row; `(batch_size,)`, >= 0."""
        costs, is_pair = self.compute_unreduced_loss(labels=y_true, logits=y_pred)  # (batch_size, num_items, num_items)
        costs = ops.where(is_pair > 0, costs, ops.zeros_like(costs))
        return ops.divide_no_nan(ops.sum(costs, axis=(1, 2)), ops.sum(is_pair, axis=(1, 2)))
