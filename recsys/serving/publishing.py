"""Batch publishing: the champion's best items for every user, with reasons and contributions.

More are published than are shown: what the API serves is the same list without what its user has met or disliked since,
and there must be something to take its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from recsys.model.calibration import Calibration
from recsys.model.recommender import Recommender
from recsys.records import RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore

LIST_LENGTH = 10  # of what is shown
PUBLISHED_LENGTH = 20
STRANGERS_LENGTH = 100  # everybody without a list of their own is served from it
STRANGER = ""  # stands for users without history while scoring; stored as None


def publish(store: FeedbackStore, recommender: Recommender, version: str, as_of: datetime, now: datetime) -> int:
    """Replaces the lists of (`version`, `as_of`) in one transaction; returns the number of users with a list.

    Histories are read as of `as_of`, so nobody is given what they have seen or disliked by then.
    """
    newest = store.stream_summary(as_of).last_recorded_at
    histories = store.read_histories(min(as_of, newest or as_of), float(recommender.recipe["half_life_days"]))
    own = recommender.recommend(histories, PUBLISHED_LENGTH, sorted(histories["user_id"].unique()))
    lists = pd.concat([own, recommender.recommend(histories[:0], STRANGERS_LENGTH, [STRANGER])])
    store.replace_recommendation_sets(version, as_of, _sets(lists, recommender.calibration, version, as_of, now))
    return int(own["user_id"].nunique())


def _sets(
    lists: pd.DataFrame, calibration: Calibration | None, version: str, as_of: datetime, now: datetime
) -> Iterator[RecommendationSet]:
    lists["predicted_score"] = None if calibration is None else calibration.predict(lists["score"])
    chances = None if calibration is None else calibration.as_dict()
    for user_id, own in lists.groupby("user_id", sort=False):
        entries = tuple(
            RecommendationEntry(
                rank=int(row["rank"]),
                item_id=str(row["item_id"]),
                score=float(row["score"]),
                reason=str(row["reason"]),
                contributions=json.loads(row["contributions"]),
                predicted_score=row["predicted_score"],
            )
            for row in own.to_dict("records")
        )
        whose = None if user_id == STRANGER else str(user_id)
        yield RecommendationSet(whose, version, as_of, now, entries, calibration=chances)
