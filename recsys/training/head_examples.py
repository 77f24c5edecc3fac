"""What the head is weighed on: lists of candidates from the last days, with what users then liked and disliked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from keras import ops

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.model.feature_adjustment import FeatureVocabulary
    from recsys.training.events import Events

FloatArray = npt.NDArray[np.float32]


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
    events: Events,
    windows: list[Window],
    model_as_of: Callable[[Events], AdditiveModel],
    features: FeatureVocabulary,
    config: HeadConfig,
) -> HeadExamples:
    """Candidates of every user with a new like, window by window, scored with what was known at its start."""
    lists: list[tuple[FloatArray, npt.NDArray[np.int8], FloatArray, int]] = []
    half_lives: tuple[float, ...] = ()
    num_terms = 0
    for window in windows:
        past = events.before(window.start_days)
        model = model_as_of(past)
        half_lives, num_terms = model.trend_half_lives_days, len(model.term_names)
        lists += _window_lists(events, past, window, model, features, config)
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
    events: Events,
    past: Events,
    window: Window,
    model: AdditiveModel,
    features: FeatureVocabulary,
    config: HeadConfig,
) -> list[tuple[FloatArray, npt.NDArray[np.int8], FloatArray, int]]:
    inside = (events.age_days < window.start_days) & (events.age_days >= window.end_days)
    users = np.unique(events.users[inside & events.is_like])
    weights, past_weights = events.weights(), past.weights()
    likes = past.matrix(np.where(past.is_like, past_weights, 0.0))[users]
    dislikes = past.matrix(np.where(past.is_like, 0.0, past_weights))[users]
    logs = past.feature_logs(features)[users]
    future = events.matrix(np.where(inside, np.where(events.is_like, weights, -weights), 0.0))[users]
    result = []
    for start in range(0, len(users), 128):
        block = slice(start, start + 128)
        inputs = {"likes": likes[block].toarray(), "dislikes": dislikes[block].toarray()}
        terms = [ops.convert_to_numpy(term) for term in model.terms(inputs)]
        if logs[block].nnz:  # as `AdditiveModel.call` does where scores are positive, which those near the top are
            multipliers = features.item_multipliers(logs[block])
            terms = [term * multipliers for term in terms]
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
