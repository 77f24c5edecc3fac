"""Sentences of lists that are adjusted between two nights, against what the API serves without what they name."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest

from recsys.model.recommender import Recommender
from recsys.records import Dislike, DislikeReason, Interaction, Item, RecommendationEntry, RecommendationSet
from recsys.serving.lists import serve_list
from recsys.serving.publishing import publish
from recsys.store import FeedbackStore
from tests.unit.claims import claims_of
from tests.unit.recommenders import make_recommender

NOW = datetime(2024, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NUM_USERS, LIST_LENGTH = 60, 15
REASONS = (
    DislikeReason.WRONG_GENRE,
    DislikeReason.NOT_INTERESTED,
    DislikeReason.POOR_QUALITY,
    DislikeReason.TIRED_OF_FRANCHISE,
)


class Served(NamedTuple):
    """A user's list after the newest dislike."""

    user: str
    listed: RecommendationSet
    dislike_id: int
    disliked: str  # item


@pytest.fixture
def recommender() -> Recommender:
    made = make_recommender()
    catalog = made.catalog.assign(
        cast=[("Ann",) if n % 3 == 0 else ("Bob", "Cid") for n in range(len(made.catalog))],
        franchise=["Robots" if n % 5 == 0 else None for n in range(len(made.catalog))],
    )
    return Recommender(made.model, catalog, made.genre_names, {**made.recipe, "adjustment_power": 4.0})


@pytest.fixture
def served(store: FeedbackStore, recommender: Recommender) -> list[Served]:
    """Users with a history, their lists published, and each list again after one more dislike with a reason."""
    rng = np.random.default_rng(5)
    store.catalog.upsert_items([
        Item(row.item_id, row.title, row.genres, row.cast, row.franchise if isinstance(row.franchise, str) else None)
        for row in recommender.catalog.itertuples()
    ])  # fmt: skip
    likes, dislikes = [], []
    for n in range(NUM_USERS):
        for item in rng.permutation(recommender.item_ids)[: rng.integers(4, 10)]:
            day = NOW - timedelta(days=float(rng.uniform(1, 20)))
            if rng.random() < 0.6:
                likes.append(Interaction(f"u{n}", item, "like", day, day, is_like=True))
            else:
                reason = REASONS[int(rng.integers(len(REASONS)))]
                dislikes.append(Dislike(f"u{n}", day, day, item_id=item, reason=reason))
    store.feedback.insert_interactions(likes)
    store.feedback.record_dislikes(dislikes)
    publish(store, recommender, "7", NOW, NOW)
    found = []
    for n in range(NUM_USERS):
        before = serve_list(store, f"u{n}", NOW, LIST_LENGTH)
        item = before.entries[n % 3].item_id
        new = Dislike(f"u{n}", NOW + MINUTE, NOW + MINUTE, item_id=item, reason=REASONS[n % len(REASONS)])
        number = store.feedback.record_dislikes([new])[0].dislike_id
        found.append(Served(f"u{n}", serve_list(store, f"u{n}", NOW + 2 * MINUTE, LIST_LENGTH), number, item))
    return found


def ranks_of(listed: RecommendationSet) -> dict[str, int]:
    return {entry.item_id: entry.rank for entry in listed.entries}


def test_what_fell_by_a_dislike_stands_higher_once_it_is_taken_back(
    store: FeedbackStore, recommender: Recommender, served: list[Served]
) -> None:
    asked = 0
    for one in served:
        store.feedback.retract_dislike(one.user, one.dislike_id, NOW + 3 * MINUTE)
        at = NOW + 3 * MINUTE  # it stays known: no candidate, and says nothing
        store.feedback.insert_interactions([Interaction(one.user, one.disliked, "watch", at, at, is_like=False)])
        without = ranks_of(serve_list(store, one.user, NOW + 4 * MINUTE, LIST_LENGTH))
        for entry in one.listed.entries:
            kinds = {kind for kind, about in claims_of(entry.reason) if about == recommender.titles[one.disliked]}
            if kinds:
                asked += 1
                assert kinds == {"adjustment"}
                assert without[entry.item_id] < entry.rank, (one.user, entry, without)
    assert asked >= 30


def test_what_rests_on_a_like_stands_no_higher_without_it(
    store: FeedbackStore, recommender: Recommender, served: list[Served]
) -> None:
    ids = {title: item for item, title in recommender.titles.items()}
    asked = 0
    for one in served:
        liked = [about for e in one.listed.entries for kind, about in claims_of(e.reason) if kind in ("like", "recent")]
        if not liked:
            continue
        title = max(set(liked), key=liked.count)
        no_more = Dislike(one.user, NOW + 3 * MINUTE, NOW + 3 * MINUTE, item_id=ids[title])  # for no reason
        store.feedback.record_dislikes([no_more])
        without = ranks_of(serve_list(store, one.user, NOW + 4 * MINUTE, LIST_LENGTH))
        for entry in one.listed.entries:
            if title in {about for kind, about in claims_of(entry.reason) if kind in ("like", "recent")}:
                asked += 1
                assert without.get(entry.item_id, LIST_LENGTH + 1) >= entry.rank, (one.user, entry, without)
    assert asked >= 100


def test_a_genre_that_is_named_keeps_the_film_where_it_is_in_the_list(served: list[Served]) -> None:
    asked = 0
    for one in served:
        for entry in one.listed.entries:
            for genre in (about for kind, about in claims_of(entry.reason) if kind == "genre"):
                asked += 1
                own = score_without(entry, f"genre:{genre}")
                higher = [other for other in one.listed.entries if score_without(other, f"genre:{genre}") > own]
                assert len(higher) >= entry.rank - 1, (one.user, entry)
    assert asked >= 20


def score_without(entry: RecommendationEntry, name: str) -> float:
    """Without one contribution, adjusted by the share that it is adjusted by with it."""
    before = sum(value for other, value in entry.contributions.items() if not other.startswith("adjustment:"))
    left = before - entry.contributions.get(name, 0.0)
    return left * entry.score / before if before > 0 and left > 0 else left


def test_nothing_lowered_what_stands_first(served: list[Served]) -> None:
    first = [one.listed.entries[0] for one in served]
    assert sum(any(value < 0 for value in entry.contributions.values()) for entry in first) >= 10
    assert not [entry.reason for entry in first if "since you disliked" in entry.reason]


def test_an_older_dislike_is_named_only_where_the_model_found_it_visible(
    store: FeedbackStore, recommender: Recommender, served: list[Served]
) -> None:
    kept = 0
    for one in served:
        published = store.lists.get_recommendations(one.user)
        assert published is not None
        said = {entry.item_id: set(claims_of(entry.reason)) for entry in published.entries}
        for entry in one.listed.entries:
            titles = {about for kind, about in claims_of(entry.reason) if kind in ("dislike", "adjustment")}
            older = titles - {recommender.titles[one.disliked]}
            assert older <= {about for kind, about in said[entry.item_id] if kind in ("dislike", "adjustment")}
            kept += len(older)
    assert kept >= 10
