"""Weighs the terms of the additive model for the top of the list, on what is newest.

A trend, what the user likes, met lately and dislikes, and their genres each give a term; the head says how much each counts.
It has less than twenty non-negative weights, so it is found by direct search on validation NDCG@10 from two starting points,
the best single trend and the likes alone, and refined with Keras where that is better. The best single trend is
always among the candidates: the head is never worse on validation than the best popularity baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.additive import MODIFIERS, PERSONAL_TERMS, combine, head_names
from recsys.training.head_examples import HeadConfig, HeadExamples

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """Chosen weights `(num_weights,)`, where they came from, and validation metrics."""

    weights: FloatArray
    source: str
    best_trend_half_life_days: float
    metrics: dict[str, float]


class HeadSearch:
    """Validation lists, and what a head is worth on them. Weights of personal terms are in units of the term's size."""

    def __init__(self, examples: HeadExamples, config: HeadConfig) -> None:
        self.examples, self.config = examples, config
        self.names = head_names(examples.trend_half_lives_days)
        self.num_trends = len(examples.trend_half_lives_days)
        sizes = [_size(examples.terms[..., self.num_trends + j]) for j in range(len(PERSONAL_TERMS))]
        recent = sizes[PERSONAL_TERMS.index("recent")]
        self.units = np.array([*(1.0 for _ in range(self.num_trends)), *sizes, recent, 1.0], np.float32)
        k = config.k
        self.discount = 1.0 / np.log2(np.arange(2, k + 2))
        self.ideal = np.cumsum(self.discount)[np.minimum(examples.num_liked, k) - 1]
        self.disliking = (examples.labels == -1).any(axis=1)
        self.bearable = config.bearable_share * self.exposure(self.likes_alone())

    def place(self, name: str) -> int:
        """Position of a weight."""
        return self.names.index(name)

    def least(self, weights: FloatArray) -> FloatArray:
        """The same weights, with the least that a dislike must count."""
        result = weights.copy()
        dislikes = self.place("dislikes")
        result[dislikes] = max(result[dislikes], self.config.min_dislike_weight)
        return result

    def trend_alone(self, position: int) -> FloatArray:
        """A single trend."""
        weights = np.zeros(len(self.names), np.float32)
        weights[position] = 1.0
        return self.least(weights)

    def likes_alone(self) -> FloatArray:
        """What a collaborative model without time would do; the longest trend for users without likes."""
        weights = np.zeros(len(self.names), np.float32)
        weights[self.place("likes")], weights[self.num_trends - 1] = 1.0, 1e-3
        return weights

    def scores(self, weights: FloatArray) -> FloatArray:
        """Of the candidates; see `HeadExamples.scores`."""
        return self.examples.scores(weights / self.units)

    def measure(self, scores: FloatArray) -> tuple[float, float]:
        """(NDCG@k, dislike exposure@k among users with a dislike to come) of the lists that these scores make."""
        k = min(self.config.k, scores.shape[1])
        top = ops.convert_to_numpy(ops.top_k(scores, k)[1])  # ties: the lower position first
        labels = np.take_along_axis(self.examples.labels, top, axis=1)
        ndcg = float((((labels == 1) * self.discount[:k]).sum(axis=1) / self.ideal).mean())
        exposure = float((labels[self.disliking] == -1).mean()) if self.disliking.any() else 0.0
        return ndcg, exposure

    def ndcg(self, weights: FloatArray) -> float:
        """NDCG@k of the lists that `weights` makes."""
        return self.measure(self.scores(weights))[0]

    def exposure(self, weights: FloatArray) -> float:
        """Dislike exposure@k of the lists that `weights` makes."""
        return self.measure(self.scores(weights))[1]

    def value(self, scores: FloatArray, penalty: float = 0.0) -> float:
        """What a search maximises: NDCG, less dislike exposure, less `penalty` times what of it is above `bearable`."""
        ndcg, exposure = self.measure(scores)
        return ndcg - self.config.exposure_penalty * exposure - penalty * max(exposure - self.bearable, 0.0)

    def best_trend(self) -> int:
        """Position of the trend that does best alone, by NDCG."""
        return int(np.argmax([self.ndcg(self.trend_alone(h)) for h in range(self.num_trends)]))

    def improve(self, start: FloatArray, penalty: float = 0.0) -> tuple[FloatArray, float]:
        """Tries every value of the grid for one weight after another, twice over; keeps what improves the value."""
        weights, value = start, self.value(self.scores(start), penalty)
        order = [*range(self.num_trends, len(self.names)), *range(self.num_trends)]
        for _ in range(2):
            for position in order:
                for trial, scores in self._trials(weights, position):
                    trial_value = self.value(scores, penalty)
                    if trial_value > value + self.config.min_gain * max(value, 0.0):
                        weights, value = trial, trial_value
        return weights, value

    def _trials(self, weights: FloatArray, position: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """The same weights but for one, with the scores that they make."""

        def with_value(value: float) -> FloatArray:
            trial = weights.copy()
            trial[position] = value
            return self.least(trial)

        if self.names[position] == "regard_power":
            for power in self.config.power_grid:
                yield with_value(power), self.scores(with_value(power))
            return
        # A score is a straight line in any one of the other weights: two points give all.
        low, high = with_value(0.0), with_value(1.0)
        from_low = self.scores(low)
        slope = (self.scores(high) - from_low) / (high[position] - low[position])
        for step in self.config.trend_grid if position < self.num_trends else self.config.grid:
            trial = with_value(step)
            yield trial, from_low + (trial[position] - low[position]) * slope

    def spare_dislikes(self, free: FloatArray, simple: FloatArray) -> FloatArray:
        """Gives away accuracy for fewer disliked items, but at most half of what `free` has above the best simple system.

        Lists that foretell better what users will meet next also foretell what they will dislike. The bound comes from the
        likes alone: what a collaborative model shows that does not look at time.
        """
        least = (self.ndcg(free) + max(self.ndcg(simple), self.ndcg(self.likes_alone()))) / 2.0
        if self.exposure(free) <= self.bearable:
            return free
        for penalty in self.config.excess_penalties:
            trial, _ = self.improve(free, penalty)
            if self.ndcg(trial) >= least:
                return trial
        return free


def _size(term: FloatArray) -> float:
    values = np.abs(term[term != 0.0])
    return float(np.quantile(values, 0.99)) if values.size else 1.0


def search_setting(
    grid: tuple[float, ...], examples_for: Callable[[float], HeadExamples], term: str, config: HeadConfig
) -> float:
    """The setting under which trend plus one term, or the term alone, does best.

    Args:
        grid: values to choose from.
        examples_for: setting -> examples.
        term: one of `PERSONAL_TERMS`, which the setting is about.
        config: says what is best.
    """
    if not grid:
        raise ValueError("Expected at least one setting to choose from, got none.")
    best, best_value = grid[0], -np.inf
    for reg in grid:
        examples = examples_for(reg)
        if not len(examples.num_liked):
            break
        search = HeadSearch(examples, config)
        trend, value = search.trend_alone(search.best_trend()), -np.inf
        for scale in (0.0, 1.0):
            for step in config.grid[1:]:
                weights = scale * trend
                weights[search.place(term)] = step
                value = max(value, search.ndcg(search.least(weights)))
        if value > best_value + config.min_gain * max(best_value, 0.0):
            best, best_value = reg, value
    return best


def fit_head(examples: HeadExamples, config: HeadConfig, seed: int) -> Head:
    """Best trend, then search, then Keras; each stands only where it beats the one before."""
    if not len(examples.num_liked):
        return _untuned_head(examples, config)
    search = HeadSearch(examples, config)
    position = search.best_trend()
    weights, source = search.trend_alone(position), "trend"
    value = search.value(search.scores(weights))
    searched = max((search.improve(start) for start in (weights, search.least(search.likes_alone()))), key=_value)
    if searched[1] > value + config.min_gain * max(value, 0.0):
        weights, value, source = *searched, "search"
    if len(examples.num_liked) >= config.min_refined:
        refined = keras_refinement(search, weights, seed)
        if search.value(search.scores(refined)) > value + config.min_gain * max(value, 0.0):
            weights, source = refined, "keras"
    weights = search.spare_dislikes(weights, search.trend_alone(position))
    ndcg, exposure = search.measure(search.scores(weights))
    metrics = {
        "validation_ndcg_at_10": ndcg,
        "validation_dislike_exposure_at_10": exposure,
        "validation_dislike_exposure_at_10_likes_alone": search.exposure(search.likes_alone()),
        "validation_num_lists": float(len(examples.num_liked)),
        "validation_ndcg_at_10_best_trend": search.ndcg(search.trend_alone(position)),
    }
    half_life = examples.trend_half_lives_days[position]
    return Head(_scaled(weights / search.units, search.num_trends), source, half_life, metrics)


def _value(found: tuple[FloatArray, float]) -> float:
    return found[1]


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


class _Head(keras.layers.Layer):  # type: ignore[misc]
    """Scores of candidates from `(batch_size, num_candidates, num_terms + 2)`: terms, regard, multipliers."""

    def __init__(self, start: FloatArray, num_trends: int) -> None:
        super().__init__()
        self.start, self.num_trends = start, num_trends

    def build(self, input_shape: tuple[int, ...]) -> None:
        del input_shape
        self.head = self.add_weight(
            name="head",
            shape=self.start.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.start, dtype),
            constraint=keras.constraints.NonNeg(),
        )

    def call(self, inputs: Any) -> Any:
        number = self.num_trends
        trend = ops.matmul(inputs[..., :number], ops.expand_dims(self.head[:number], -1))[..., 0]
        personal = [inputs[..., number + j] for j in range(len(PERSONAL_TERMS))]
        return combine(trend, personal, inputs[..., -2], self.head[number:]) * inputs[..., -1]


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


def keras_refinement(search: HeadSearch, start: FloatArray, seed: int) -> FloatArray:
    """Gradient descent on `listwise_loss` from `start`, with the examples' sample weights."""
    keras.utils.set_random_seed(seed)
    examples, number = search.examples, search.num_trends + len(PERSONAL_TERMS)
    temperature = np.ones(len(start), np.float32)
    temperature[:number] = 10.0  # scores of order 1 make a flat softmax; the ranking does not change with it
    terms = examples.terms / search.units[:number]
    inputs = np.concatenate([terms, examples.regard[..., None], examples.multipliers[..., None]], axis=-1)
    model = keras.Sequential([keras.Input(inputs.shape[1:]), _Head(start * temperature, search.num_trends)])
    model.compile(optimizer=keras.optimizers.Adam(search.config.learning_rate), loss=listwise_loss)
    targets = np.where(examples.labels == -2, -2.0, np.sign(examples.labels) * examples.weights).astype(np.float32)
    model.fit(inputs, targets, batch_size=64, epochs=search.config.epochs, verbose=0)
    return search.least(np.asarray(ops.convert_to_numpy(model.layers[-1].head) / temperature, np.float32))


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
