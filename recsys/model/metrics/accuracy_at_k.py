"""How many lists have a hit."""

from __future__ import annotations

from typing import Any

import keras
import keras_rs
from keras import ops

from recsys.model.metrics.stated_policy import StatedPolicy


@keras.saving.register_keras_serializable(package="recsys")
class AccuracyAtK(StatedPolicy, keras_rs.metrics.RecallAtK):  # type: ignore[misc]
    """Share of rows with at least one positive among their first k; also called hit rate.

    Ties, rows without a positive and sample weights: see the package.

    Args:
        k: slots that count, >= 1.
        name: `accuracy_at_<k>` by default.
        dtype: of the computation.
    """

    NAME = "accuracy"

    def compute_metric(self, y_true: Any, y_pred: Any, mask: Any, sample_weight: Any) -> Any:
        """1 or 0 per row, and its weight; each `(batch_size, 1)`."""
        recall, weights = super().compute_metric(y_true, y_pred, mask, sample_weight)
        return ops.cast(recall > 0, recall.dtype), weights
