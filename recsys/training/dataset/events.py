"""Training examples and neutral signals up to a cut-off as arrays of positions, ages and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from recsys.model.event_matrix import event_matrix
from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.model.histories import personal_matrices
from recsys.model.transitions import pair_draws, sequence_order
from recsys.model.trend import trend_matrix
from recsys.training.dataset.weights import time_decay, user_share_factors

REGARD_SHRINKAGE = 5.0  # opinions that everybody's share counts for


@dataclass(frozen=True)
class NeutralEvents:
    """Ratings without an opinion, and clicks: they train nothing but what comes next. All arrays are `(num_neutral,)`.

    Attributes:
        users: positions of users.
        items: positions of items, -1 for one that is not in the vocabulary.
        age_days: before the cut-off, >= 0.
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    age_days: npt.NDArray[np.float64]

    @classmethod
    def none(cls) -> NeutralEvents:
        """No events."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def chosen(self, keep: npt.NDArray[np.bool_], days: float) -> NeutralEvents:
        """Those to `keep`, as of `days` before the cut-off."""
        return NeutralEvents(self.users[keep], self.items[keep], self.age_days[keep] - days)


@dataclass(frozen=True)
class Events:
    """Training examples up to a cut-off, as positions. All arrays are `(num_events,)`.

    Attributes:
        users: positions of users.
        items: positions of items.
        is_like: like or dislike.
        age_days: before the cut-off, >= 0.
        base_weight: of the signal and its reason, before decay and cap, in (0, 1].
        reasons: of dislikes, else empty.
        half_life_days: of the sample weights.
        as_of: the cut-off.
        user_ids: `(num_users,)`, of all positions.
        item_ids: `(num_items,)`, of all positions.
        max_user_share: of the whole weight that one user may hold.
        neutral: what the same users met without an opinion.
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    is_like: npt.NDArray[np.bool_]
    age_days: npt.NDArray[np.float64]
    base_weight: npt.NDArray[np.float64]
    reasons: npt.NDArray[np.object_]
    half_life_days: float
    as_of: datetime
    user_ids: npt.NDArray[np.object_]
    item_ids: npt.NDArray[np.object_]
    max_user_share: float
    neutral: NeutralEvents

    @property
    def num_users(self) -> int:
        """Of all positions."""
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """Of all positions."""
        return len(self.item_ids)

    def chosen(self, keep: npt.NDArray[np.bool_], keep_neutral: npt.NDArray[np.bool_], days: float = 0.0) -> Events:
        """Those to keep, as of `days` before the cut-off."""
        return replace(
            self, users=self.users[keep], items=self.items[keep], is_like=self.is_like[keep],
            age_days=self.age_days[keep] - days, base_weight=self.base_weight[keep], reasons=self.reasons[keep],
            as_of=self.as_of - timedelta(days=days), neutral=self.neutral.chosen(keep_neutral, days),
        )  # fmt: skip

    def before(self, days: float) -> Events:
        """The same events as one would have seen them `days` before the cut-off."""
        return self.chosen(self.age_days >= days, self.neutral.age_days >= days, days)

    @cached_property
    def decay(self) -> npt.NDArray[np.float64]:
        """How much is left of each event as of the cut-off."""
        return time_decay(self.age_days, self.half_life_days)

    @cached_property
    def user_factor(self) -> npt.NDArray[np.float64]:
        """What the cap on a user's share leaves of each event."""
        return self.capped(1.0)

    def capped(self, decay_power: float) -> npt.NDArray[np.float64]:
        """The same for weights with another power of the decay."""
        weights = self.base_weight * self.decay**decay_power
        return user_share_factors(self.users, weights, self.max_user_share)[self.users]

    def weights(self, decay_power: float = 1.0) -> npt.NDArray[np.float64]:
        """Sample weights as of the cut-off: base weight, times decay, times what the cap leaves.

        Args:
            decay_power: of the decay: 1 as it is, 0 without.
        """
        if decay_power == 1.0:
            return self.base_weight * self.decay * self.user_factor
        return np.asarray(self.base_weight * self.decay**decay_power * self.capped(decay_power))

    def matrix(self, values: npt.NDArray[np.float64]) -> sp.csr_matrix:
        """Sparse float32 `(num_users, num_items)` with `values` at the events; zeros are dropped."""
        return event_matrix(values, self.users, self.items, (self.num_users, self.num_items))

    def histories(self) -> dict[str, sp.csr_matrix]:
        """What a scorer may know of the users: `likes`, `recent`, `dislikes` as `HistoryMatrices` has them."""
        neutral, signal = self.neutral, np.where(self.is_like, 1, -1)
        return personal_matrices(
            np.concatenate([self.users, neutral.users]),
            np.concatenate([self.items, neutral.items]),
            np.concatenate([signal, np.zeros(len(neutral.users), np.int64)]),
            np.concatenate([self.weights(), np.ones(len(neutral.users))]),
            np.concatenate([self.age_days, neutral.age_days]),
            (self.num_users, self.num_items),
        )

    def met(self) -> sp.csr_matrix:
        """1.0 wherever a user had anything to do with an item; sparse float32 `(num_users, num_items)`."""
        users = np.concatenate([self.users, self.neutral.users])
        items = np.concatenate([self.items, self.neutral.items])
        return event_matrix(np.ones(len(users)), users, items, (self.num_users, self.num_items))

    def sequence_order(self, seed: int) -> npt.NDArray[np.int64]:
        """Sorts all signals, opinions first and then the neutral ones, as `recsys.model.transitions.sequence_order` does.

        What one user met at one time comes in an order that only the two ids and the seed decide.
        """
        users = np.concatenate([self.users, self.neutral.users])
        user_keys = pd.util.hash_array(self.user_ids, categorize=False)
        # Neutral signals on items that are not in the vocabulary have position -1, the last: they share one key.
        item_keys = np.append(pd.util.hash_array(self.item_ids, categorize=False), np.uint64(0))
        draws = pair_draws(user_keys[users], item_keys[np.concatenate([self.items, self.neutral.items])], seed)
        return sequence_order(users, np.concatenate([self.age_days, self.neutral.age_days]), draws)

    def regard(self) -> npt.NDArray[np.float32]:
        """Decayed share of likes among the opinions on each item, shrunk to everybody's; `(num_items,)` in (0, 1]."""
        weights = self.decay * self.user_factor
        liked = np.bincount(self.items, weights * self.is_like, minlength=self.num_items)
        every = np.bincount(self.items, weights, minlength=self.num_items)
        share = liked.sum() / max(every.sum(), 1e-12)
        return np.asarray((liked + REGARD_SHRINKAGE * share) / (every + REGARD_SHRINKAGE), np.float32)

    def trends(self, half_lives_days: tuple[float, ...]) -> npt.NDArray[np.float32]:
        """Trend terms from the likes, capped per user; `(num_half_lives, num_items)`."""
        likes = self.is_like
        return trend_matrix(
            self.items[likes], self.age_days[likes], self.num_items, half_lives_days, self.user_factor[likes]
        )

    def feature_logs(self, features: FeatureVocabulary) -> sp.csr_matrix:
        """Logarithms of the users' feature multipliers as of the cut-off; `(num_users, num_features)`."""
        chosen = ~self.is_like
        return features.user_logs(
            self.users[chosen], self.items[chosen], self.reasons[chosen], self.decay[chosen], self.num_users
        )
