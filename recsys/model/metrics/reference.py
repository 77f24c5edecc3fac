"""The ranking metrics in NumPy, row by row, as plainly as they can be said: what all others are checked against.

Policy: highest score first; of equal scores the lower position first; NaN is minus infinity. A label of -1 leaves the item
out of the list. A row without a positive (a label above 0) has no value: NaN here, and `mean_over_rows` leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64] | npt.NDArray[np.float32]


def ranked_labels(labels: Numbers, scores: Numbers) -> list[float]:
    """One row's labels in the order of its scores, best first, without those of -1.

    Args:
        labels: `(num_items,)`.
        scores: `(num_items,)`.
    """
    places = [n for n in range(len(labels)) if labels[n] >= 0]
    return [
        float(labels[n]) for n in sorted(places, key=lambda n: (math.inf if math.isnan(scores[n]) else -scores[n], n))
    ]


def accuracy_at_k(labels: Numbers, scores: Numbers, k: int) -> npt.NDArray[np.float64]:
    """1 if a positive is among the first k, else 0; `(batch_size,)` from two `(batch_size, num_items)`."""
    return _by_row(labels, scores, lambda ranked: float(any(label > 0 for label in ranked[:k])))


def precision_at_k(labels: Numbers, scores: Numbers, k: int) -> npt.NDArray[np.float64]:
    """Share of k slots that hold a positive; `(batch_size,)` from two `(batch_size, num_items)`."""
    return _by_row(labels, scores, lambda ranked: sum(label > 0 for label in ranked[:k]) / k)


def recall_at_k(labels: Numbers, scores: Numbers, k: int) -> npt.NDArray[np.float64]:
    """Share of the positives that are among the first k; `(batch_size,)` from two `(batch_size, num_items)`."""
    return _by_row(
        labels, scores, lambda ranked: sum(label > 0 for label in ranked[:k]) / sum(label > 0 for label in ranked)
    )


def ndcg(labels: Numbers, scores: Numbers, k: int | None = None) -> npt.NDArray[np.float64]:
    """Discounted gain over that of the best order; `(batch_size,)` from two `(batch_size, num_items)`."""
    return _by_row(labels, scores, lambda ranked: _gain(ranked[:k]) / _gain(sorted(ranked, reverse=True)[:k]))


def mrr(labels: Numbers, scores: Numbers, k: int | None = None) -> npt.NDArray[np.float64]:
    """One over the rank of the first positive, 0 without one in k; `(batch_size,)` from two `(batch_size, num_items)`."""
    return _by_row(
        labels, scores, lambda ranked: next((1 / rank for rank, label in enumerate(ranked[:k], 1) if label > 0), 0.0)
    )


def mean_over_rows(values: npt.NDArray[np.float64], sample_weight: Numbers | None = None) -> float:
    """Weighted mean of the rows that count: those with a value and a weight above 0; 0 if there are none.

    Args:
        values: `(batch_size,)`, NaN where a row has no value.
        sample_weight: `(batch_size,)`; 1 each without.
    """
    weights = np.ones(len(values)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    counts = ~np.isnan(values) & (weights > 0)
    return float(np.average(values[counts], weights=weights[counts])) if counts.any() else 0.0


def _gain(ranked: list[float]) -> float:
    return sum((2**label - 1) / math.log2(rank + 1) for rank, label in enumerate(ranked, 1))


def _by_row(labels: Numbers, scores: Numbers, metric: Callable[[list[float]], float]) -> npt.NDArray[np.float64]:
    values = []
    for row_labels, row_scores in zip(labels, scores, strict=True):
        ranked = ranked_labels(row_labels, row_scores)
        values.append(metric(ranked) if any(label > 0 for label in ranked) else math.nan)
    return np.array(values)
