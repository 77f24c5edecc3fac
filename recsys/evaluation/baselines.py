"""Champion, challenger and baselines on one holdout that none of them has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.model.protocol import RecommenderProtocol
from recsys.model.trend import decayed_counts

LIST_LENGTH = 20  # NDCG and exposure look at the first 10, recall at 20


def popular_lists(
    ordered_items: Sequence[str], histories: pd.DataFrame, user_ids: Sequence[str], k: int
) -> pd.DataFrame:
    """The first `k` items of one order for everybody, without what each user has seen."""
    seen = histories.groupby("user_id")["item_id"].agg(set).to_dict()
    rows: list[tuple[str, int, str]] = []
    for user_id in user_ids:
        own = seen.get(user_id, frozenset())
        unseen = (item_id for item_id in ordered_items if item_id not in own)
        rows += [(user_id, rank, item_id) for rank, item_id in zip(range(1, k + 1), unseen, strict=False)]
    return pd.DataFrame(rows, columns=["user_id", "rank", "item_id"])


def popularity_order(examples: pd.DataFrame, cut_off: datetime, half_life_days: float) -> list[str]:
    """Item ids by decayed number of likes up to `cut_off`, most popular first; ties by item id."""
    likes = examples[examples["label"] == 1]
    positions, item_ids = pd.factorize(likes["item_id"], sort=True)
    age_days = (pd.Timestamp(cut_off) - likes["occurred_at"]).dt.total_seconds().to_numpy(np.float64) / 86_400
    counts: npt.NDArray[np.float64] = decayed_counts(
        positions.astype(np.int64), age_days, len(item_ids), half_life_days
    )
    return [str(item_ids[j]) for j in np.argsort(-counts, kind="stable")]


def baseline_orders(examples: pd.DataFrame, cut_off: datetime, half_life_days: float) -> dict[str, list[str]]:
    """`popularity_order` of `popularity` and `decayed_popularity`."""
    half_lives = {"popularity": 36_500.0, "decayed_popularity": half_life_days}
    return {name: popularity_order(examples, cut_off, half_life) for name, half_life in half_lives.items()}


def compared_lists(
    recommenders: Mapping[str, RecommenderProtocol],
    examples: pd.DataFrame,
    histories: pd.DataFrame,
    user_ids: Sequence[str],
    cut_off: datetime,
    half_life_days: float,
    barred: frozenset[str] = frozenset(),
) -> dict[str, pd.DataFrame]:
    """Top lists of models and popularity baselines for the same users, from the same histories.

    Args:
        recommenders: system name -> model.
        examples: training examples up to `cut_off`, for the baselines.
        histories: what every system may know of its users.
        user_ids: whom to make lists for.
        cut_off: the baselines are counted up to here.
        half_life_days: of `decayed_popularity`.
        barred: items that no list may hold; all others every list may hold, whatever a model was fitted for.

    Returns:
        System name -> `user_id`, `rank`, `item_id`; the models' names plus `popularity` and `decayed_popularity`.
    """
    own = histories[histories["user_id"].isin(set(user_ids))].reset_index(drop=True)
    lists = {
        name: model.without_items(barred).top_items(own, user_ids, LIST_LENGTH) for name, model in recommenders.items()
    }
    for name, order in baseline_orders(examples, cut_off, half_life_days).items():
        lists[name] = popular_lists([item for item in order if item not in barred], own, user_ids, LIST_LENGTH)
    return lists
