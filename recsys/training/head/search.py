"""Direct search for the head on validation NDCG@10: it has less than twenty weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.additive import PERSONAL_TERMS, head_names
from recsys.training.head.examples import HeadExamples
from recsys.training.recipe.recipe import HeadConfig

FloatArray = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Setting = TypeVar("Setting")


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

    def trends_near(self, position: int) -> FloatArray:
        """A trend and the next shorter one in equal parts: that one sees first what has just come out."""
        weights = self.trend_alone(position)
        if position > 0:
            weights[position - 1 : position + 1] = 0.5
        return weights

    def likes_alone(self) -> FloatArray:
        """What a collaborative model without time would do; the longest trend for users without likes."""
        weights = np.zeros(len(self.names), np.float32)
        weights[self.place("likes")], weights[self.num_trends - 1] = 1.0, 1e-3
        return self.least(weights)

    def personal(self, weights: FloatArray) -> FloatArray:
        """The same weights, with what validation does not choose: power of approval rates, least of likes and recent events."""
        result = self.least(weights)
        result[self.place("regard_power")] = self.config.regard_power
        for name, least in (("likes", self.config.min_likes_weight), ("recent", self.config.min_recent_weight)):
            result[self.place(name)] = max(result[self.place(name)], least)
        return result

    def scores(self, weights: FloatArray) -> FloatArray:
        """Of the candidates; see `HeadExamples.scores`."""
        return self.examples.scores(weights / self.units)

    def _top_labels(self, scores: FloatArray) -> npt.NDArray[np.int8]:
        """Labels of the first k of every list; `(num_lists, k)`."""
        top = ops.convert_to_numpy(
            ops.top_k(scores, min(self.config.k, scores.shape[1]))[1]
        )  # ties: lower position first
        return np.take_along_axis(self.examples.labels, top, axis=1)

    def _ndcgs(self, labels: npt.NDArray[np.int8]) -> Values:
        return np.asarray(((labels == 1) * self.discount[: labels.shape[1]]).sum(axis=1) / self.ideal)

    def measure(self, scores: FloatArray) -> tuple[float, float]:
        """(NDCG@k, dislike exposure@k among users with a dislike to come) of the lists that these scores make."""
        labels = self._top_labels(scores)
        exposure = float((labels[self.disliking] == -1).mean()) if self.disliking.any() else 0.0
        return float(self._ndcgs(labels).mean()), exposure

    def ndcg(self, weights: FloatArray) -> float:
        """NDCG@k of the lists that `weights` makes."""
        return self.measure(self.scores(weights))[0]

    def values(self, scores: FloatArray) -> Values:
        """What a search maximises the mean of: NDCG, less dislike exposure; float64 `(num_lists,)`."""
        labels = self._top_labels(scores)
        shown = np.where(
            self.disliking, (labels == -1).mean(axis=1), 0.0
        )  # a mean over those who have a dislike to come
        return self._ndcgs(labels) - self.config.exposure_penalty * shown / max(float(self.disliking.mean()), 1e-12)

    def is_better(self, values: Values, than: Values) -> bool:
        """Whether the mean is higher by `min_gain` and by `min_errors` standard errors of the difference."""
        gain = values - than
        chance = float(gain.std(ddof=1)) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
        needed = max(self.config.min_gain * max(float(than.mean()), 0.0), self.config.min_errors * chance)
        return bool(gain.mean() > needed)

    def best_trend(self) -> int:
        """Position of the trend that does best alone, by NDCG."""
        return int(np.argmax([self.ndcg(self.trend_alone(h)) for h in range(self.num_trends)]))

    def improve(self, start: FloatArray) -> tuple[FloatArray, Values]:
        """Tries every value of the grid for one weight after another, twice over; keeps what is better."""
        weights, values = start, self.values(self.scores(start))
        searched = [n for n in range(self.num_trends, len(self.names)) if n != self.place("regard_power")]
        for position in 2 * [*searched, *range(self.num_trends)]:
            for trial, scores in self._trials(weights, position):
                trial_values = self.values(scores)
                if self.is_better(trial_values, values):
                    weights, values = trial, trial_values
        return weights, values

    def _trials(self, weights: FloatArray, position: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """The same weights but for one, with the scores that they make."""

        def with_value(value: float) -> FloatArray:
            trial = weights.copy()
            trial[position] = value
            return self.personal(trial)

        # A score is a straight line in any one of these weights: two points give all.
        low, high = with_value(0.0), with_value(1.0)
        from_low = self.scores(low)
        slope = (self.scores(high) - from_low) / (high[position] - low[position])
        for step in self.config.trend_grid if position < self.num_trends else self.config.grid:
            trial = with_value(step)
            yield trial, from_low + (trial[position] - low[position]) * slope


def _size(term: FloatArray) -> float:
    values = np.abs(term[term != 0.0])
    return float(np.quantile(values, 0.99)) if values.size else 1.0


def term_value(examples: HeadExamples, term: str, config: HeadConfig) -> float:
    """NDCG@k of the best trend plus one term, or of the term alone, whatever is more; 0 without lists.

    Few heads are tried: what compares settings must not be better at finding noise in one than in another.

    Args:
        examples: under the setting.
        term: one of `PERSONAL_TERMS`, which the setting is about.
        config: says what is tried.
    """
    if not len(examples.num_liked):
        return 0.0
    search = HeadSearch(examples, config)
    trend, value = search.trend_alone(search.best_trend()), 0.0
    for scale in (0.0, 1.0):
        for step in config.grid[1:]:
            weights = scale * trend
            weights[search.place(term)] = step
            value = max(value, search.ndcg(search.least(weights)))
    return value


def search_setting(
    grid: tuple[float, ...], examples_for: Callable[[float], HeadExamples], term: str, config: HeadConfig
) -> tuple[float, float]:
    """The setting with the best `term_value`, and that; a later one must be better by `min_gain`.

    Args:
        grid: values to choose from.
        examples_for: setting -> examples.
        term: one of `PERSONAL_TERMS`, which the setting is about.
        config: says what is best.
    """
    if not grid:
        raise ValueError("Expected at least one setting to choose from, got none.")
    found = [(setting, term_value(examples_for(setting), term, config)) for setting in grid]
    return best_of(found, config.min_gain)


def best_of(found: list[tuple[Setting, float]], min_gain: float) -> tuple[Setting, float]:
    """The setting of the highest value; an earlier one stands unless a later one is better by that share."""
    best, best_value = found[0]
    for setting, value in found[1:]:
        if value > best_value + min_gain * best_value:
            best, best_value = setting, value
    return best, best_value
