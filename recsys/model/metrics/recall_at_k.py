"""How many of the positives are found."""

from __future__ import annotations

import keras
import keras_rs

from recsys.model.metrics.stated_policy import StatedPolicy


@keras.saving.register_keras_serializable(package="recsys")
class RecallAtK(StatedPolicy, keras_rs.metrics.RecallAtK):  # type: ignore[misc]
    """Share of the positives that are among the first k; the mean over rows.

    Ties, rows without a positive and sample weights: see the package.

    Args:
        k: slots that count, >= 1.
        name: `recall_at_<k>` by default.
        dtype: of the computation.
    """

    NAME = "recall"
