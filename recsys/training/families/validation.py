"""What a recommender of any family is worth on the newest of what may be learned from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pandas as pd

from recsys.evaluation.metrics.accuracy import evaluate_lists
from recsys.model.protocol import RecommenderProtocol
from recsys.training.families.base import TrainingData
from recsys.training.recipe.recipe import FitConfig

LIST_LENGTH = 20  # as the gate asks for


def validation_ndcg(
    fitted: Callable[[TrainingData], RecommenderProtocol], data: TrainingData, config: FitConfig
) -> tuple[float, int]:
    """NDCG@10 on the newest days, of what was fitted on what was known before them.

    As many days as are needed for `num_users` users with a like (see `HeadConfig`), at most `max_windows`; where all of them
    hold less than `fallback_share` of the examples, that share of the newest.

    Args:
        fitted: fits the candidate on some data.
        data: all that may be learned from.
        config: of the fit; `head` says how long the newest is.

    Returns:
        NDCG@10, and of how many users it is the mean; (0.0, 0) where nothing was known before.
    """
    head, ages = config.head, (pd.Timestamp(data.cut_off) - data.examples["occurred_at"]).dt.total_seconds() / 86_400
    likes = ages[data.examples["label"] == 1]
    users = data.examples.loc[likes.index, "user_id"]
    days = head.horizon_days
    while users[likes < days].nunique() < head.num_users and days < head.max_windows * head.horizon_days:
        days += head.horizon_days
    days = max(days, float(ages.quantile(head.fallback_share))) if len(ages) else days
    past = data.before(data.cut_off - timedelta(days=days))
    known = pd.MultiIndex.from_frame(past.examples[["user_id", "item_id"]])
    newest = data.examples[~pd.MultiIndex.from_frame(data.examples[["user_id", "item_id"]]).isin(known)]
    asked = sorted(newest.loc[newest["label"] == 1, "user_id"].unique())
    if not asked or not (past.examples["label"] == 1).any():
        return 0.0, 0
    histories = past.histories()
    lists = fitted(past).top_items(histories[histories["user_id"].isin(asked)], asked, LIST_LENGTH)
    own = newest.loc[newest["user_id"].isin(asked), ["user_id", "item_id", "label"]]
    found = evaluate_lists({"candidate": lists}, own)["ndcg_at_10"].dropna()
    return float(found.mean()), len(found)
