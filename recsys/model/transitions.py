"""What follows what: closed-form weights from the items of a user's last events to those that come next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.recency import NEUTRAL_STRENGTH

FloatArray = npt.NDArray[np.float32]

HALF_LIFE_EVENTS = 5.0  # within the past, and within the future, of a place in a user's sequence
REACH = 20  # events looked at on either side: what is further away has less than 1/16
NEUTRAL_TARGET = 0.3  # how much a neutral signal is to be foretold; a like has 1
DISLIKE_TARGET = -1.0  # what users go on to dislike is foretold not to come
ROWS_PER_BLOCK = 50_000


@dataclass(frozen=True)
class Sequences:
    """Signals of all users, one user after another, oldest first. All arrays are `(num_events,)`.

    Attributes:
        users: positions of users, never decreasing.
        items: positions of items in [0, num_items), or -1 for an item without weights.
        signal: int8: 1 like, 0 neutral, -1 dislike.
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    signal: npt.NDArray[np.int8]

    @classmethod
    def build(
        cls,
        users: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        age_days: npt.NDArray[np.float64],
        signal: npt.NDArray[np.int8],
        seed: int,
    ) -> Sequences:
        """Sorts events; those of one user and one age come in an order that only the seed decides."""
        order = np.lexsort((np.random.default_rng(seed).random(len(users)), -age_days, users))
        return cls(users[order], items[order], signal[order])

    def moments(self, num_items: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sums over all places in all sequences: past with past, and past with future.

        Users count by the square root of their length, or the few with long histories would decide.

        Returns:
            Two float64 `(num_items, num_items)`: `P'P` and `P'F`, where a row of P holds the decayed past of a place and
            the row of F its decayed future.
        """
        past_past, past_future = np.zeros((num_items, num_items)), np.zeros((num_items, num_items))
        lengths = np.bincount(self.users)[self.users] if len(self.users) else np.zeros(0)
        worth = 1.0 / np.sqrt(np.maximum(lengths, 1.0))
        given = np.select([self.signal == 1, self.signal == 0], [1.0, NEUTRAL_STRENGTH], 0.0)
        wanted = np.select([self.signal == 1, self.signal == 0], [1.0, NEUTRAL_TARGET], DISLIKE_TARGET)
        for start in range(0, len(self.users), ROWS_PER_BLOCK):
            rows = np.arange(start, min(start + ROWS_PER_BLOCK, len(self.users)))
            past = self._around(rows, given, [-1 - d for d in range(REACH)], num_items)  # (num_rows, num_items)
            future = self._around(rows, wanted, list(range(REACH)), num_items)  # (num_rows, num_items)
            weighted = past.multiply(worth[rows][:, None]).T.tocsr()
            past_past += (weighted @ past).toarray()
            past_future += (weighted @ future).toarray()
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

    if reg <= 0:
        raise ValueError(f"Expected reg > 0, got {reg}.")
    if not past_past.size:
        return past_past.astype(np.float32)
    ridge = reg * max(float(np.diag(past_past).mean()), 1e-6)
    regular = tf.constant(past_past, tf.float32) + ridge * tf.eye(len(past_past))
    weights = tf.linalg.cholesky_solve(tf.linalg.cholesky(regular), tf.constant(past_future, tf.float32)).numpy()
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, np.float32)
