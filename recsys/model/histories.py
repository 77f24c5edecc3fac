"""Histories: what a scorer knows of its users, as a long table.

| column | type | meaning |
|---|---|---|
| `user_id` | str | |
| `item_id` | str | |
| `signal` | str | `like`, `dislike` or `seen` (neutral rating, click, already watched: only masks) |
| `weight` | float64 | sample weight in (0, 1]; not used for `seen` |

One row per (user, item): the newest signal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

COLUMNS = ("user_id", "item_id", "signal", "weight")
SIGNALS = ("like", "dislike", "seen")


def validate_histories(histories: pd.DataFrame) -> None:
    """Checks columns, signals, weights and uniqueness.

    Raises:
        ValueError: naming what was expected and what came.
    """
    missing = [column for column in COLUMNS if column not in histories.columns]
    if missing:
        raise ValueError(f"Expected histories with the columns {COLUMNS}, missing {missing}; got {list(histories)}.")
    unknown = set(histories["signal"].unique()) - set(SIGNALS)
    if unknown:
        raise ValueError(f"Expected signals from {SIGNALS}, got {sorted(map(str, unknown))}.")
    weights = histories["weight"].to_numpy(np.float64)
    if weights.size and not ((weights > 0) & (weights <= 1)).all():
        raise ValueError(f"Expected weights in (0, 1], got values from {weights.min()} to {weights.max()}.")
    if histories.duplicated(["user_id", "item_id"]).any():
        twice = histories[histories.duplicated(["user_id", "item_id"])].iloc[0]
        raise ValueError(
            f"Expected one row per (user_id, item_id), got several for ({twice['user_id']}, {twice['item_id']}): "
            "keep the newest signal."
        )


@dataclass(frozen=True)
class HistoryMatrices:
    """Histories of some users over a vocabulary, as sparse float32 matrices `(num_users, num_items)`."""

    user_ids: npt.NDArray[np.object_]
    likes: sp.csr_matrix
    dislikes: sp.csr_matrix
    seen: sp.csr_matrix  # any signal, 1.0

    @classmethod
    def build(
        cls, histories: pd.DataFrame, item_ids: Sequence[str], user_ids: Sequence[str] | None = None
    ) -> HistoryMatrices:
        """Places histories on the vocabulary; unknown items are left out, users without history get empty rows.

        Args:
            histories: see the module's table.
            item_ids: the vocabulary, in order.
            user_ids: rows of the result, in order; by default every user of `histories`, sorted.
        """
        validate_histories(histories)
        users = np.asarray(sorted(histories["user_id"].unique()) if user_ids is None else list(user_ids), dtype=object)
        rows = pd.Index(users).get_indexer(pd.Index(histories["user_id"]))
        columns = pd.Index(item_ids).get_indexer(pd.Index(histories["item_id"]))
        known = (rows >= 0) & (columns >= 0)
        weight, signal = histories["weight"].to_numpy(np.float32), histories["signal"].to_numpy()

        def matrix(chosen: npt.NDArray[np.bool_], values: npt.NDArray[np.float32]) -> sp.csr_matrix:
            return sp.csr_matrix(
                (values[chosen], (rows[chosen], columns[chosen])), shape=(len(users), len(item_ids)), dtype=np.float32
            )

        return cls(
            user_ids=users,
            likes=matrix(known & (signal == "like"), weight),
            dislikes=matrix(known & (signal == "dislike"), weight),
            seen=matrix(known, np.ones_like(weight)),
        )

    def batches(self, size: int) -> Iterator[HistoryMatrices]:
        """Consecutive blocks of at most `size` users."""
        for start in range(0, len(self.user_ids), size):
            block = slice(start, start + size)
            yield HistoryMatrices(self.user_ids[block], self.likes[block], self.dislikes[block], self.seen[block])

    def inputs(self) -> dict[str, npt.NDArray[np.float32]]:
        """Dense inputs of `AdditiveModel` for these users."""
        return {"likes": self.likes.toarray(), "dislikes": self.dislikes.toarray()}
