"""Sums that are carried from night to night: only what changed is taken away and added.

Between two nights time multiplies every weight by one common factor. As of a landmark, a fixed time, the terms of a user
who did nothing do not change at all. So a state keeps beside the sums what each user's terms were; the next night looks
for users whose terms differ (new events, an erasure, the cap on a user's share, an item that became linked), takes their
old terms out of the sums and puts the new ones in. What is left to do grows with what they did, not with the history, and
the result is that of a rebuild up to rounding:

    N'N - O'O = S + S'   with S = ((N + O) / 2)' (N - O)

for the rows O before and N after, where N - O is zero wherever nothing changed.

References:
    Cormode, Shkapenyuk, Srivastava, Xu, Forward Decay: A Practical Time Decay Model for Streaming Systems, ICDE 2009
    (weights as of a landmark).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from recsys.errors import InputError
from recsys.model.sums import Sums, added, empty_sums
from recsys.model.transitions import Sequences
from recsys.training.dataset.events import Events
from recsys.training.families.additive.linked.items import LinkedItems, UserTerms
from recsys.training.families.identity import recipe_id
from recsys.training.recipe.recipe import FitConfig

TOLERANCE = 1e-9  # of the largest diagonal entry: how far carried sums may be from rebuilt ones
ROWS_PER_BLOCK = 64
MAX_HALF_LIVES = 200.0  # from the landmark: squares of weights stay far inside what float64 can hold


@dataclass(frozen=True)
class LinkedState:
    """Sums over users up to a cut-off, and what they were made of.

    Attributes:
        sums: as of the landmark; over `item_ids`, in their order.
        terms: of all users, as of the landmark; positions are those of `user_ids` and `item_ids`.
        user_ids: `(num_users,)`, sorted.
        item_ids: `(num_linked,)`.
        as_of: the cut-off.
        landmark: the cut-off of the last rebuild.
        half_life_days: of the sample weights.
        settings: JSON-able; all that the sums depend on beside the events. States of other settings cannot be advanced.
        num_touched: users whose terms the last step changed; all of them after a rebuild.
    """

    sums: LinkedItems
    terms: UserTerms
    user_ids: npt.NDArray[np.object_]
    item_ids: npt.NDArray[np.object_]
    as_of: datetime
    landmark: datetime
    half_life_days: float
    settings: dict[str, Any]
    num_touched: int

    @classmethod
    def rebuild(cls, events: Events, num_linked: int, decay_power: float, config: FitConfig) -> LinkedState:
        """From all events; arguments as for `LinkedItems.count`."""
        terms = UserTerms.of(events, num_linked, decay_power, config, events.as_of)
        sums = terms.sums(num_linked, config.is_sparse(num_linked))
        return cls(
            sums, terms, events.user_ids, events.item_ids[:num_linked], events.as_of, events.as_of,
            events.half_life_days, settings_of(events, decay_power, config), len(np.unique(terms.users)),
        )  # fmt: skip

    @property
    def decay_power(self) -> float:
        """Of the decay in the signed Gram matrix."""
        return float(self.settings["decay_power"])

    def can_advance(self, events: Events, decay_power: float, config: FitConfig) -> bool:
        """Whether `advanced` takes these: the settings are the same, and the landmark is not too long ago."""
        return not self._why_not(events, decay_power, config)

    def _why_not(self, events: Events, decay_power: float, config: FitConfig) -> str:
        wanted = settings_of(events, decay_power, config)
        for name, value in wanted.items():
            if self.settings.get(name) != value:
                return f"{name} {value}, got a state with {self.settings.get(name)}"
        half_lives = abs(events.as_of - self.landmark) / timedelta(days=self.half_life_days)
        if half_lives > MAX_HALF_LIVES:
            return f"a cut-off within {MAX_HALF_LIVES:g} half-lives of the last rebuild, got one {half_lives:.0f} away"
        return ""

    def advanced(self, events: Events, num_linked: int, config: FitConfig) -> LinkedState:
        """The state of these events, from what differs between them and those of this state.

        Costs time with the users who differ, and one pass over the events and the matrices. The cut-off may also lie
        before that of this state, and anything may have been erased.

        Args:
            events: all of them up to their cut-off, not only the new ones.
            num_linked: so many of the first items are linked.
            config: with the settings that this state was built with.

        Returns:
            A state whose sums are those of `rebuild`, up to `TOLERANCE` of the largest diagonal entry that they have had
            since the last rebuild (faded by now like everything else).

        Raises:
            InputError: if the settings differ, or the landmark is too long ago: rebuild then.
        """
        if reason := self._why_not(events, self.decay_power, config):
            raise InputError(f"Expected {reason}: rebuild the state with LinkedState.rebuild.")
        terms = UserTerms.of(events, num_linked, self.decay_power, config, self.landmark)
        item_ids = events.item_ids[:num_linked]
        before = self._moved_to(events.user_ids, item_ids, config.is_sparse(num_linked))
        reordered, differs = _differences(before.terms, terms)
        sums = _with_rows(before.sums, *(own.chosen(differs[own.users]) for own in (before.terms, terms)))
        sums = _with_sequences(sums, *(own.chosen(reordered[own.users]) for own in (before.terms, terms)))
        return replace(
            before, sums=sums, terms=terms, user_ids=events.user_ids, as_of=events.as_of, num_touched=int(differs.sum())
        )

    def without_user(self, user_id: str) -> LinkedState:
        """The state as if the user had never been there; the state itself where they never were.

        The weights of others stay: where the user changed the cap on a user's share, the next `advanced` corrects it.
        """
        position = pd.Index(self.user_ids).get_indexer(pd.Index([user_id]))[0]
        if position < 0:
            return self
        gone = self.terms.users == position
        own, nothing, rest = (self.terms.chosen(keep) for keep in (gone, np.zeros_like(gone), ~gone))
        sums = LinkedItems(*(matrix.copy() for matrix in _matrices(self.sums)))
        sums = _with_sequences(_with_rows(sums, own, nothing), own, nothing)
        users = rest.users - (rest.users > position).astype(np.int32)
        return replace(
            self,
            sums=sums,
            terms=replace(rest, users=users),
            user_ids=np.delete(self.user_ids, position),
            num_touched=1,
        )

    def linked_items(self) -> LinkedItems:
        """The sums as of the cut-off, over the linked items of tonight in their order."""
        faded = 0.5 ** ((self.as_of - self.landmark) / timedelta(days=self.half_life_days))
        gram, dislike_gram = faded ** (2.0 * self.decay_power), faded**2.0
        return replace(self.sums, gram=self.sums.gram * gram, dislike_gram=self.sums.dislike_gram * dislike_gram)

    def difference(self, rebuilt: LinkedState) -> float:
        """How far the sums are from those that were rebuilt from the same events.

        Returns:
            The largest difference between two entries, relative to the largest diagonal entry of their matrix.

        Raises:
            InputError: if the two are not of one cut-off and of the same linked items.
        """
        if self.as_of != rebuilt.as_of or self.item_ids.tolist() != rebuilt.item_ids.tolist():
            raise InputError(
                f"Expected a state as of {self.as_of.isoformat()} over the same {len(self.item_ids)} items, got one as of "
                f"{rebuilt.as_of.isoformat()} over {len(rebuilt.item_ids)}: advance and rebuild from the same events."
            )
        ours, theirs = self.linked_items(), rebuilt.linked_items()
        largest = 0.0
        for matrix, other, scale in zip(_matrices(ours), _matrices(theirs), _scales(theirs), strict=True):
            largest = max(largest, float(abs(matrix - other).max() if matrix.shape[0] else 0.0) / scale)
        return largest

    def _moved_to(
        self, user_ids: npt.NDArray[np.object_], item_ids: npt.NDArray[np.object_], is_sparse: bool
    ) -> LinkedState:
        """The same sums and terms at other positions: users who are gone come last, items that are not linked drop out."""
        ours, wanted = pd.Index(self.item_ids), pd.Index(item_ids)
        columns = ours.get_indexer(wanted)  # (num_linked,), -1 for an item that is newly linked
        places = np.append(wanted.get_indexer(ours), -1)  # the last is for position -1
        users = pd.Index(user_ids).get_indexer(pd.Index(self.user_ids))
        users[users < 0] = len(user_ids) + np.arange(int((users < 0).sum()))
        terms = replace(
            self.terms,
            users=users[self.terms.users].astype(np.int32),
            items=places[self.terms.items].astype(np.int32),
        )
        terms = terms.chosen(np.argsort(terms.users, kind="stable"))
        sums = LinkedItems(*(_placed(matrix, columns, is_sparse) for matrix in _matrices(self.sums)))
        return replace(self, sums=sums, terms=terms, item_ids=item_ids)


def settings_of(events: Events, decay_power: float, config: FitConfig) -> dict[str, Any]:
    """All that the sums depend on beside the events; the recipe stands for the code and the rest of the configuration."""
    return {
        "recipe": recipe_id(config, events.half_life_days),
        "half_life_days": events.half_life_days,
        "max_user_share": events.max_user_share,
        "decay_power": decay_power,
        "seed": config.seed,
    }


def _matrices(sums: LinkedItems) -> tuple[Sums, Sums, Sums, Sums]:
    return sums.gram, sums.dislike_gram, sums.past_past, sums.past_future


def _scales(sums: LinkedItems) -> list[float]:
    """Largest diagonal entry of each matrix; `past_future` is measured by that of `past_past`."""
    diagonals = (matrix.diagonal() for matrix in (sums.gram, sums.dislike_gram, sums.past_past, sums.past_past))
    return [float(diagonal.max(initial=0.0)) or 1.0 for diagonal in diagonals]


def _placed(matrix: Sums, columns: npt.NDArray[np.int64], is_sparse: bool) -> Sums:
    """A copy with `columns` as its rows and columns, zeros where they are -1."""
    if is_sparse or not isinstance(matrix, np.ndarray):
        kept = np.flatnonzero(columns >= 0)
        shape = (len(columns), matrix.shape[0])
        places = sp.csr_matrix((np.ones(len(kept)), (kept, columns[kept])), shape)
        return added(empty_sums(len(columns), is_sparse), places @ sp.csr_matrix(matrix) @ places.T)
    placed = np.zeros((len(columns), len(columns)))
    if not len(matrix):
        return placed
    for start in range(0, len(columns), ROWS_PER_BLOCK):  # several times as fast as in one piece: blocks fit a cache
        rows = columns[start : start + ROWS_PER_BLOCK]
        placed[start : start + ROWS_PER_BLOCK] = np.take(matrix[rows], columns, axis=1, mode="wrap")
    placed[columns < 0] = 0.0
    placed[:, columns < 0] = 0.0
    return placed


def _differences(before: UserTerms, after: UserTerms) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Users with another sequence, and users with any other term; `(num_users,)` each."""
    number = max(before.users.max(initial=-1), after.users.max(initial=-1)) + 1
    reordered = np.bincount(before.users, minlength=number) != np.bincount(after.users, minlength=number)
    # Who has as many events as before has them in the same rows of what is left.
    one, other = before.chosen(~reordered[before.users]), after.chosen(~reordered[after.users])
    reordered[one.users[(one.items != other.items) | (one.signal != other.signal)]] = True
    differs = reordered.copy()
    differs[one.users[(one.signed != other.signed) | (one.disliked != other.disliked)]] = True
    return reordered, differs


def _with_rows(sums: LinkedItems, old: UserTerms, new: UserTerms) -> LinkedItems:
    """Takes old rows of some users out of the Gram matrices and puts their new ones in; dense ones in place."""
    users = np.union1d(old.users, new.users)  # positions among these only: nobody else has rows here
    old, new = (replace(own, users=np.searchsorted(users, own.users).astype(np.int32)) for own in (old, new))
    shape = (len(users), sums.gram.shape[0])
    return replace(
        sums,
        gram=_with_change(sums.gram, old.matrix(old.signed, shape), new.matrix(new.signed, shape)),
        dislike_gram=_with_change(sums.dislike_gram, old.matrix(old.disliked, shape), new.matrix(new.disliked, shape)),
    )


def _with_change(gram: Sums, before: sp.csr_matrix, after: sp.csr_matrix) -> Sums:
    """Adds `after' after - before' before`."""
    changed = after - before
    changed.eliminate_zeros()
    half = ((before + after) * 0.5).T @ changed  # (num_linked, num_linked)
    return added(gram, half + half.T)


def _with_sequences(sums: LinkedItems, old: UserTerms, new: UserTerms) -> LinkedItems:
    """The same for the moments of their sequences."""
    both = Sequences(
        np.concatenate([old.users, new.users + (old.users.max(initial=-1) + 1)]),
        np.concatenate([old.items, new.items]),
        np.concatenate([old.signal, new.signal]),
    )
    signs = np.repeat([-1.0, 1.0], [len(old.users), len(new.users)])
    past_past, past_future = both.added_to(sums.past_past, sums.past_future, signs)
    return replace(sums, past_past=past_past, past_future=past_future)
