"""Ranking metrics per user: NDCG, recall, reciprocal rank, dislike exposure; and coverage of a catalog.

Policy: lists are evaluated as they come, ranks from 1. A user without a liked holdout item has no accuracy (NaN) and one
without a disliked item no exposure (NaN); means leave NaN out. An empty or short list simply has fewer hits. The ideal
list of a user holds all liked items of the holdout, also those that a system cannot know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.model.protocol import RecommenderProtocol

METRICS = ("ndcg_at_10", "recall_at_20", "mrr", "dislike_exposure_at_10")
BATCH_SIZE = 256  # users scored at once


def evaluate_lists(
    top: Mapping[str, pd.DataFrame], judgements: pd.DataFrame, k: int = 10, recall_k: int = 20
) -> pd.DataFrame:
    """Scores the lists of several systems against the same holdout.

    Args:
        top: system -> `user_id`, `rank` (from 1), `item_id`.
        judgements: `user_id`, `item_id`, `label` (1 liked, 0 disliked), one row per (user, item).
        k: list length of NDCG and dislike exposure; their columns are called `_at_10` after its default.
        recall_k: list length of recall and of the reciprocal rank.

    Returns:
        One row per system and user of the holdout: `system`, `user_id`, `num_liked`, `num_disliked`, `ndcg_at_10`,
        `recall_at_20`, `mrr`, `dislike_exposure_at_10`, by system and user.

    Raises:
        ValueError: if columns are missing, a label is not 0 or 1, a pair appears twice, a rank is not a whole number
            from 1, or a list holds an item or a rank twice.

    References:
        Jarvelin, Kekalainen, Cumulated gain-based evaluation of IR techniques, TOIS 2002 (binary gains here).
    """
    _validate_judgements(judgements)
    if not top:
        raise ValueError("Expected the lists of at least one system, got none.")
    users = pd.Index(np.sort(judgements["user_id"].unique()), name="user_id")
    liked = judgements[judgements["label"] == 1]
    num_liked = liked.groupby("user_id").size().reindex(users, fill_value=0)
    num_disliked = judgements[judgements["label"] == 0].groupby("user_id").size().reindex(users, fill_value=0)
    judged = judgements[["user_id", "item_id", "label"]]
    frames = []
    for system in sorted(top):
        lists = top[system]
        _validate_lists(system, lists)
        hits = lists[["user_id", "rank", "item_id"]].merge(judged, on=["user_id", "item_id"])
        frame = _accuracy(hits[hits["label"] == 1], num_liked, k, recall_k)
        shown = hits[(hits["label"] == 0) & (hits["rank"] <= k)].groupby("user_id").size()
        exposure = shown.reindex(users, fill_value=0) / k
        frame["dislike_exposure_at_10"] = exposure.where(num_disliked > 0)
        frame.insert(0, "num_disliked", num_disliked)
        frame.insert(0, "num_liked", num_liked)
        frame.insert(0, "system", system)
        frames.append(frame.reset_index().rename(columns={"index": "user_id"}))
    return pd.concat(frames, ignore_index=True)


def _validate_judgements(judgements: pd.DataFrame) -> None:
    _validate_columns("judgements", judgements, ("user_id", "item_id", "label"))
    unknown = set(judgements["label"].unique()) - {0, 1}
    if unknown:
        raise ValueError(f"Expected the labels 1 (liked) and 0 (disliked), got {sorted(map(str, unknown))}.")
    twice = judgements[judgements.duplicated(["user_id", "item_id"])]
    if len(twice):
        user_id, item_id = twice.iloc[0][["user_id", "item_id"]]
        raise ValueError(
            f"Expected one judgement per (user_id, item_id), got several for {len(twice)} pairs, such as user {user_id} "
            f"with item {item_id}: keep the newest."
        )


def _validate_lists(system: str, lists: pd.DataFrame) -> None:
    _validate_columns(f"lists of {system}", lists, ("user_id", "rank", "item_id"))
    ranks = lists["rank"]
    if len(lists) and not (pd.api.types.is_integer_dtype(ranks) and ranks.min() >= 1):
        raise ValueError(f"Expected ranks 1, 2, 3 ... from {system}, got {ranks.min()} as the first ({ranks.dtype}).")
    for column in ("item_id", "rank"):
        twice = lists[lists.duplicated(["user_id", column])]
        if len(twice):
            user_id, value = twice.iloc[0][["user_id", column]]
            raise ValueError(
                f"Expected each {column} once in a list, but {system} gives user {user_id} the {column} {value} twice."
            )


def _validate_columns(name: str, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"Expected {name} with the columns {columns}, missing {missing}; got {list(frame)}.")


def _accuracy(hits: pd.DataFrame, num_liked: pd.Series, k: int, recall_k: int) -> pd.DataFrame:
    """NDCG, recall and reciprocal rank from the hits of one system; index: users of `num_liked`."""
    users = num_liked.index
    has_liked = num_liked > 0
    at_k = hits[hits["rank"] <= k]
    gain = (1.0 / np.log2(at_k["rank"] + 1)).groupby(at_k["user_id"]).sum().reindex(users, fill_value=0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))[np.clip(num_liked.to_numpy(), 1, k) - 1]
    at_recall = hits[hits["rank"] <= recall_k]
    found = at_recall.groupby("user_id").size().reindex(users, fill_value=0)
    first = at_recall.groupby("user_id")["rank"].min().reindex(users)
    return pd.DataFrame(
        {
            "ndcg_at_10": (gain / ideal).where(has_liked),
            "recall_at_20": (found / num_liked.where(has_liked)),
            "mrr": (1.0 / first).fillna(0.0).where(has_liked),
        },
        index=users,
    )


def coverage(top: pd.DataFrame, num_items: int, k: int) -> float:
    """Share of `num_items` catalog items that are in anybody's first `k`."""
    return float(top.loc[top["rank"] <= k, "item_id"].nunique() / max(num_items, 1))


def rank_overlap(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Mean share of each user's list in `first` that is also in `second`'s; lists with `user_id`, `item_id`."""
    if first.empty:
        return 1.0
    shared = first.merge(second, on=["user_id", "item_id"]).groupby("user_id").size()
    sizes = first.groupby("user_id").size()
    return float((shared.reindex(sizes.index, fill_value=0) / sizes).mean())


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


def model_scores(recommender: RecommenderProtocol, histories: pd.DataFrame, judgements: pd.DataFrame) -> FloatArray:
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
