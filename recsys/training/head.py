"""Weighs the terms of the additive model for the top of the list, on the last days before the cut-off.

A trend, the user's likes, dislikes and genres each give a term; the head says how much each counts. It has about a dozen
non-negative weights, so it is found by direct search on validation NDCG@10, starting from the best single trend, and
refined with Keras where that is better. Pure trend is always among the candidates: the head is never worse on
validation than the best popularity baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.training.head_examples import HeadConfig, HeadExamples

FloatArray = npt.NDArray[np.float32]
NUM_PERSONAL_TERMS = 3  # likes, dislikes, genres: the last terms of the model


@dataclass(frozen=True)
class Head:
    """Chosen weights `(num_terms,)`, where they came from, and validation metrics."""

    weights: FloatArray
    source: str
    best_trend_half_life_days: float
    metrics: dict[str, float]


def objective(examples: HeadExamples, weights: FloatArray, config: HeadConfig) -> tuple[float, float, float]:
    """(NDCG@k - penalty * dislike exposure@k, NDCG@k, dislike exposure@k) of the lists that `weights` makes."""
    scores = np.where(examples.labels == -2, -np.inf, examples.terms @ weights)
    k = min(config.k, scores.shape[1])
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    labels = np.take_along_axis(examples.labels, top, axis=1)
    discount = 1.0 / np.log2(np.arange(2, config.k + 2))
    ideal = np.cumsum(discount)[np.minimum(examples.num_liked, config.k) - 1]
    ndcg = float((((labels == 1) * discount[:k]).sum(axis=1) / ideal).mean())
    exposure = float((labels == -1).mean())
    return ndcg - config.exposure_penalty * exposure, ndcg, exposure


def search_reg(
    grid: tuple[float, ...], examples_for: Callable[[float], HeadExamples], config: HeadConfig
) -> tuple[float, HeadExamples]:
    """The ridge under which trend plus likes does best, with its examples."""
    best: tuple[float, float, HeadExamples] | None = None
    for reg in grid:
        examples = examples_for(reg)
        if not len(examples.num_liked):
            return reg, examples
        trend, _ = best_trend(examples, config)
        value = -np.inf
        for beta in config.grid:
            weights = trend.copy()
            weights[-NUM_PERSONAL_TERMS] = beta
            value = max(value, objective(examples, weights, config)[0])
        if best is None or value > best[1] + config.min_gain:
            best = (reg, value, examples)
    if best is None:
        raise ValueError("Expected at least one value in reg_grid, got none.")
    return best[0], best[2]


def best_trend(examples: HeadExamples, config: HeadConfig) -> tuple[FloatArray, int]:
    """The best single trend (with the least dislike weight), and its position."""
    num_terms = examples.terms.shape[-1]
    candidates = np.eye(num_terms, dtype=np.float32)[: num_terms - NUM_PERSONAL_TERMS]
    candidates[:, -2] = config.min_dislike_weight
    values = [objective(examples, weights, config)[0] for weights in candidates]
    best = int(np.argmax(values))
    return candidates[best], best


def fit_head(examples: HeadExamples, config: HeadConfig, seed: int) -> Head:
    """Best trend, then coordinate search, then Keras; each stands only where it beats the one before."""
    if not len(examples.num_liked):
        return _untuned_head(examples, config)
    weights, position = best_trend(examples, config)
    source, value = "trend", objective(examples, weights, config)
    for name, improve in (("search", coordinate_search), ("keras", keras_refinement)):
        candidate = improve(examples, weights, config, seed)
        candidate_value = objective(examples, candidate, config)
        if candidate_value[0] > value[0] + config.min_gain:
            weights, value, source = candidate, candidate_value, name
    num_trends = examples.terms.shape[-1] - NUM_PERSONAL_TERMS
    metrics = {
        "validation_ndcg_at_10": value[1],
        "validation_dislike_exposure_at_10": value[2],
        "validation_num_lists": float(len(examples.num_liked)),
        "validation_ndcg_at_10_best_trend": objective(examples, best_trend(examples, config)[0], config)[1],
    }
    # The ranking does not change with the scale: with trends that sum to at most 1, scores stay of order 1 and float32 exact.
    scale = max(float(weights[:num_trends].sum()), float(weights.max()), 1e-12)
    return Head(weights / np.float32(scale), source, examples.trend_half_lives_days[position], metrics)


def _untuned_head(examples: HeadExamples, config: HeadConfig) -> Head:
    """Without anything to validate on: the longest trend and the least dislike weight."""
    weights = np.zeros(examples.terms.shape[-1] or len(examples.trend_half_lives_days) + NUM_PERSONAL_TERMS, np.float32)
    weights[-NUM_PERSONAL_TERMS - 1], weights[-2] = 1.0, config.min_dislike_weight
    half_life = examples.trend_half_lives_days[-1] if examples.trend_half_lives_days else float("inf")
    return Head(weights, "untuned", half_life, {"validation_num_lists": 0.0})


def coordinate_search(examples: HeadExamples, start: FloatArray, config: HeadConfig, seed: int) -> FloatArray:
    """Tries every value of the grid for one weight after another, twice over; keeps what improves the objective."""
    del seed  # nothing random here; the argument keeps the improvers alike
    weights, value = start.copy(), objective(examples, start, config)[0]
    order = [*range(len(start) - NUM_PERSONAL_TERMS, len(start)), *range(len(start) - NUM_PERSONAL_TERMS)]
    for _ in range(2):
        for position in order:
            for step in config.grid:
                trial = weights.copy()
                trial[position] = step
                trial[-2] = max(trial[-2], config.min_dislike_weight)
                trial_value = objective(examples, trial, config)[0]
                if trial_value > value + config.min_gain:
                    weights, value = trial, trial_value
    return weights


class _Head(keras.layers.Layer):  # type: ignore[misc]
    """Candidate scores from terms: `(batch_size, num_candidates, num_terms)` -> `(batch_size, num_candidates)`."""

    def __init__(self, start: FloatArray) -> None:
        super().__init__()
        self.start = start

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.head = self.add_weight(
            name="head",
            shape=(input_shape[-1],),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.start, dtype),
            constraint=keras.constraints.NonNeg(),
        )

    def call(self, terms: object) -> object:
        return ops.matmul(terms, ops.expand_dims(self.head, -1))[..., 0]


def listwise_loss(targets: Any, scores: Any) -> Any:
    """Softmax cross-entropy of the liked candidates plus a logistic cost of each disliked one against their mean.

    Args:
        targets: `(batch_size, num_candidates)`: sample weight where liked, minus it where disliked, NaN-free; padding is
            below -1.
        scores: `(batch_size, num_candidates)`.

    Returns:
        `(batch_size,)`.
    """
    is_real = ops.cast(ops.greater(targets, -1.5), "float32")
    liked = ops.maximum(targets, 0.0)
    disliked = ops.maximum(-targets, 0.0) * is_real
    log_total = ops.logsumexp(scores - 1e9 * (1.0 - is_real), axis=1, keepdims=True)
    of_likes = ops.sum(liked * (log_total - scores), axis=1)
    mean_liked = ops.sum(liked * scores, axis=1, keepdims=True) / ops.maximum(
        ops.sum(liked, axis=1, keepdims=True), 1e-9
    )
    return of_likes + ops.sum(disliked * ops.softplus(scores - mean_liked), axis=1)


def keras_refinement(examples: HeadExamples, start: FloatArray, config: HeadConfig, seed: int) -> FloatArray:
    """Gradient descent on `listwise_loss` from `start`, with the examples' sample weights."""
    keras.utils.set_random_seed(seed)
    temperature = 10.0  # scores of order 1 make a flat softmax; the ranking does not change with it
    model = keras.Sequential([keras.Input(examples.terms.shape[1:]), _Head(start * temperature)])
    model.compile(optimizer=keras.optimizers.Adam(config.learning_rate), loss=listwise_loss)
    targets = np.where(examples.labels == -2, -2.0, np.sign(examples.labels) * examples.weights).astype(np.float32)
    model.fit(examples.terms, targets, batch_size=64, epochs=config.epochs, verbose=0)
    weights = np.asarray(ops.convert_to_numpy(model.layers[-1].head) / temperature, np.float32)
    weights[-2] = max(weights[-2], config.min_dislike_weight)
    return weights


def opinions_of(
    examples: HeadExamples, weights: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Scores of what users had an opinion on in the windows, whether they liked it, and scores of all candidates."""
    if not examples.labels.size:
        empty = np.zeros(0)
        return empty, empty.astype(bool), empty
    scores = (examples.terms @ weights).astype(np.float64)
    opinion = np.abs(examples.labels) == 1
    return scores[opinion], examples.labels[opinion] == 1, scores[examples.labels > -2]
