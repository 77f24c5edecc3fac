"""What lists are like beyond hits, user by user: diversity, novelty, popularity, calibration of genres.

Policy: an empty slot counts nowhere, the means are over the slots that are filled. What cannot be said is NaN, and means
leave NaN out:

| metric | NaN where |
|---|---|
| diversity | no two items of the list have known features |
| diversity shortfall | the same, or no two items that the user has liked have known features |
| novelty, popularity | the list is empty |
| calibration error | the user has liked no item with a genre, or no item of the list has one |

All of it is measured against what was known when the holdout began; the holdout itself has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import rel_entr

from recsys.evaluation.metrics.item_statistics import KnownItems

FloatArray = npt.NDArray[np.float64]
LIST_METRICS = (
    "diversity_at_10", "diversity_shortfall_at_10", "novelty_at_10", "popularity_at_10", "calibration_error_at_10",
)  # fmt: skip
MAX_LIKES = 20  # of a user, the newest, whose pairs are looked at


@dataclass(frozen=True)
class Tastes:
    """What users like, as far as lists are compared with it.

    Attributes:
        genres: float64 `(num_users, num_genres)`, counts; see `liked_genres_of`.
        diversity: float64 `(num_users,)`, of the newest likes, as of lists; NaN where no two have known features.
    """

    genres: FloatArray
    diversity: FloatArray


def tastes_of(histories: pd.DataFrame, users: pd.Index[str], known: KnownItems) -> Tastes:
    """What users like by their histories: `user_id`, `item_id`, `signal`, and `age_days` where events have one."""
    likes = histories[(histories["signal"] == "like") & histories["item_id"].isin(known.item_ids)]
    if "age_days" in likes:
        likes = likes.sort_values("age_days", kind="stable")
    newest = likes.assign(rank=likes.groupby("user_id").cumcount() + 1)
    slots = known.positions(newest, users, MAX_LIKES)
    return Tastes(liked_genres_of(histories, users, known), 1.0 - _mean_similarity(slots, known))


def describe_lists(
    top: Mapping[str, pd.DataFrame], users: pd.Index[str], known: KnownItems, tastes: Tastes, k: int = 10
) -> pd.DataFrame:
    """Describes the lists of several systems.

    Args:
        top: system -> `user_id`, `rank` (from 1), `item_id`.
        users: whose lists.
        known: of all items in the lists.
        tastes: of these users.
        k: slots to look at; the columns are called `_at_10` after its default.

    Returns:
        One row per system and user: `system`, `user_id` and

        - `diversity_at_10`: 1 - mean similarity (see `ItemSimilarity`) of all pairs in the list; in [0, 1].
        - `diversity_shortfall_at_10`: by how much that is below the diversity of what the user has liked; in [0, 1]. Who
          likes one thing only is not failed by a list of it.
        - `novelty_at_10`: mean of `KnownItems.surprise`, in bits; in [0, log2(1 + number of users)].
        - `popularity_at_10`: mean of `KnownItems.popularity_percentiles`; in (0, 1).
        - `calibration_error_at_10`: Jensen-Shannon distance between the genres of the list and those that the user has
          liked; in [0, 1].

    References:
        Diversity: Ziegler et al., *Improving Recommendation Lists Through Topic Diversification*, WWW 2005. Novelty:
        Vargas, Castells, *Rank and Relevance in Novelty and Diversity Metrics*, RecSys 2011. Calibration: Steck,
        *Calibrated Recommendations*, RecSys 2018, with the distance of Endres, Schindelin, 2003, which is symmetric and
        finite.
    """
    percentiles, surprise = known.popularity_percentiles(), known.surprise()
    frames = []
    for system in sorted(top):
        slots = known.positions(top[system], users, k)  # (num_users, k)
        diversity = 1.0 - _mean_similarity(slots, known)
        values = (
            diversity,
            np.maximum(tastes.diversity - diversity, 0.0),
            _mean_of_slots(slots, surprise),
            _mean_of_slots(slots, percentiles),
            calibration_errors(slots, tastes.genres, known.genres),
        )
        frames.append(
            pd.DataFrame({"system": system, "user_id": users, **dict(zip(LIST_METRICS, values, strict=True))})
        )
    return pd.concat(frames, ignore_index=True)


def _mean_of_slots(slots: npt.NDArray[np.int64], values: FloatArray) -> FloatArray:
    filled = slots >= 0
    total = np.where(filled, values[slots], 0.0).sum(axis=1) if len(values) else np.zeros(len(slots))
    return _mean(total, filled.sum(axis=1))


def _mean_similarity(slots: npt.NDArray[np.int64], known: KnownItems) -> FloatArray:
    """Over the pairs of each list whose features are known; `(num_users,)`."""
    first, second = np.triu_indices(slots.shape[1], k=1)
    found = known.similarity.of_pairs(slots[:, first].ravel(), slots[:, second].ravel()).reshape(len(slots), len(first))
    told = ~np.isnan(found)
    return _mean(np.where(told, found, 0.0).sum(axis=1), told.sum(axis=1))


def _mean(total: FloatArray, count: npt.NDArray[np.int64]) -> FloatArray:
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))


def liked_genres_of(histories: pd.DataFrame, users: pd.Index[str], known: KnownItems) -> FloatArray:
    """Genres of the items that users have liked; each like counts 1, shared out evenly over its genres.

    Args:
        histories: `user_id`, `item_id`, `signal`.
        users: rows of the result.
        known: the items.

    Returns:
        float64 `(num_users, num_genres)`, counts.
    """
    likes = histories[(histories["signal"] == "like") & histories["user_id"].isin(users)]
    rows = users.get_indexer(pd.Index(likes["user_id"]))
    columns = known.item_ids.get_indexer(pd.Index(likes["item_id"]))
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    counts = np.zeros((len(users), known.genres.shape[1]))
    np.add.at(counts, rows, known.genres[columns])
    return counts


def calibration_errors(slots: npt.NDArray[np.int64], liked_genres: FloatArray, genres: FloatArray) -> FloatArray:
    """Jensen-Shannon distance, base 2, between the genres of each list and those that its user has liked.

    Args:
        slots: `(num_users, k)`, positions of items, -1 for an empty slot.
        liked_genres: `(num_users, num_genres)`, counts.
        genres: `(num_items, num_genres)`, shares.

    Returns:
        `(num_users,)` in [0, 1]; NaN where either side has no genre.
    """
    shown = np.zeros_like(liked_genres)
    for slot in slots.T:
        filled = slot >= 0
        shown[filled] += genres[slot[filled]]
    told = (shown.sum(axis=1) > 0) & (liked_genres.sum(axis=1) > 0)
    listed, liked = (part[told] / part[told].sum(axis=1, keepdims=True) for part in (shown, liked_genres))
    middle = (listed + liked) / 2.0
    divergence = (rel_entr(listed, middle) + rel_entr(liked, middle)).sum(axis=1) / (2.0 * np.log(2.0))
    errors = np.full(len(slots), np.nan)
    errors[told] = np.sqrt(np.clip(divergence, 0.0, 1.0))  # a hair below 0 where both are the same
    return errors
