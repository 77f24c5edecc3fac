"""The sums over users that the closed-form matrices are solved from, and what each user adds to them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.item_item import gram_matrix
from recsys.model.sums import Sums
from recsys.model.transitions import Sequences
from recsys.training.dataset.events import Events
from recsys.training.recipe.recipe import FitConfig

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class LinkedItems:
    """The closed-form matrices over the linked items before their ridge: sums over users, of what was known by a cut-off.

    All are float64 `(num_linked, num_linked)`: in float32 what is added one night and taken away another would not cancel.
    All are dense, or all sparse: see `FitConfig.is_sparse`.

    Attributes:
        gram: of likes, and dislikes as smaller negative entries.
        dislike_gram: of dislikes alone.
        past_past: see `Sequences.moments`.
        past_future: the same.
    """

    gram: Sums
    dislike_gram: Sums
    past_past: Sums
    past_future: Sums

    @classmethod
    def count(cls, events: Events, num_linked: int, decay_power: float, config: FitConfig) -> LinkedItems:
        """From all events."""
        terms = UserTerms.of(events, num_linked, decay_power, config, events.as_of)
        return terms.sums(num_linked, config.is_sparse(num_linked))


def signed_gram(events: Events, num_linked: int, decay_power: float, config: FitConfig) -> Sums:
    """Gram matrix of likes, and dislikes as smaller negative entries; float64 `(num_linked, num_linked)`."""
    terms = UserTerms.of(events, num_linked, decay_power, config, events.as_of)
    return gram_matrix(terms.matrix(terms.signed, (events.num_users, num_linked)), config.is_sparse(num_linked))


@dataclass(frozen=True)
class UserTerms:
    """What every user adds to the sums: all signals in the order of `sequence_order`. All arrays are `(num_events,)`.

    Weights are as of a landmark, which may lie before or after the events. Between two nights with one landmark the terms
    of a user who did nothing are the same to the bit, unless the cap on a user's share touches them: all that time
    does to the sums is one common factor.

    Attributes:
        users: int32, positions of users, never decreasing.
        items: int32, positions of items in [0, num_linked), or -1 for an item that is not linked.
        signal: int8: 1 like, 0 neutral, -1 dislike.
        signed: float64, entries of the signed user-item matrix.
        disliked: float64, entries of the user-item matrix of dislikes.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    signal: npt.NDArray[np.int8]
    signed: npt.NDArray[np.float64]
    disliked: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, events: Events, num_linked: int, decay_power: float, config: FitConfig, landmark: datetime
    ) -> UserTerms:
        """The terms of all events, weighed as of `landmark`; `decay_power` is that of `signed`."""
        order = events.sequence_order(config.seed)
        items = np.concatenate([events.items, events.neutral.items])
        signal = np.concatenate([np.where(events.is_like, 1, -1), np.zeros(len(events.neutral.users))])
        faded = _decay_since(events, landmark)
        signed = events.base_weight * faded**decay_power * events.capped(decay_power)
        signed *= np.where(events.is_like, 1.0, -config.dislike_signal)
        disliked = np.where(events.is_like, 0.0, events.base_weight * faded * events.user_factor)
        none = np.zeros(len(events.neutral.users))
        return cls(
            np.concatenate([events.users, events.neutral.users])[order].astype(np.int32),
            np.where(items < num_linked, items, -1)[order].astype(np.int32),
            signal[order].astype(np.int8),
            np.concatenate([signed, none])[order],
            np.concatenate([disliked, none])[order],
        )

    def chosen(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> UserTerms:
        """Some of the events, or all in another order."""
        return UserTerms(*(getattr(self, field.name)[keep] for field in fields(self)))

    @property
    def sequences(self) -> Sequences:
        """For the moments."""
        return Sequences(self.users, self.items, self.signal)

    def matrix(self, values: npt.NDArray[np.float64], shape: tuple[int, int]) -> sp.csr_matrix:
        """Sparse float64 `(num_users, num_linked)` with `values`, which are `signed` or `disliked`; zeros are dropped."""
        keep = (values != 0) & (self.items >= 0)
        return sp.csr_matrix((values[keep], (self.users[keep], self.items[keep])), shape)

    def sums(self, num_linked: int, is_sparse: bool) -> LinkedItems:
        """Over all users."""
        shape = (int(self.users.max(initial=-1)) + 1, num_linked)
        return LinkedItems(
            gram_matrix(self.matrix(self.signed, shape), is_sparse),
            gram_matrix(self.matrix(self.disliked, shape), is_sparse),
            *self.sequences.moments(num_linked, is_sparse),
        )


def _decay_since(events: Events, landmark: datetime) -> npt.NDArray[np.float64]:
    """`0.5 ** (age / half-life)` with ages from the landmark: above 1 for what came after it.

    Ages are rounded to the microseconds that timestamps have, so that the cut-off they were counted from does not show.
    """
    since_us = np.rint(events.age_days * DAY_US) + (landmark - events.as_of) // timedelta(microseconds=1)
    return np.asarray(0.5 ** (since_us / (events.half_life_days * DAY_US)))
