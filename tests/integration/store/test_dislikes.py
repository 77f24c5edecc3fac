"""Catalog, interactions and dislikes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from recsys.errors import InputError
from recsys.feedback.handler import get_user_dislikes, save_dislike, save_dislikes
from recsys.records import Dislike, DislikeReason, Interaction, Item
from recsys.store import FeedbackStore
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine
from recsys.store.tables import negative_training_examples

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
MATRIX = Item("133093", "The Matrix", ("Action", "Sci-Fi"), ("Keanu Reeves",), "Matrix", 1999, 603, "tt0133093")


def examples(database_url: str) -> list[dict[str, object]]:
    engine = make_engine(parse_url(database_url))
    with engine.connect() as connection:
        rows = connection.execute(select(negative_training_examples).order_by("example_id")).mappings().all()
    engine.dispose()
    return [dict(row) for row in rows]


def test_items_come_back(store: FeedbackStore) -> None:
    other = Item("b", "Ünïcode 電影", is_placeholder=True)
    assert store.catalog.upsert_items([MATRIX, other]) == 2
    assert store.catalog.all_items() == {"133093": MATRIX, "b": other}
    assert list(store.catalog.all_items()) == ["133093", "b"]


def test_upsert_counts_what_is_new_or_changed(store: FeedbackStore) -> None:
    assert store.catalog.upsert_items([MATRIX]) == 1
    assert store.catalog.upsert_items([MATRIX]) == 0
    changed = replace(MATRIX, genres=("Action",))
    assert store.catalog.upsert_items([changed, Item("b", "B")]) == 2
    assert store.catalog.all_items()["133093"] == changed
    assert store.catalog.upsert_items([]) == 0


def test_placeholder_never_replaces_an_item_but_is_replaced(store: FeedbackStore) -> None:
    placeholder = Item(MATRIX.item_id, MATRIX.item_id, is_placeholder=True)
    assert store.catalog.upsert_items([placeholder]) == 1
    assert store.catalog.upsert_items([MATRIX, placeholder]) == 1
    assert store.catalog.upsert_items([placeholder]) == 0
    assert store.catalog.all_items() == {MATRIX.item_id: MATRIX}


def test_interactions_are_kept_once(store: FeedbackStore) -> None:
    store.catalog.upsert_items([MATRIX])
    row = Interaction("7", MATRIX.item_id, "rating", NOW, NOW, is_like=True, value=9.0)
    assert store.feedback.insert_interactions([row, row, replace(row, user_id="8")]) == 2
    assert store.feedback.insert_interactions([row, replace(row, kind="click", value=None)]) == 1
    assert store.stream.stream_summary(NOW).num_interactions == 3
    assert store.feedback.insert_interactions([]) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"item_id": "unknown"}, "1 unknown: unknown"),
        ({"user_id": ""}, "user_id"),
        ({"recorded_at": NOW - timedelta(microseconds=1)}, "recorded_at at or after occurred_at"),
        ({"occurred_at": NOW.replace(tzinfo=None)}, "occurred_at with a time zone"),
    ],
)
def test_bad_interaction_writes_nothing(store: FeedbackStore, changed: dict[str, object], message: str) -> None:
    store.catalog.upsert_items([MATRIX])
    row = Interaction("7", MATRIX.item_id, "rating", NOW, NOW, is_like=True)
    with pytest.raises(InputError, match=message):
        store.feedback.insert_interactions([row, replace(row, **changed)])  # type: ignore[arg-type]
    assert store.stream.stream_summary(NOW).num_interactions == 0


def test_dislike_and_its_negative_example(store: FeedbackStore, database_url: str) -> None:
    store.catalog.upsert_items([MATRIX])
    dislike_id = save_dislike(
        store.feedback, user_id="7", recorded_at=NOW, movie_id=603, movie_title="The Matrix", predicted_score=0.75,
        reason="wrong_genre", feedback_text="Not my type", genres=["Action"], cast=["Keanu Reeves"],
    )  # fmt: skip
    (stored,) = get_user_dislikes(store.feedback, "7")
    assert stored.dislike_id == dislike_id
    assert stored.dislike == Dislike(
        "7", NOW, NOW, MATRIX.item_id, 603, "The Matrix", DislikeReason.WRONG_GENRE, "Not my type", 0.75,
        genres=("Action",), cast=("Keanu Reeves",),
    )  # fmt: skip
    (example,) = examples(database_url)
    assert example == {
        "example_id": 1, "dislike_id": dislike_id, "user_id": "7", "movie_id": 603, "movie_title": "The Matrix",
        "item_id": MATRIX.item_id, "actual_rating": 0.0, "predicted_rating": 0.75, "error": 0.75, "weight": 0.8,
        "used_in_training": False, "batch_id": None, "recorded_at": NOW,
    }  # fmt: skip


def test_already_watched_never_trains(store: FeedbackStore, database_url: str) -> None:
    save_dislike(store.feedback, user_id="7", recorded_at=NOW, movie_id=603, reason="already_watched")
    assert examples(database_url) == []
    assert store.backlog.count_backlog(NOW) == 0
    assert len(get_user_dislikes(store.feedback, "7")) == 1


def test_same_key_is_one_dislike(store: FeedbackStore) -> None:
    row = Dislike("7", NOW, NOW, movie_id=603, idempotency_key="k")
    other_user, no_key = replace(row, user_id="8"), replace(row, idempotency_key=None)
    first = save_dislikes(store.feedback, [row, row, other_user, no_key, no_key])
    assert [recorded.is_new for recorded in first] == [True, False, True, True, True]
    assert first[0].dislike_id == first[1].dislike_id
    again = save_dislikes(store.feedback, [replace(row, feedback_text="other words"), other_user])
    assert [(r.dislike_id, r.is_new) for r in again] == [(first[0].dislike_id, False), (first[2].dislike_id, False)]
    assert store.backlog.count_backlog(NOW) == 4
    assert save_dislikes(store.feedback, []) == []


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"item_id": "133093"}, "133093"),
        ({"item_id": "133093", "movie_id": 1}, "133093"),
        ({"movie_id": 603}, "133093"),
        ({"movie_id": 603, "movie_title": "Heat"}, "133093"),
        ({"movie_title": "  the   MATRIX "}, "133093"),
        ({"movie_id": 7, "movie_title": "The Matrix"}, "tmdb:7"),  # another film of that name
        ({"movie_id": 7, "movie_title": "No TMDB id"}, "n"),
        ({"movie_title": "Twins"}, "title:twins"),  # two films have that title: which one is not known
        ({"movie_title": "Never  Seen"}, "title:never seen"),
        ({"item_id": "new", "movie_title": "New"}, "new"),
        ({"movie_id": 11}, "a"),  # two items of one film: the first id, not the placeholder
    ],
)
def test_finds_the_film(store: FeedbackStore, named: dict[str, object], expected: str) -> None:
    store.catalog.upsert_items([
        MATRIX, Item("n", "No TMDB id"), Item("t1", "Twins"), Item("t2", "twins"),
        Item("0", "tmdb:11", tmdb_id=11, is_placeholder=True), Item("a", "A", tmdb_id=11), Item("b", "B", tmdb_id=11),
    ])  # fmt: skip
    known = set(store.catalog.all_items())
    save_dislikes(store.feedback, [Dislike("7", NOW, NOW, **named)] * 2)  # type: ignore[arg-type]
    (dislike, _) = (stored.dislike for stored in get_user_dislikes(store.feedback, "7"))
    assert dislike.item_id == expected
    assert dislike.movie_title
    assert store.catalog.all_items()[expected].is_placeholder == (expected not in known)


def test_placeholder_keeps_what_the_client_said(store: FeedbackStore) -> None:
    save_dislike(
        store.feedback, user_id="7", recorded_at=NOW, movie_id=5, movie_title="Four", genres=["Drama"], cast=["X"]
    )
    assert store.catalog.all_items() == {
        "tmdb:5": Item("tmdb:5", "Four", ("Drama",), ("X",), tmdb_id=5, is_placeholder=True)
    }
    save_dislike(store.feedback, user_id="8", recorded_at=NOW, movie_id=5)
    assert [s.dislike.movie_title for s in get_user_dislikes(store.feedback, "8")] == ["Four"]


def test_bad_dislike_writes_nothing(store: FeedbackStore) -> None:
    good = Dislike("7", NOW, NOW, movie_id=603)
    for bad in ({"predicted_score": 2.0}, {"claimed_score": -0.5}, {"feedback_text": "a\0b"}):
        with pytest.raises(InputError):
            store.feedback.record_dislikes([good, replace(good, **bad)])
    assert store.stream.stream_summary(NOW).num_dislikes == 0
    assert store.catalog.all_items() == {}


def test_a_film_whose_catalog_entry_is_odd_can_be_disliked_and_read(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item("m", "The Matrix", tmdb_id=0), Item("blank", " ")])
    numbers = [save_dislike(store.feedback, user_id="7", recorded_at=NOW, item_id=item) for item in ("m", "blank")]
    found = store.feedback.get_dislikes(numbers)
    assert [found[number].dislike.movie_id for number in numbers] == [0, None]
    assert {one.dislike.item_id for one in get_user_dislikes(store.feedback, "7")} == {"m", "blank"}


def test_history_is_newest_first_and_limited(store: FeedbackStore) -> None:
    rows = [Dislike("7", NOW + timedelta(hours=h), NOW + timedelta(days=1), movie_id=h + 1) for h in range(5)]
    save_dislikes(store.feedback, rows)
    assert [s.dislike.movie_id for s in get_user_dislikes(store.feedback, "7", limit=3)] == [5, 4, 3]
    assert get_user_dislikes(store.feedback, "nobody") == []
    with pytest.raises(InputError, match="at least 1"):
        get_user_dislikes(store.feedback, "7", limit=0)


def test_many_at_once_are_counted_once(store: FeedbackStore) -> None:
    store.catalog.upsert_items([Item(f"i{n}", f"Film {n}", tmdb_id=n + 1) for n in range(300)])
    rows = [
        Dislike(f"u{n % 90}", NOW, NOW, movie_id=n % 350 + 1, movie_title="Film", idempotency_key=f"k{n}")
        for n in range(1_200)
    ]
    assert sum(recorded.is_new for recorded in store.feedback.record_dislikes(rows)) == 1_200
    assert sum(recorded.is_new for recorded in store.feedback.record_dislikes(rows)) == 0
    assert store.backlog.count_backlog(NOW) == 1_200


def test_feedback_on_a_placeholder_becomes_feedback_on_the_film(store: FeedbackStore) -> None:
    by_tmdb, by_title, twice = store.feedback.record_dislikes([
        Dislike("1", NOW, NOW, movie_id=603), Dislike("2", NOW, NOW, movie_title="Heat"),
        Dislike("3", NOW, NOW, movie_title="Solaris"),
    ])  # fmt: skip
    store.feedback.insert_interactions(
        [Interaction("4", "tmdb:603", "watch", NOW, NOW, is_like=False)], makes_placeholders=True
    )
    store.catalog.upsert_items([
        Item("m", "The Matrix", tmdb_id=603), Item("h", "Heat", ("Crime",)), Item("s1", "Solaris"), Item("s2", "Solaris"),
    ])  # fmt: skip
    found = store.feedback.get_dislikes([by_tmdb.dislike_id, by_title.dislike_id, twice.dislike_id])
    assert [found[n].dislike.item_id for n in sorted(found)] == [
        "m",
        "h",
        "title:solaris",
    ]  # which Solaris, nobody knows
    assert set(store.stream.read_histories(NOW, 30.0)["item_id"]) == {"m", "h", "title:solaris"}
    (again,) = store.feedback.record_dislikes([Dislike("1", NOW, NOW, movie_id=603)])
    assert store.feedback.get_dislikes([again.dislike_id])[again.dislike_id].dislike.item_id == "m"
