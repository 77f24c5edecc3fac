"""What the head is weighed on: lists of candidates, with what users then liked and disliked.

The newest days are foretold from what came before them, as the next night will have to. Where most users did everything in
one sitting, the newest days hold hardly anybody with a past: then the end of every user's own history is foretold from
its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.additive import PERSONAL_TERMS, combine
from recsys.model.scorer import Scorer
from recsys.training.events import Events
from recsys.training.recipe import HeadConfig

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.model.feature_adjustment import FeatureVocabulary

FloatArray = npt.NDArray[np.float32]
USERS_PER_BLOCK = 512  # bounds the memory of dense terms
PADDING = -1e30  # below every score, and finite: scores are subtracted from each other


@dataclass(frozen=True)
class ValidationSplit:
    """What is known, and what is to be foretold from it.

    Attributes:
        past: what is known, aged as of then.
        future: mask over all events, `(num_events,)`.
    """

    past: Events
    future: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeadExamples:
    """One list of candidates per user and split.

    Attributes:
        terms: float32 `(num_lists, num_candidates, num_terms)`: the trends, then `PERSONAL_TERMS`.
        regard: float32 `(num_lists, num_candidates)`, of the items.
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


def validation_splits(events: Events, config: HeadConfig, seed: int) -> list[ValidationSplit]:
    """The newest windows, as many as are needed for `num_users`, or every user's own end; empty without any past."""
    splits, known, num_users = [], 0, 0
    for n in range(config.max_windows):
        split = _window(events, (n + 1) * config.horizon_days, n * config.horizon_days)
        if not len(split.past.users):
            break
        users = np.unique(events.users[split.future & events.is_like])
        splits.append(split)
        known += int(np.isin(users, split.past.users).sum())
        num_users += len(users)
        if num_users >= config.num_users:
            return splits
    with_a_past = int((np.bincount(events.users) >= config.min_events).sum()) if len(events.users) else 0
    if known < config.min_known_share * with_a_past:
        return [_own_end(events, config, seed)]
    share_days = float(np.quantile(events.age_days, config.fallback_share)) if len(events.users) else 0.0
    if share_days > config.max_windows * config.horizon_days:
        return [_window(events, share_days, 0.0)]
    return splits


def _window(events: Events, start_days: float, end_days: float) -> ValidationSplit:
    inside = (events.age_days < start_days) & (events.age_days >= end_days)
    return ValidationSplit(events.before(start_days), inside)


def _own_end(events: Events, config: HeadConfig, seed: int) -> ValidationSplit:
    """The newest part of the histories of at most `num_users` users; those of one moment come in random order."""
    rng = np.random.default_rng(seed)
    users = np.concatenate([events.users, events.neutral.users])
    ages = np.concatenate([events.age_days, events.neutral.age_days])
    order = np.lexsort((rng.random(len(users)), ages, users))  # newest first
    sizes = np.bincount(users)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(len(users), np.int64)
    place[order] = np.arange(len(users)) - first[users[order]]
    eligible = np.flatnonzero(sizes >= config.min_events)
    chosen = rng.choice(eligible, size=min(config.num_users, len(eligible)), replace=False)
    end = np.isin(users, chosen) & (place < np.ceil(sizes * config.own_end_share)[users])
    number = len(events.users)
    return ValidationSplit(events.chosen(~end[:number], ~end[number:]), end[:number])


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
    users = np.unique(events.users[split.future & events.is_like])
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
        seen = met[block].toarray() > 0
        ahead = np.where(seen, 0.0, ahead_of[block].toarray())
        best = _best_per_term([*shared, *terms], seen, config.candidates_per_term)
        for row in np.flatnonzero((ahead > 0).any(axis=1)):
            chosen = np.union1d(best[row], np.flatnonzero(ahead[row]))
            chosen = chosen[~seen[row, chosen]]
            target = ahead[row, chosen]
            values = np.stack([term[row if len(term) > 1 else 0, chosen] for term in [*shared, *terms]], axis=-1)
            result.append(
                _List(
                    values, regard[chosen], multipliers[row, chosen], np.sign(target).astype(np.int8),
                    np.abs(target).astype(np.float32), int((ahead[row] > 0).sum()),
                )
            )  # fmt: skip
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
    for term in (term for term in terms if term.any()):
        masked = term if len(term) == 1 else np.where(seen, PADDING, term)
        top = ops.convert_to_numpy(ops.top_k(masked, count, sorted=False)[1])  # several times as fast as NumPy's
        best.append(np.broadcast_to(top, (len(seen), count)))
    return np.concatenate(best, axis=1) if best else np.zeros((len(seen), 0), np.int64)
