"""How many lists have a hit."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.metrics.recall_at_k import RecallAtK


@keras.saving.register_keras_serializable(package="recsys")
class AccuracyAtK(RecallAtK):
    """Share of rows with at least one positive among their first k; also called hit rate.

    Arguments as for `RecallAtK`; its name is `accuracy_at_<k>` by default.
    """

    NAME = "accuracy"

    def compute_metric(self, y_true: Any, y_pred: Any, mask: Any, sample_weight: Any) -> Any:
        """1 or 0 per row, and its weight; each `(batch_size, 1)`."""
        recall, weights = super().compute_metric(y_true, y_pred, mask, sample_weight)
        return ops.cast(recall > 0, recall.dtype), weights
