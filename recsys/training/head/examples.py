"""What the head is weighed on: lists of candidates, with what users then liked and disliked.

The newest days are predicted from what came before them, as the next night will have to. Where most users did everything in
one sitting, the newest days hold hardly anybody with a past: then the end of every user's own history is predicted from
its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.additive import PERSONAL_TERMS, combine
from recsys.model.scorer import Scorer
from recsys.training.dataset.events import Events
from recsys.training.recipe.recipe import HeadConfig

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.model.feature_adjustment import FeatureVocabulary

FloatArray = npt.NDArray[np.float32]
Eligible = Callable[[datetime], npt.NDArray[np.bool_]]
USERS_PER_BLOCK = 512  # bounds the memory of dense terms
PADDING = -1e30  # below every score, and finite: scores are subtracted from each other


@dataclass(frozen=True)
class ValidationSplit:
    """What is known, and what is to be predicted from it.

    Attributes:
        past: what is known, aged as of then.
        future: mask over all events, `(num_events,)`.
        eligible: which items could be recommended then, `(num_items,)`.
    """

    past: Events
    future: npt.NDArray[np.bool_]
    eligible: npt.NDArray[np.bool_]

    def users_with_a_like(self, events: Events) -> npt.NDArray[np.int64]:
        """Who likes an eligible item in the future."""
        return np.unique(events.users[self.future & events.is_like & self.eligible[events.items]])


@dataclass(frozen=True)
class HeadExamples:
    """One list of candidates per user and split.

    Attributes:
        terms: float32 `(num_lists, num_candidates, num_terms)`: the trends, then `PERSONAL_TERMS`.
        regard: float32 `(num_lists, num_candidates)`, approval rates of the items.
        multipliers: the same shape: what the user's feature adjustments leave of the item.
        labels: int8 `(num_lists, num_candidates)`: 1 liked in the window, -1 disliked, 0 neither, padding -2.
        weights: float32 `(num_lists, num_candidates)`: sample weight of the example; 0 where the label is not +-1.
        num_liked: int `(num_lists,)`, >= 1, liked items in the window that the user had not seen.
        trend_half_lives_days: of the first terms.
    """

    terms: FloatArray
    regard: FloatArray
    multipliers: FloatArray
    labels: npt.NDArray[np.int8]
    weights: FloatArray
    num_liked: npt.NDArray[np.int64]
    trend_half_lives_days: tuple[float, ...]

    def scores(self, head: FloatArray) -> FloatArray:
        """What the model with this head gives the candidates; `(num_lists, num_candidates)`, padding `PADDING`."""
        number = len(self.trend_half_lives_days)
        personal = [self.terms[..., j] for j in range(number, self.terms.shape[-1])]
        total = combine(self.terms[..., :number] @ head[:number], personal, self.regard, head[number:])
        # As `AdditiveModel.call` does where scores are positive, which those near the top are.
        return np.asarray(np.where(self.labels == -2, PADDING, total * self.multipliers), np.float32)


def validation_splits(
    events: Events, config: HeadConfig, seed: int, eligible: Eligible | None = None
) -> list[ValidationSplit]:
    """The newest windows, as many as are needed for `num_users`, or every user's own end; empty without any past.

    Args:
        events: all that is known.
        config: says how long, and how many.
        seed: of the users whose own end is predicted.
        eligible: time -> which items could be recommended then, `(num_items,)`; None: all of them.
    """
    eligible = eligible or (lambda at: np.ones(events.num_items, bool))
    splits, known, num_users = [], 0, 0
    for n in range(config.max_windows):
        split = _window(events, (n + 1) * config.horizon_days, n * config.horizon_days, eligible)
        if not len(split.past.users):
            break
        users = split.users_with_a_like(events)
        splits.append(split)
        known += int(np.isin(users, split.past.users).sum())
        num_users += len(users)
        if num_users >= config.num_users:
            return splits
    with_a_past = int((np.bincount(events.users) >= config.min_events).sum()) if len(events.users) else 0
    if known < config.min_known_share * with_a_past:
        return [_own_end(events, config, seed, eligible(events.as_of))]
    share_days = float(np.quantile(events.age_days, config.fallback_share)) if len(events.users) else 0.0
    if share_days > config.max_windows * config.horizon_days:
        return [_window(events, share_days, 0.0, eligible)]
    return splits


def _window(events: Events, start_days: float, end_days: float, eligible: Eligible) -> ValidationSplit:
    inside = (events.age_days < start_days) & (events.age_days >= end_days)
    past = events.before(start_days)
    return ValidationSplit(past, inside, eligible(past.as_of))


def _own_end(events: Events, config: HeadConfig, seed: int, eligible: npt.NDArray[np.bool_]) -> ValidationSplit:
    """The newest part of the histories of at most `num_users` users; those with the same time come in random order."""
    rng = np.random.default_rng(seed)
    users = np.concatenate([events.users, events.neutral.users])
    ages = np.concatenate([events.age_days, events.neutral.age_days])
    order = np.lexsort((rng.random(len(users)), ages, users))  # newest first
    sizes = np.bincount(users)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(len(users), np.int64)
    place[order] = np.arange(len(users)) - first[users[order]]
    long_enough = np.flatnonzero(sizes >= config.min_events)
    chosen = rng.choice(long_enough, size=min(config.num_users, len(long_enough)), replace=False)
    end = np.isin(users, chosen) & (place < np.ceil(sizes * config.own_end_share)[users])
    number = len(events.users)
    return ValidationSplit(events.chosen(~end[:number], ~end[number:]), end[:number], eligible)


def collect_examples(
    events: Events,
    splits: list[ValidationSplit],
    model_as_of: Callable[[Events], AdditiveModel],
    features: FeatureVocabulary,
    config: HeadConfig,
) -> HeadExamples:
    """Candidates of every user with a new like, split by split, scored with what was known then."""
    lists: list[_List] = []
    half_lives: tuple[float, ...] = ()
    for split in splits:
        model = model_as_of(split.past)
        half_lives = model.trend_half_lives_days
        lists += _split_lists(events, split, model, features, config)
    shape = (len(lists), max((len(own.labels) for own in lists), default=1))
    num_terms = len(half_lives) + len(PERSONAL_TERMS)
    terms = np.zeros((*shape, num_terms), np.float32)
    regard, multipliers = np.ones(shape, np.float32), np.ones(shape, np.float32)
    labels, weights = np.full(shape, -2, np.int8), np.zeros(shape, np.float32)
    for row, own in enumerate(lists):
        size = len(own.labels)
        terms[row, :size] = own.terms
        regard[row, :size], multipliers[row, :size] = own.regard, own.multipliers
        labels[row, :size], weights[row, :size] = own.labels, own.weights
    num_liked = np.array([own.num_liked for own in lists], np.int64)
    return HeadExamples(terms, regard, multipliers, labels, weights, num_liked, half_lives)


@dataclass(frozen=True)
class _List:
    """The candidates of one user; see `HeadExamples`."""

    terms: FloatArray
    regard: FloatArray
    multipliers: FloatArray
    labels: npt.NDArray[np.int8]
    weights: FloatArray
    num_liked: int


def _split_lists(
    events: Events, split: ValidationSplit, model: AdditiveModel, features: FeatureVocabulary, config: HeadConfig
) -> list[_List]:
    users = split.users_with_a_like(events)
    signed = np.where(split.future, np.where(events.is_like, 1.0, -1.0) * events.weights(), 0.0)
    known = {name: matrix[users] for name, matrix in split.past.histories().items()}
    met, logs = split.past.met()[users], split.past.feature_logs(features)[users]
    ahead_of = events.matrix(signed)[users]
    trends, regard, scorer = model.trends.numpy(), model.regard.numpy(), Scorer(model)
    result = []
    for start in range(0, len(users), USERS_PER_BLOCK):
        block = slice(start, start + USERS_PER_BLOCK)
        terms = scorer.personal_terms({name: matrix[block] for name, matrix in known.items()})
        shared = [trends[h : h + 1] for h in range(len(trends))]
        multipliers = features.item_multipliers(logs[block])
        barred = (met[block].toarray() > 0) | ~split.eligible  # what no list may hold
        ahead = np.where(barred, 0.0, ahead_of[block].toarray())
        best = _best_per_term([*shared, *terms], barred, split.eligible, config.candidates_per_term)
        for row in np.flatnonzero((ahead > 0).any(axis=1)):
            chosen = np.union1d(best[row], np.flatnonzero(ahead[row]))
            chosen = chosen[~barred[row, chosen]]
            target = ahead[row, chosen]
            values = np.stack([term[row if len(term) > 1 else 0, chosen] for term in [*shared, *terms]], axis=-1)
            result.append(
                _List(
                    values, regard[chosen], multipliers[row, chosen], np.sign(target).astype(np.int8),
                    np.abs(target).astype(np.float32), int((ahead[row] > 0).sum()),
                )
            )  # fmt: skip
    return result


def _best_per_term(
    terms: list[FloatArray], barred: npt.NDArray[np.bool_], eligible: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.int64]:
    """Positions of the best items by each term; `(num_users, num_terms * count)`, some of them seen where a term is shared.

    Args:
        terms: each `(num_users, num_items)`, or `(1, num_items)` where all users share it.
        barred: seen or not eligible, `(num_users, num_items)`.
        eligible: `(num_items,)`.
        count: positions per term.
    """
    count = min(count, barred.shape[1])
    best = []
    for term in (term for term in terms if term.any()):
        masked = np.where(~eligible if len(term) == 1 else barred, np.float32(PADDING), term)
        top = ops.convert_to_numpy(ops.top_k(masked, count, sorted=False)[1])  # several times as fast as NumPy's
        best.append(np.broadcast_to(top, (len(barred), count)))
    return np.concatenate(best, axis=1) if best else np.zeros((len(barred), 0), np.int64)
