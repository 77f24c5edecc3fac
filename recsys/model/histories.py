"""Histories: what a scorer knows of its users, as a long table.

| column | type | meaning |
|---|---|---|
| `user_id` | str | |
| `item_id` | str | |
| `signal` | str | `like`, `dislike`, `neutral` (a rating without an opinion, a click) or `seen` (only masks) |
| `weight` | float64 | sample weight in (0, 1]; used for likes and dislikes |
| `reason` | str | of a dislike, else empty; may be missing, which stands for `unspecified` |
| `age_days` | float64 | before the cut-off, >= 0; may be missing: then no event counts as newer than another |

One row per (user, item): the newest signal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from recsys.model.event_matrix import event_matrix
from recsys.model.feature_adjustment import FeatureVocabulary, decay_of
from recsys.model.recency import recency_weights, refreshed_weights
from recsys.records import DislikeReason

COLUMNS = ("user_id", "item_id", "signal", "weight")
OPINIONS = ("likes", "recent", "dislikes")
SIGNALS = ("like", "dislike", "neutral", "seen")


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


def personal_matrices(
    users: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    signal: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    age_days: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> dict[str, sp.csr_matrix]:
    """`likes`, `dislikes` and `recent` of `HistoryMatrices`: what the fit and the scorer alike know of users.

    Args:
        users: `(num_events,)`, positions.
        items: `(num_events,)`, positions; -1 for an item outside the vocabulary, which still counts as an event.
        signal: `(num_events,)`: 1 like, -1 dislike, 0 neutral.
        weights: `(num_events,)`, decayed sample weights in (0, 1]; those of neutral signals do not matter.
        age_days: `(num_events,)`, >= 0.
        shape: `(num_users, num_items)`.
    """
    liked, met, opinion = signal == 1, signal >= 0, signal != 0
    refreshed, recency = np.zeros(len(users)), np.zeros(len(users))
    refreshed[opinion] = refreshed_weights(users[opinion], weights[opinion], liked[opinion])
    recency[met] = recency_weights(users[met], age_days[met], liked[met])
    return {
        "likes": event_matrix(np.where(liked, refreshed, 0.0), users, items, shape),
        "dislikes": event_matrix(np.where(signal == -1, refreshed, 0.0), users, items, shape),
        "recent": event_matrix(recency, users, items, shape),
    }


@dataclass(frozen=True)
class HistoryMatrices:
    """Histories of some users over a vocabulary.

    Attributes:
        user_ids: `(num_users,)`.
        likes: sparse float32 `(num_users, num_items)`: sample weights, as of the user's newest like, which has its weight
            before decay: someone who stayed away for a year has kept their taste.
        dislikes: the same, aged like the likes.
        recent: the same shape: `recency_weights` of likes and neutral signals.
        seen: the same: 1.0 for any signal.
        dislike_logs: sparse float64 `(num_users, num_kinds * num_items)`: what dislikes leave of features, see
            `FeatureVocabulary.dislike_logs`.
    """

    user_ids: npt.NDArray[np.object_]
    likes: sp.csr_matrix
    dislikes: sp.csr_matrix
    recent: sp.csr_matrix
    seen: sp.csr_matrix
    dislike_logs: sp.csr_matrix

    @classmethod
    def build(
        cls,
        histories: pd.DataFrame,
        item_ids: Sequence[str],
        features: FeatureVocabulary,
        user_ids: Sequence[str] | None = None,
    ) -> HistoryMatrices:
        """Places histories on the vocabulary; users without history get empty rows.

        Items outside the vocabulary only count as events: what came before one is less recent.

        Args:
            histories: see the module's table.
            item_ids: the vocabulary, in order.
            features: of those items.
            user_ids: rows of the result, in order; by default every user of `histories`, sorted.
        """
        validate_histories(histories)
        users = np.asarray(sorted(histories["user_id"].unique()) if user_ids is None else list(user_ids), dtype=object)
        rows = pd.Index(users).get_indexer(pd.Index(histories["user_id"]))
        own, rows = histories[rows >= 0], rows[rows >= 0]
        columns = pd.Index(item_ids).get_indexer(pd.Index(own["item_id"]))
        names, weight = own["signal"].to_numpy(), own["weight"].to_numpy(np.float64)
        signal = np.select([names == "like", names == "dislike"], [1, -1], 0)
        tells = names != "seen"
        reasons = np.full(len(own), DislikeReason.UNSPECIFIED, dtype=object)
        if "reason" in own:
            reasons = own["reason"].to_numpy(dtype=object)
        age_days = own["age_days"].to_numpy(np.float64) if "age_days" in own else np.zeros(len(own))
        shape = (len(users), len(item_ids))
        known = (signal == -1) & (columns >= 0)
        decay = decay_of(weight[known], reasons[known])
        return cls(
            user_ids=users,
            seen=event_matrix(np.ones(len(own)), rows, columns, shape),
            dislike_logs=features.dislike_logs(rows[known], columns[known], reasons[known], decay, len(users)),
            **personal_matrices(rows[tells], columns[tells], signal[tells], weight[tells], age_days[tells], shape),
        )

    def batches(self, size: int) -> Iterator[HistoryMatrices]:
        """Consecutive blocks of at most `size` users."""
        for start in range(0, len(self.user_ids), size):
            block = slice(start, start + size)
            yield HistoryMatrices(
                self.user_ids[block],
                self.likes[block],
                self.dislikes[block],
                self.recent[block],
                self.seen[block],
                self.dislike_logs[block],
            )

    def without(self, rows: npt.NDArray[np.int64], removed: Sequence[Sequence[int]]) -> HistoryMatrices:
        """Users without what some items of their histories say.

        The removed items' entries are 0; all others keep their weights, although the newest like and the order of events
        might have given them others. What was removed still counts as seen: it does not come back.

        Args:
            rows: `(num_results,)`: whose history each row of the result is; a user may come more than once.
            removed: for each row of the result the positions of the removed items.
        """
        columns = np.array([item for items in removed for item in items], np.int64)
        of = np.repeat(np.arange(len(rows)), [len(items) for items in removed])
        gone = sp.csr_matrix((np.ones(len(of), np.float32), (of, columns)), (len(rows), self.seen.shape[1]))

        def left(matrix: sp.csr_matrix) -> sp.csr_matrix:
            own = matrix[rows]
            own -= own.multiply(sp.hstack([gone] * (own.shape[1] // gone.shape[1])))
            own.eliminate_zeros()
            return own

        return HistoryMatrices(
            self.user_ids[rows],
            left(self.likes),
            left(self.dislikes),
            left(self.recent),
            self.seen[rows],
            left(self.dislike_logs),
        )

    def sparse_opinions(self) -> dict[str, sp.csr_matrix]:
        """Inputs of `Scorer` for these users."""
        return {name: getattr(self, name) for name in OPINIONS}

    def multipliers(self, features: FeatureVocabulary) -> npt.NDArray[np.float32] | None:
        """What adjustments leave of every item, `(num_users, num_items)`; None where there are no adjustments."""
        if not self.dislike_logs.nnz:
            return None
        return features.item_multipliers(features.summed_logs(self.dislike_logs))

    def opinions(self) -> dict[str, npt.NDArray[np.float32]]:
        """Dense inputs of `AdditiveModel` for these users' scores before adjustments."""
        return {name: getattr(self, name).toarray() for name in OPINIONS}

    def inputs(self, features: FeatureVocabulary) -> dict[str, npt.NDArray[np.float32]]:
        """Dense inputs of `AdditiveModel` for these users."""
        multipliers = self.multipliers(features)
        return self.opinions() | ({} if multipliers is None else {"multipliers": multipliers})
