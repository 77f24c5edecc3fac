"""How high the positives stand."""

from __future__ import annotations

import keras
import keras_rs

from recsys.model.metrics.stated_policy import StatedPolicy


@keras.saving.register_keras_serializable(package="recsys")
class NDCG(StatedPolicy, keras_rs.metrics.NDCG):  # type: ignore[misc]
    """Discounted gain of the first k, as a share of what the best order would have; the mean over rows.

    The gain of a label is `2 ** label - 1`, the discount of rank r is `1 / log2(r + 1)`.

    Ties, rows without a positive and sample weights: see the package.

    Args:
        k: slots that count, >= 1; None takes the whole list.
        name: `ndcg_at_<k>` by default.
        dtype: of the computation.

    References:
        Jarvelin, Kekalainen, Cumulated gain-based evaluation of IR techniques, TOIS 2002. Burges et al., Learning to Rank
        using Gradient Descent, ICML 2005 (the gain).
    """

    NAME = "ndcg"
