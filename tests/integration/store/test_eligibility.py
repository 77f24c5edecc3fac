"""When items may be recommended, how that changed, and what users exclude, as the database keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from recsys.errors import InputError, NotFoundError
from recsys.records import Dislike, Interaction, Item
from recsys.store import FeedbackStore

T = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FILM = Item(
    "f", "Film", ("Drama",), release_year=1999, tags=("spring", "cheap"), available_from=T, available_until=T + DAY,
    is_hidden=True,
)  # fmt: skip


def test_items_come_back_as_they_were_written(store: FeedbackStore) -> None:
    assert store.catalog.upsert_items([FILM, Item("g", "Other")], T) == 2
    assert store.catalog.all_items() == {"f": FILM, "g": Item("g", "Other")}
    assert store.catalog.upsert_items([FILM], T + DAY) == 0


def test_the_history_says_what_held_when(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("f", "Film")], T)
    store.catalog.change_item("f", {"is_hidden": True}, T + DAY)
    store.catalog.change_item("f", {"title": "Other title"}, T + 2 * DAY)  # not about availability
    store.catalog.change_item("f", {"is_hidden": False, "tags": ("a",)}, T + 3 * DAY)
    changes = store.catalog.list_item_changes("f")
    assert [(c.is_hidden, c.tags, c.recorded_at) for c in changes] == [
        (False, ("a",), T + 3 * DAY), (True, (), T + DAY),
    ]  # fmt: skip
    assert store.catalog.items_changed_at(["f", "unknown"]) == T + 3 * DAY
    assert store.catalog.items_changed_at([]) is None


def test_an_item_is_available_for_some_time_or_refused(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("f", "Film", available_until=T)])
    for start in (T, T + DAY):
        with pytest.raises(InputError, match="available_from before available_until of item f"):
            store.catalog.change_item("f", {"available_from": start}, T)
    assert store.catalog.all_items()["f"].available_from is None


def test_an_exclusion_is_seen_and_nothing_else(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item(name, name) for name in ("liked", "disliked", "new", "gone")])
    store.feedback.insert_interactions([Interaction("u", "liked", "like", T, T, is_like=True)])
    store.feedback.record_dislikes([Dislike("u", T, T, item_id="disliked")])
    training = store.stream.read_training_set(T + 9 * DAY, T + 9 * DAY, 30.0)
    before = store.stream.read_histories(T + DAY, 30.0)
    for item in ("liked", "new", "gone"):
        store.catalog.exclude_item("u", item, T + 2 * DAY)
    store.catalog.include_item("u", "gone", T + 3 * DAY)
    store.catalog.exclude_item("v", "new", T + 2 * DAY)
    assert store.stream.read_training_set(T + 9 * DAY, T + 9 * DAY, 30.0).equals(training)  # it trains nothing
    after = store.stream.read_histories(T + DAY, 30.0)
    opinions = after[after["signal"] != "seen"].reset_index(drop=True)
    pd.testing.assert_frame_equal(opinions, before)
    seen = after[after["signal"] == "seen"]
    assert list(zip(seen["user_id"], seen["item_id"], strict=True)) == [("u", "new"), ("v", "new")]
    pd.testing.assert_frame_equal(store.stream.read_histories(T + DAY, 30.0, excluded_through=T + DAY), before)
    then = store.stream.read_histories(T + DAY, 30.0, ["u"], excluded_through=T + 2 * DAY)
    assert set(then.loc[then["signal"] == "seen", "item_id"]) == {"new", "gone"}  # not taken back yet
    assert set(then["user_id"]) == {"u"}


def test_excluding_twice_is_excluding_once_and_again_after_taking_it_back(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("f", "Film")])
    assert store.catalog.exclude_item("u", "f", T).recorded_at == T
    assert store.catalog.exclude_item("u", "f", T + DAY).recorded_at == T
    store.catalog.include_item("u", "f", T + 2 * DAY)
    assert store.stream.feedback_changed_at("u", T + 2 * DAY) == T + 2 * DAY
    assert store.stream.feedback_changed_at("u", T + DAY) == T
    assert store.catalog.list_exclusions("u") == []
    assert store.catalog.exclude_item("u", "f", T + 3 * DAY).recorded_at == T + 3 * DAY
    assert [one.item_id for one in store.catalog.list_exclusions("u")] == ["f"]
    with pytest.raises(NotFoundError, match="that this user excluded, got 'g'"):
        store.catalog.include_item("u", "g", T)
    with pytest.raises(NotFoundError, match="item of the catalog to exclude, got 'g'"):
        store.catalog.exclude_item("u", "g", T)


def test_what_was_said_of_a_placeholder_is_said_of_the_film(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("tmdb:7", "tmdb:7", tmdb_id=7, is_placeholder=True)])
    store.catalog.exclude_item("u", "tmdb:7", T)
    store.catalog.upsert_items([Item("f", "Film", tmdb_id=7)])
    assert [one.item_id for one in store.catalog.list_exclusions("u")] == ["f"]


def test_a_holdout_begins_where_enough_users_like_what_may_be_recommended(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("old", "Old"), Item("new", "New")])
    store.feedback.insert_interactions([
        Interaction(f"u{n}", "old" if n % 2 else "new", "like", T + n * DAY, T + n * DAY, is_like=True) for n in range(8)
    ])  # fmt: skip
    end = T + 9 * DAY
    assert store.stream.holdout_begin(None, end, 2) == T + 5 * DAY
    assert store.stream.holdout_begin(None, end, 2, frozenset(["new"])) == T + 3 * DAY
    assert store.stream.holdout_begin(None, end, 5, frozenset(["new"])) is None
    assert store.stream.holdout_begin(None, end, 2, frozenset(["unknown"])) == store.stream.holdout_begin(None, end, 2)
