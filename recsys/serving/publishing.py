"""Batch publishing: the champion's best items for every user, with reasons and contributions.

More are published than are shown: what the API serves is the same list without what its user has met or disliked since,
and there must be something to take its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, groupby

import pandas as pd

from recsys.config.eligibility import EligibilityRule
from recsys.errors import InputError
from recsys.model.calibration import Calibration
from recsys.model.eligible_items import barred_items, catalog_frame
from recsys.model.protocol import RecommenderProtocol
from recsys.records import RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore

LIST_LENGTH = 10  # of what is shown
PUBLISHED_LENGTH = 20
STRANGERS_LENGTH = 100  # everybody without a list of their own is served from it
USERS_PER_BLOCK = 4_096  # whose lists are made at once
STRANGER = ""  # stands for users without history while scoring; stored as None


def publish(
    store: FeedbackStore, recommender: RecommenderProtocol, version: str, as_of: datetime, now: datetime
) -> int:
    """Makes the lists of a version as of `as_of`, and returns how many users they are for.

    They can be seen all at once, when the last one is written. None is computed in a transaction: dislikes are recorded
    meanwhile. A list is empty for a user who has seen everything. Histories are read as of `as_of`, so nobody is given
    what they have seen or disliked by then. What the catalog hides, what is not available at `as_of`, what the version's
    rule does not admit and what a user excludes is in no list: the catalog and the exclusions count as they are now.
    """
    known = store.catalog.all_items().keys()
    try:
        return _publish(store, recommender, version, as_of, now)
    except InputError:
        if store.catalog.all_items().keys() >= known:
            raise
        # An item went meanwhile, with the user who had named it: it is in no list of the second try.
        return _publish(store, recommender, version, as_of, now)


def _publish(
    store: FeedbackStore, recommender: RecommenderProtocol, version: str, as_of: datetime, now: datetime
) -> int:
    recommender = eligible_as_of(store, recommender, as_of)
    newest = store.stream.stream_summary(as_of).last_recorded_at
    histories = store.stream.read_histories(min(as_of, newest or as_of), float(recommender.recipe["half_life_days"]))
    users = sorted(histories["user_id"].unique())
    lists = chain(
        _lists(recommender, histories, users),
        [recommender.recommend(histories[:0], STRANGERS_LENGTH, [STRANGER])],
    )
    num_lists = store.lists.replace_recommendation_sets(
        version, as_of, _sets(lists, recommender, version, as_of, now), now
    )
    return num_lists - 1  # one is for everybody else


def _lists(recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str]) -> Iterator[pd.DataFrame]:
    """Lists with reasons, some thousand users at a time: all of them would not fit into memory on a large stream."""
    blocks = pd.Series(range(len(users)), index=users) // USERS_PER_BLOCK
    for number, own in histories.groupby(histories["user_id"].map(blocks), sort=True):
        block = users[int(str(number)) * USERS_PER_BLOCK :][:USERS_PER_BLOCK]
        yield recommender.recommend(own.reset_index(drop=True), PUBLISHED_LENGTH, block)


def eligible_as_of(store: FeedbackStore, recommender: RecommenderProtocol, as_of: datetime) -> RecommenderProtocol:
    """The same model, whose lists hold what its rule admits and the catalog, as it is now, makes available at `as_of`."""
    catalog = store.catalog.all_items()
    rule = EligibilityRule.from_dict(recommender.recipe.get("eligible"))
    barred = barred_items(catalog_frame(catalog.values()), rule, as_of)
    return recommender.without_items(barred | (frozenset(recommender.item_ids) - catalog.keys()))


def _sets(
    lists: Iterable[pd.DataFrame], recommender: RecommenderProtocol, version: str, as_of: datetime, now: datetime
) -> Iterator[RecommendationSet]:
    chances, power = recommender.recipe.get("calibration"), float(recommender.recipe.get("adjustment_power", 1.0))
    calibration = None if chances is None else Calibration(**chances)
    for block in lists:
        block["contributions"] = [json.loads(terms) for terms in block["contributions"]]
        block["predicted_score"] = None if calibration is None else calibration.predict(block["score"])
        columns = ("rank", "item_id", "score", "reason", "contributions", "predicted_score")
        rows = zip(block["user_id"].to_list(), *(block[name].to_list() for name in columns), strict=True)
        for user_id, own in groupby(rows, key=lambda row: row[0]):
            entries = tuple(RecommendationEntry(**dict(zip(columns, row[1:], strict=True))) for row in own)
            yield RecommendationSet(
                user_id or None, version, as_of, now, entries, calibration=chances, adjustment_power=power
            )  # fmt: skip
