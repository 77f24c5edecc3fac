"""What follows what: closed-form weights from the items of a user's last events to those that come next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.recency import NEUTRAL_STRENGTH
from recsys.model.ridge import ridge_inverse
from recsys.model.sums import Sums, added, empty_sums

FloatArray = npt.NDArray[np.float32]

HALF_LIFE_EVENTS = 5.0  # within the past, and within the future, of a place in a user's sequence
REACH = 20  # events looked at on either side: what is further away has less than 1/16
NEUTRAL_TARGET = 0.3  # how much a neutral signal is to be predicted; a like has 1
DISLIKE_TARGET = -1.0  # what users go on to dislike is predicted not to come
ROWS_PER_BLOCK = 250_000


def sequence_order(
    users: npt.NDArray[np.int64], age_days: npt.NDArray[np.float64], draws: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Sorts events: one user after another, oldest first; those of one user and one age by their draws.

    Args:
        users: `(num_events,)`, positions.
        age_days: `(num_events,)`.
        draws: `(num_events,)`, see `pair_draws`: a user's order then depends on nobody else's events.
    """
    return np.lexsort((draws, -age_days, users))


def pair_draws(
    user_keys: npt.NDArray[np.uint64], item_keys: npt.NDArray[np.uint64], seed: int
) -> npt.NDArray[np.uint64]:
    """Numbers that look random and depend on a user, an item and the seed alone.

    Args:
        user_keys: `(num_events,)`, hashes of the users' ids.
        item_keys: `(num_events,)`, hashes of the items' ids.
        seed: any integer.

    References:
        Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (the finalizer of SplitMix64).
    """
    started = _mixed(user_keys ^ np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
    return _mixed(started ^ item_keys)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@dataclass(frozen=True)
class Sequences:
    """Signals of all users in the order of `sequence_order`. All arrays are `(num_events,)`.

    Attributes:
        users: positions of users, never decreasing.
        items: positions of items in [0, num_items), or -1 for an item without weights.
        signal: int8: 1 like, 0 neutral, -1 dislike.
    """

    users: npt.NDArray[np.signedinteger[Any]]
    items: npt.NDArray[np.signedinteger[Any]]
    signal: npt.NDArray[np.int8]

    def moments(self, num_items: int, is_sparse: bool = False) -> tuple[Sums, Sums]:
        """Sums over all places in all sequences: past with past, and past with future.

        Users count by the square root of their length, or the few with long histories would decide.

        Returns:
            Two float64 `(num_items, num_items)`: `P'P` and `P'F`, where a row of P holds the decayed past of a place and
            the row of F its decayed future.
        """
        return self.added_to(empty_sums(num_items, is_sparse), empty_sums(num_items, is_sparse))

    def added_to(
        self, past_past: Sums, past_future: Sums, signs: npt.NDArray[np.float64] | float = 1.0
    ) -> tuple[Sums, Sums]:
        """Adds what `moments` gives to two such sums; dense ones are changed in place.

        Args:
            past_past: float64 `(num_items, num_items)`.
            past_future: the same.
            signs: `(num_events,)`, the same for all events of a user: with -1 what the user adds is taken away.
        """
        num_items = past_past.shape[0]
        lengths = np.bincount(self.users)[self.users] if len(self.users) else np.zeros(0)
        worth = signs / np.sqrt(np.maximum(lengths, 1.0))
        given = np.select([self.signal == 1, self.signal == 0], [1.0, NEUTRAL_STRENGTH], 0.0)
        wanted = np.select([self.signal == 1, self.signal == 0], [1.0, NEUTRAL_TARGET], DISLIKE_TARGET)
        for start in range(0, len(self.users), ROWS_PER_BLOCK):
            rows = np.arange(start, min(start + ROWS_PER_BLOCK, len(self.users)))
            past = self._around(rows, given, [-1 - d for d in range(REACH)], num_items)  # (num_rows, num_items)
            future = self._around(rows, wanted, list(range(REACH)), num_items)  # (num_rows, num_items)
            weighted = past.multiply(worth[rows][:, None]).T.tocsr()
            past_past, past_future = added(past_past, weighted @ past), added(past_future, weighted @ future)
        return past_past, past_future

    def _around(
        self, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64], offsets: list[int], num_items: int
    ) -> sp.csr_matrix:
        places, columns, entries = [], [], []
        for distance, offset in enumerate(offsets):
            other = rows + offset
            inside = (other >= 0) & (other < len(self.users))
            chosen = np.flatnonzero(inside)
            chosen = chosen[self.users[other[chosen]] == self.users[rows[chosen]]]
            event = other[chosen]
            known = (self.items[event] >= 0) & (values[event] != 0.0)
            places.append(chosen[known])
            columns.append(self.items[event[known]])
            entries.append(values[event[known]] * 0.5 ** (distance / HALF_LIFE_EVENTS))
        found = (np.concatenate(entries), (np.concatenate(places), np.concatenate(columns)))
        return sp.csr_matrix(found, (len(rows), num_items))


def transition_weights(
    past_past: npt.NDArray[np.float64], past_future: npt.NDArray[np.float64], reg: float
) -> FloatArray:
    """Solves `(P'P + ridge) T = P'F`, with a zero diagonal.

    Args:
        past_past: float64 `(num_items, num_items)`, symmetric, positive semi-definite.
        past_future: float64 `(num_items, num_items)`.
        reg: > 0; the ridge is this times the mean of the diagonal of `past_past`.

    Returns:
        float32 `(num_items, num_items)`; `T[j, i]` is what item j among the last events adds to item i.

    Raises:
        ValueError: if `reg` is not positive.

    References:
        Choi, Kim, Lee, Shim, Lee, Session-aware Linear Item-Item Models for Session-based Recommendation, WWW 2021,
        https://arxiv.org/abs/2103.16104 (the model SLIT, here over whole histories, with signed targets).
    """
    import tensorflow as tf

    if not past_past.size:
        return past_past.astype(np.float32)
    weights = np.array(tf.matmul(ridge_inverse(past_past, reg), tf.constant(past_future, tf.float32)))
    np.fill_diagonal(weights, 0.0)
    return weights
