"""Behaviour tests of what was learned: models that know nothing, or only one thing, do not pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.evaluation.metrics.similarity import ItemSimilarity
from recsys.model.protocol import RecommenderProtocol
from recsys.statistics.bootstrap import mean_interval

LIST_LENGTH = 10
CHANCE = 0.5
MIN_DIVERSITY_SHARE = 0.5  # of the diversity of what users like
MAX_SHORTFALL = 0.15  # below it nobody would call a list more of the same, whatever the share
MAX_LIKES = 20  # of a user, whose pairs are looked at


def likes_score_above_chance(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """What users like scores above the other items of the catalog: significantly more often than by chance.

    For each liked item the share of all items that score below it, equal ones counting half; a mean per user. Whoever
    scores at random, or all alike, gets 0.5. That the likes were learned from is no matter: this asks for the least.
    """
    del rng
    name = "likes_score_above_chance"
    likes = histories[(histories["signal"] == "like") & histories["item_id"].isin(recommender.item_ids)]
    if likes.empty:
        return BehaviourResult(name, True, "no likes in the histories: nothing to compare")
    own = sorted(set(likes["user_id"]) & set(users))
    scores = recommender.score(histories, own)
    rows = pd.Index(own).get_indexer(pd.Index(likes["user_id"]))
    columns = pd.Index(recommender.item_ids).get_indexer(pd.Index(likes["item_id"]))
    shares = pd.Series(_shares_below(scores, rows, columns)).groupby(rows).mean()
    interval = mean_interval(shares.to_numpy(np.float64), seed=0)
    metrics = {"likes_above_share": interval.mean}
    said = f"{interval.mean:.3f} (interval {interval.low:.3f} to {interval.high:.3f})"
    detail = f"what {len(own)} users like scores above a share of {said} of all items"
    if interval.low <= CHANCE:
        worst = own[int(shares.index[int(shares.to_numpy().argmin())])]
        detail += f", chance is {CHANCE}; for user {worst}, likes above {shares.min():.3f}"
    return BehaviourResult(name, interval.low > CHANCE, detail, metrics)


def _shares_below(
    scores: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    ordered = np.sort(scores, axis=1)
    shares = np.empty(len(rows))
    for row in np.unique(rows):
        chosen = rows == row
        values = scores[row, columns[chosen]]
        below, upto = (np.searchsorted(ordered[row], values, side=side) for side in ("left", "right"))
        shares[chosen] = (below + upto - 1) / 2.0 / max(scores.shape[1] - 1, 1)  # the item itself is not among them
    return shares


def lists_are_as_diverse_as_tastes(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """Lists are about as diverse as what their users like, on average over users with two likes or more.

    Compared with the users' own likes, since a catalog may be of one genre, and a user may want no other. A list may be
    half as diverse, or less where the likes were hardly diverse themselves.
    """
    del rng
    name = "lists_are_as_diverse_as_tastes"
    similarity = ItemSimilarity(recommender.features)
    likes = histories[histories["signal"] == "like"].groupby("user_id").head(MAX_LIKES)
    tastes = _diversity(recommender, similarity, likes)
    lists = _diversity(recommender, similarity, recommender.top_items(histories, users, LIST_LENGTH))
    both = pd.concat([lists, tastes], axis=1, keys=["list", "taste"]).dropna()
    if both.empty:
        return BehaviourResult(name, True, "no user with two likes of known features: nothing to compare")
    mean = both.mean()
    metrics = {"list_diversity": float(mean["list"]), "taste_diversity": float(mean["taste"])}
    least = min(MIN_DIVERSITY_SHARE * mean["taste"], mean["taste"] - MAX_SHORTFALL)
    passed = bool(mean["list"] >= least)
    detail = f"diversity of {len(both)} users' lists {mean['list']:.3f}, of what they like {mean['taste']:.3f}"
    if not passed:
        worst = str((both["taste"] - both["list"]).idxmax())
        own = both.loc[worst]
        detail += (
            f", expected at least {least:.3f}; user {worst} likes {own['taste']:.3f} and was given {own['list']:.3f}"
        )
    return BehaviourResult(name, passed, detail, metrics)


def _diversity(recommender: RecommenderProtocol, similarity: ItemSimilarity, items: pd.DataFrame) -> pd.Series:
    """1 - mean similarity of the pairs of each user's items; by user, without those who have no pair."""
    places = pd.Index(recommender.item_ids).get_indexer(pd.Index(items["item_id"]))
    own = pd.DataFrame({"user_id": items["user_id"].to_numpy(), "place": places})
    own["n"] = own.groupby("user_id").cumcount()
    pairs = own.merge(own, on="user_id", suffixes=("", "_other"))
    pairs = pairs[pairs["n"] < pairs["n_other"]]
    found = similarity.of_pairs(pairs["place"].to_numpy(np.int64), pairs["place_other"].to_numpy(np.int64))
    return 1.0 - pd.Series(found, index=pairs["user_id"].to_numpy()).groupby(level=0).mean().dropna()
