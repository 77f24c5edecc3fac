"""Weighs the terms of the additive model for the top of the list, on what is newest.

A trend, what the user likes, met lately and dislikes, and their genres each give a term; the head says how much each counts.
It has less than twenty non-negative weights, so it is found by direct search on validation NDCG@10 from two starting points,
the best trend with the next shorter one and the likes alone, and refined with Keras where that is better. The best single
trend stands where it is clearly better: on validation the head is never further below the best popularity baseline than
`trend_margin`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.model.additive import MODIFIERS, head_names
from recsys.training.head.examples import HeadExamples
from recsys.training.head.refinement import keras_refinement
from recsys.training.head.search import HeadSearch
from recsys.training.recipe.recipe import HeadConfig

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """Chosen weights `(num_weights,)`, where they came from, and validation metrics."""

    weights: FloatArray
    source: str
    best_trend_half_life_days: float
    metrics: dict[str, float]


def fit_head(examples: HeadExamples, config: HeadConfig, seed: int) -> Head:
    """Search, unless the best trend is clearly better; then Keras, where that is better."""
    if not len(examples.num_liked):
        return _untuned_head(examples, config)
    search = HeadSearch(examples, config)
    position = search.best_trend()
    weights, source = search.trend_alone(position), "trend"
    values = search.values(search.scores(weights))
    searched = search.improve(search.personal(search.trends_near(position)))
    from_likes = search.improve(search.personal(search.likes_alone()))
    if search.is_better(from_likes[1], searched[1]):
        searched = from_likes
    if searched[1].mean() > values.mean() - config.trend_margin * max(float(values.mean()), 0.0):
        weights, values, source = *searched, "search"
    if len(examples.num_liked) >= config.min_refined:
        refined = keras_refinement(search, weights, seed)
        if search.is_better(search.values(search.scores(refined)), values):
            weights, source = refined, "keras"
    ndcg, exposure = search.measure(search.scores(weights))
    metrics = {
        "validation_ndcg_at_10": ndcg,
        "validation_dislike_exposure_at_10": exposure,
        "validation_num_lists": float(len(examples.num_liked)),
        "validation_ndcg_at_10_best_trend": search.ndcg(search.trend_alone(position)),
    }
    half_life = examples.trend_half_lives_days[position]
    return Head(_scaled(weights / search.units, search.num_trends), source, half_life, metrics)


def _scaled(weights: FloatArray, num_trends: int) -> FloatArray:
    """The ranking does not change with the scale: with weights that are at most 1, float32 scores stay exact."""
    number = len(weights) - len(MODIFIERS)
    scale = max(float(weights[:num_trends].sum()), float(weights[:number].max()), 1e-12)
    return np.asarray(np.concatenate([weights[:number] / scale, weights[number:]]), np.float32)


def _untuned_head(examples: HeadExamples, config: HeadConfig) -> Head:
    """Without anything to validate on: the longest trend and the least dislike weight."""
    names = head_names(examples.trend_half_lives_days)
    weights = np.zeros(len(names), np.float32)
    weights[names.index("dislikes")] = config.min_dislike_weight
    half_life = float("inf")
    if examples.trend_half_lives_days:
        weights[len(examples.trend_half_lives_days) - 1] = 1.0
        half_life = examples.trend_half_lives_days[-1]
    return Head(weights, "untuned", half_life, {"validation_num_lists": 0.0})


def opinions_of(
    examples: HeadExamples, weights: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Scores of what users had an opinion on in the windows, whether they liked it, and scores of all candidates."""
    if not examples.labels.size:
        empty = np.zeros(0)
        return empty, empty.astype(bool), empty
    scores = examples.scores(weights).astype(np.float64)
    opinion = np.abs(examples.labels) == 1
    return scores[opinion], examples.labels[opinion] == 1, scores[examples.labels > -2]
