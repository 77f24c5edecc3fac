"""How much of a list are hits."""

from __future__ import annotations

from typing import Any

import keras
import keras_rs
from keras import ops

from recsys.model.metrics.stated_policy import StatedPolicy


@keras.saving.register_keras_serializable(package="recsys")
class PrecisionAtK(StatedPolicy, keras_rs.metrics.PrecisionAtK):  # type: ignore[misc]
    """Share of the first k slots that hold a positive; the mean over rows.

    It divides by k, also where a list is shorter (keras-rs divides by what there is).

    Ties, rows without a positive and sample weights: see the package.

    Args:
        k: slots that count, >= 1; None takes the length of the list.
        name: `precision_at_<k>` by default.
        dtype: of the computation.
    """

    NAME = "precision"

    def compute_metric(self, y_true: Any, y_pred: Any, mask: Any, sample_weight: Any) -> Any:
        """The precision of each row, and its weight; each `(batch_size, 1)`."""
        precision, weights = super().compute_metric(y_true, y_pred, mask, sample_weight)
        if self.k is None:
            return precision, weights
        num_valid = ops.sum(ops.cast(mask, precision.dtype), axis=1, keepdims=True)  # (batch_size, 1)
        return precision * ops.minimum(num_valid / self.k, 1), weights
