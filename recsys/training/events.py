"""Training examples up to a cut-off as arrays of positions, ages and weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.model.trend import trend_matrix
from recsys.training.weights import time_decay, user_share_factors


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
        num_users: of all positions.
        num_items: of all positions.
        max_user_share: of the whole weight that one user may hold.
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    is_like: npt.NDArray[np.bool_]
    age_days: npt.NDArray[np.float64]
    base_weight: npt.NDArray[np.float64]
    reasons: npt.NDArray[np.object_]
    half_life_days: float
    num_users: int
    num_items: int
    max_user_share: float

    def before(self, days: float) -> Events:
        """The same events as one would have seen them `days` before the cut-off."""
        keep = self.age_days >= days
        return Events(
            self.users[keep], self.items[keep], self.is_like[keep], self.age_days[keep] - days, self.base_weight[keep],
            self.reasons[keep], self.half_life_days, self.num_users, self.num_items, self.max_user_share,
        )  # fmt: skip

    @cached_property
    def decay(self) -> npt.NDArray[np.float64]:
        """How much is left of each event as of the cut-off."""
        return time_decay(self.age_days, self.half_life_days)

    @cached_property
    def user_factor(self) -> npt.NDArray[np.float64]:
        """What the cap on a user's share leaves of each event."""
        return user_share_factors(self.users, self.base_weight * self.decay, self.max_user_share)[self.users]

    def weights(self) -> npt.NDArray[np.float64]:
        """Sample weights as of the cut-off: base weight, times decay, times what the cap leaves."""
        return self.base_weight * self.decay * self.user_factor

    def matrix(self, values: npt.NDArray[np.float64]) -> sp.csr_matrix:
        """Sparse float32 `(num_users, num_items)` with `values` at the events; zeros are dropped."""
        keep = values != 0
        return sp.csr_matrix(
            (values[keep].astype(np.float32), (self.users[keep], self.items[keep])), (self.num_users, self.num_items)
        )

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
