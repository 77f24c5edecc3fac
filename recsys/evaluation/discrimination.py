"""Discrimination: whether scores put what a user will like above what they will dislike, listed or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.model.recommender import BATCH_SIZE, Recommender

FloatArray = npt.NDArray[np.float64]


def users_with_both(judgements: pd.DataFrame) -> list[str]:
    """Users with a liked and a disliked item in the holdout, sorted: only they have an AUC."""
    labels = judgements.groupby("user_id")["label"]
    return sorted(labels.min().index[(labels.min() == 0) & (labels.max() == 1)])


def auc_per_user(judgements: pd.DataFrame, scores: FloatArray) -> pd.Series:
    """Share of a user's (liked, disliked) pairs in which the liked item scores higher; equal scores count half.

    Args:
        judgements: `user_id`, `label` (1 liked, 0 disliked), of any users.
        scores: `(num_judgements,)`; `-inf` for an item that the system does not know: below all that it knows.

    Returns:
        By user, float64 in [0, 1]; NaN for a user without a pair.

    References:
        Mann, Whitney 1947: the sum of ranks counts the pairs.
    """
    if np.isnan(scores).any():
        raise ValueError(f"Expected a score for each judgement, got {int(np.isnan(scores).sum())} NaN.")
    users = judgements["user_id"]
    rank = pd.Series(scores, index=judgements.index).groupby(users).rank(method="average")
    liked = judgements["label"] == 1
    num_liked, num_disliked = liked.groupby(users).sum(), (~liked).groupby(users).sum()
    pairs = (num_liked * num_disliked).where(lambda count: count > 0)
    rank_sum = rank.where(liked, 0.0).groupby(users).sum()
    return (rank_sum - num_liked * (num_liked + 1) / 2.0) / pairs


def model_scores(recommender: Recommender, histories: pd.DataFrame, judgements: pd.DataFrame) -> FloatArray:
    """What a model scores the evaluated items; `(num_judgements,)`, `-inf` where it does not know an item.

    Args:
        recommender: the model.
        histories: see `recsys.model.histories`.
        judgements: `user_id`, `item_id`.
    """
    users = sorted(judgements["user_id"].unique())
    rows = pd.Index(users).get_indexer(pd.Index(judgements["user_id"]))
    columns = pd.Index(recommender.item_ids).get_indexer(pd.Index(judgements["item_id"]))
    scores = np.full(len(judgements), -np.inf)
    for start in range(0, len(users), BATCH_SIZE):  # all items of all users would not fit into memory
        found = recommender.score(histories, users[start : start + BATCH_SIZE])
        chosen = (rows >= start) & (rows < start + BATCH_SIZE) & (columns >= 0)
        scores[chosen] = found[rows[chosen] - start, columns[chosen]]
    return scores


def ordered_scores(ordered_items: Sequence[str], judgements: pd.DataFrame) -> FloatArray:
    """Scores by position in one order for everybody, the best first; `-inf` for an item that is not in it."""
    place: Mapping[str, int] = {item_id: n for n, item_id in enumerate(ordered_items)}
    return np.array([-float(place.get(item_id, np.inf)) for item_id in judgements["item_id"]], np.float64)
