"""Weighs the terms of the additive model for the top of the list, on the last days before the cut-off.

A trend, the user's likes, dislikes and genres each give a term; the head says how much each counts. It has about a dozen
non-negative weights, so it is found by direct search on validation NDCG@10, starting from the best single trend, and
refined with Keras where that is better. Pure trend is always among the candidates: the head is never worse on
validation than the best popularity baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.training.fit import Events

FloatArray = npt.NDArray[np.float32]
NUM_PERSONAL_TERMS = 3  # likes, dislikes, genres: the last terms of the model


@dataclass(frozen=True)
class HeadConfig:
    """How the head is chosen.

    Attributes:
        k: list length that validation looks at.
        horizon_days: length of a validation window: the time until the next nightly model.
        num_users: windows are added, newest first, until so many users with a like are in them.
        max_windows: at most so many windows.
        fallback_share: where windows hold too few users, one window with this share of the newest events stands in.
        candidates_per_term: each user's list is made from the best items of each term.
        exposure_penalty: validation objective = NDCG@k - this * dislike exposure@k.
        min_dislike_weight: the dislike term never counts less: a dislike always has an effect.
        grid: values tried for each weight, beside the best trend's 1.
        min_gain: a change must improve the objective by so much.
        epochs: of the Keras refinement.
        learning_rate: of the Keras refinement.
    """

    k: int = 10
    horizon_days: float = 1.0
    num_users: int = 1_500
    max_windows: int = 14
    fallback_share: float = 0.05
    candidates_per_term: int = 50
    exposure_penalty: float = 0.25
    min_dislike_weight: float = 0.1
    grid: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
    min_gain: float = 1e-3
    epochs: int = 20
    learning_rate: float = 0.02


@dataclass(frozen=True)
class Window:
    """Events aged between `end_days` and `start_days` before the cut-off are to be foretold from older ones."""

    start_days: float
    end_days: float


@dataclass(frozen=True)
class HeadExamples:
    """One list of candidates per user and window.

    Attributes:
        terms: float32 `(num_lists, num_candidates, num_terms)`.
        labels: int8 `(num_lists, num_candidates)`: 1 liked in the window, -1 disliked, 0 neither, padding -2.
        weights: float32 `(num_lists, num_candidates)`: sample weight of the example; 0 where the label is not +-1.
        num_liked: int `(num_lists,)`, >= 1, liked items in the window that the user had not seen.
        trend_half_lives_days: of the first terms.
    """

    terms: FloatArray
    labels: npt.NDArray[np.int8]
    weights: FloatArray
    num_liked: npt.NDArray[np.int64]
    trend_half_lives_days: tuple[float, ...]


@dataclass(frozen=True)
class Head:
    """Chosen weights `(num_terms,)`, where they came from, and validation metrics."""

    weights: FloatArray
    source: str
    best_trend_half_life_days: float
    metrics: dict[str, float]


def validation_windows(events: Events, config: HeadConfig) -> list[Window]:
    """The newest windows, as many as are needed for `num_users`; empty if there is no past to foretell from."""
    windows, num_users = [], 0
    for n in range(config.max_windows):
        window = Window((n + 1) * config.horizon_days, n * config.horizon_days)
        inside = events.is_like & (events.age_days < window.start_days) & (events.age_days >= window.end_days)
        if not (events.age_days >= window.start_days).any():
            break
        windows.append(window)
        num_users += len(np.unique(events.users[inside]))
        if num_users >= config.num_users:
            return windows
    share_days = float(np.quantile(events.age_days, config.fallback_share))
    if share_days > config.max_windows * config.horizon_days:
        return [Window(share_days, 0.0)]
    return windows


def collect_examples(
    events: Events, windows: list[Window], model_as_of: Callable[[Events], AdditiveModel], config: HeadConfig
) -> HeadExamples:
    """Candidates of every user with a new like, window by window, scored with what was known at its start."""
    lists: list[tuple[FloatArray, npt.NDArray[np.int8], FloatArray, int]] = []
    half_lives: tuple[float, ...] = ()
    num_terms = 0
    for window in windows:
        past = events.before(window.start_days)
        model = model_as_of(past)
        half_lives, num_terms = model.trend_half_lives_days, len(model.term_names)
        lists += _window_lists(events, past, window, model, config)
    if not lists:
        empty = np.zeros((0, 1, num_terms), np.float32)
        return HeadExamples(
            empty, np.zeros((0, 1), np.int8), np.zeros((0, 1), np.float32), np.zeros(0, np.int64), half_lives
        )
    length = max(len(labels) for _, labels, _, _ in lists)
    shape = (len(lists), length)
    terms = np.zeros((*shape, num_terms), np.float32)
    labels, weights = np.full(shape, -2, np.int8), np.zeros(shape, np.float32)
    for row, (list_terms, list_labels, list_weights, _) in enumerate(lists):
        size = len(list_labels)
        terms[row, :size], labels[row, :size], weights[row, :size] = list_terms, list_labels, list_weights
    return HeadExamples(terms, labels, weights, np.asarray([n for *_, n in lists]), half_lives)


def _window_lists(
    events: Events, past: Events, window: Window, model: AdditiveModel, config: HeadConfig
) -> list[tuple[FloatArray, npt.NDArray[np.int8], FloatArray, int]]:
    inside = (events.age_days < window.start_days) & (events.age_days >= window.end_days)
    users = np.unique(events.users[inside & events.is_like])
    weights, past_weights = events.weights(), past.weights()
    likes = past.matrix(np.where(past.is_like, past_weights, 0.0))[users]
    dislikes = past.matrix(np.where(past.is_like, 0.0, past_weights))[users]
    future = events.matrix(np.where(inside, np.where(events.is_like, weights, -weights), 0.0))[users]
    result = []
    for start in range(0, len(users), 128):
        block = slice(start, start + 128)
        inputs = {"likes": likes[block].toarray(), "dislikes": dislikes[block].toarray()}
        terms = [ops.convert_to_numpy(term) for term in model.terms(inputs)]
        seen = (inputs["likes"] > 0) | (inputs["dislikes"] > 0)
        ahead = np.where(seen, 0.0, future[block].toarray())
        best = _best_per_term(terms, seen, config.candidates_per_term)
        for row in np.flatnonzero((ahead > 0).any(axis=1)):
            chosen = np.union1d(best[row], np.flatnonzero(ahead[row]))
            chosen = chosen[~seen[row, chosen]]
            target = ahead[row, chosen]
            values = np.stack([term[row if len(term) > 1 else 0, chosen] for term in terms], axis=-1)
            num_liked = int((ahead[row] > 0).sum())
            result.append((values, np.sign(target).astype(np.int8), np.abs(target).astype(np.float32), num_liked))
    return result


def _best_per_term(terms: list[FloatArray], seen: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    """Positions of the best items by each term; `(num_users, num_terms * count)`, some of them seen where a term is shared.

    Args:
        terms: each `(num_users, num_items)`, or `(1, num_items)` where all users share it.
        seen: `(num_users, num_items)`.
        count: positions per term.
    """
    count = min(count, seen.shape[1])
    best = []
    for term in terms:
        masked = term if len(term) == 1 else np.where(seen, -np.inf, term)
        top = np.argpartition(-masked, count - 1, axis=1)[:, :count]
        best.append(np.broadcast_to(top, (len(seen), count)))
    return np.concatenate(best, axis=1)


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
