"""Top lists from scores, and what they are worth: the same candidates and the same metrics for every system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from benchmarks.accuracy.streams import Split
from recsys.evaluation.metrics.accuracy import evaluate_lists
from recsys.model.event_matrix import event_matrix

LIST_LENGTH = 20
BLOCK = 256


@dataclass(frozen=True)
class Train:
    """What a system may know, as positions. All arrays are `(num_events,)`.

    Attributes:
        split: what it comes from.
        user_ids: `(num_users,)`, of train and test.
        item_ids: `(num_items,)`: every item with an event in train. These are the candidates.
        users: positions of users.
        items: positions of items.
        signal: 1 like, 0 neutral, -1 dislike.
        age_days: before the cut-off.
    """

    split: Split
    user_ids: npt.NDArray[np.object_]
    item_ids: npt.NDArray[np.object_]
    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    signal: npt.NDArray[np.int64]
    age_days: npt.NDArray[np.float64]

    @classmethod
    def of(cls, split: Split) -> Train:
        """From the training part of a split."""
        train = split.train
        user_ids = np.union1d(train["user_id"].unique(), split.test["user_id"].unique()).astype(object)
        item_ids = np.sort(train["item_id"].unique()).astype(object)
        age = (split.cut_off - train["occurred_at"]).dt.total_seconds().to_numpy(np.float64) / 86_400
        return cls(
            split,
            user_ids,
            item_ids,
            pd.Index(user_ids).get_indexer(train["user_id"]).astype(np.int64),
            pd.Index(item_ids).get_indexer(train["item_id"]).astype(np.int64),
            train["signal"].map({"like": 1, "neutral": 0, "dislike": -1}).to_numpy().astype(np.int64),
            age,
        )

    def matrix(self, values: npt.NDArray[np.float64]) -> sp.csr_matrix:
        """Sparse float32 `(num_users, num_items)`; zeros are left out."""
        return event_matrix(values, self.users, self.items, (len(self.user_ids), len(self.item_ids)))

    def popularity(self, half_life_days: float) -> npt.NDArray[np.float64]:
        """Decayed likes of each item."""
        worth = (self.signal == 1) * 0.5 ** (self.age_days / half_life_days)
        return np.bincount(self.items, worth, minlength=len(self.item_ids)).astype(np.float64)


class Scorer(Protocol):
    """A fitted system."""

    def __call__(self, users: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Scores of all candidates; `(num_users, num_items)`."""


def test_users(train: Train) -> npt.NDArray[np.int64]:
    """Positions of the users with a judgement to come."""
    return np.flatnonzero(pd.Index(train.user_ids).isin(train.split.test["user_id"]))


def top_lists(train: Train, scorer: Scorer, users: npt.NDArray[np.int64]) -> pd.DataFrame:
    """The best unseen candidates of each user: `user_id`, `rank`, `item_id`."""
    seen = train.matrix(np.ones(len(train.users)))
    frames = []
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        scores = np.where(seen[block].toarray() > 0, -np.inf, scorer(block))
        best, top = (keras.ops.convert_to_numpy(x) for x in keras.ops.top_k(scores, min(LIST_LENGTH, scores.shape[1])))
        row, column = np.nonzero(np.isfinite(best))
        frames.append(
            pd.DataFrame(
                {
                    "user_id": train.user_ids[block[row]],
                    "rank": column + 1,
                    "item_id": train.item_ids[top[row, column]],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def judgements(split: Split) -> pd.DataFrame:
    """Liked and disliked test items that their user had not met in train."""
    test = split.test[split.test["signal"] != "neutral"]
    known = pd.MultiIndex.from_frame(split.train[["user_id", "item_id"]])
    test = test[~pd.MultiIndex.from_frame(test[["user_id", "item_id"]]).isin(known)]
    return pd.DataFrame(
        {
            "user_id": test["user_id"],
            "item_id": test["item_id"],
            "label": (test["signal"] == "like").astype(int),
        }
    )


def worth(split: Split, lists: pd.DataFrame) -> pd.DataFrame:
    """Per user: NDCG@10, Recall@20, MRR and dislike exposure@10; `is_known`: had a like in train."""
    per_user = evaluate_lists({"system": lists}, judgements(split)).drop(columns="system")
    liking = split.train.loc[split.train["signal"] == "like", "user_id"].unique()
    return per_user.assign(is_known=per_user["user_id"].isin(liking))
