"""How high the first positive stands."""

from __future__ import annotations

from typing import Any

import keras
import keras_rs

from recsys.model.metrics.stated_policy import StatedPolicy


@keras.saving.register_keras_serializable(package="recsys")
class MRR(StatedPolicy, keras_rs.metrics.MeanReciprocalRank):  # type: ignore[misc]
    """One over the rank of the best-placed positive, 0 if it is not among the first k; the mean over rows.

    Ties, rows without a positive and sample weights: see the package.

    Args:
        k: slots that count, >= 1; None takes the whole list.
        name: `mrr`, with a k `mrr_at_<k>`, by default.
        dtype: of the computation.
    """

    NAME = "mrr"

    def __init__(self, k: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(k, name, dtype)
