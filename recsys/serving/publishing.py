"""Batch publishing: the champion's top 10 for every user, with reasons and contributions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from recsys.model.recommender import Recommender
from recsys.records import RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore

LIST_LENGTH = 10
STRANGER = ""  # stands for users without history while scoring; stored as None


def publish(store: FeedbackStore, recommender: Recommender, version: str, as_of: datetime, now: datetime) -> int:
    """Replaces the lists of (`version`, `as_of`) in one transaction; returns the number of users with a list.

    Histories are read as of `as_of`, so nobody is given what they have seen or disliked by then.
    """
    newest = store.stream_summary(as_of).last_recorded_at
    histories = store.read_histories(min(as_of, newest or as_of), float(recommender.recipe["half_life_days"]))
    users = [*sorted(histories["user_id"].unique()), STRANGER]
    lists = recommender.recommend(histories, LIST_LENGTH, users)
    store.replace_recommendation_sets(version, as_of, _sets(lists, version, as_of, now))
    return int(lists["user_id"].nunique()) - 1


def _sets(lists: pd.DataFrame, version: str, as_of: datetime, now: datetime) -> Iterator[RecommendationSet]:
    for user_id, own in lists.groupby("user_id", sort=False):
        entries = tuple(
            RecommendationEntry(int(rank), str(item_id), float(score), str(reason), json.loads(contributions))
            for rank, item_id, score, reason, contributions in zip(
                own["rank"], own["item_id"], own["score"], own["reason"], own["contributions"], strict=True
            )
        )
        yield RecommendationSet(None if user_id == STRANGER else str(user_id), version, as_of, now, entries)
