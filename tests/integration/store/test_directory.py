"""Users by activity and items by title, and a dislike recorded beside the API, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recsys.errors import InputError, NotFoundError
from recsys.feedback.handler import save_dislike
from recsys.records import Interaction, Item
from recsys.serving.thumbs_down import newest_dislike, record_dislike
from recsys.store import FeedbackStore
from recsys.store.directory import active_users, find_items

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TITLES = {"a": "Alien", "b": "ALIENS", "c": "100 % Wolf", "d": "100 Streets", "e": "Under_Cover", "f": "Undercover"}


@pytest.fixture
def known(store: FeedbackStore) -> FeedbackStore:
    """u likes a twice and b once, v likes a and saw c, w dislikes a and took back a dislike of b."""
    store.catalog.upsert_items([Item(item_id, title, ("Horror",)) for item_id, title in TITLES.items()])
    rows = [
        ("u", "a", "like", 1),
        ("u", "a", "rating", 2),
        ("u", "b", "like", 3),
        ("v", "a", "like", 4),
        ("v", "c", "watch", 5),
    ]
    store.feedback.insert_interactions([
        Interaction(user, item, kind, START + hour * HOUR, START + hour * HOUR, is_like=kind != "watch")
        for user, item, kind, hour in rows
    ])  # fmt: skip
    save_dislike(store.feedback, user_id="w", item_id="a", recorded_at=START + 6 * HOUR)
    taken = save_dislike(store.feedback, user_id="w", item_id="b", recorded_at=START + 7 * HOUR)
    store.feedback.retract_dislike("w", taken, START + 8 * HOUR)
    return store


def test_users_are_counted_by_item_and_by_what_still_holds(known: FeedbackStore) -> None:
    with known.database.reading() as connection:
        found = [
            (one.user_id, one.num_likes, one.num_dislikes, one.num_items, one.last_at)
            for one in active_users(connection, 10)
        ]
        assert len(active_users(connection, 2)) == 2
    assert found == [
        ("u", 2, 0, 2, START + 3 * HOUR), ("v", 1, 0, 2, START + 5 * HOUR), ("w", 0, 1, 1, START + 6 * HOUR),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("alien", ["a", "b"]), ("  ALIENS ", ["b"]), ("100 %", ["c"]), ("_", ["e"]), ("\\", []), ("nothing", []),
        ("", ["a", "b", "c", "d", "e", "f"]),
    ],
)  # fmt: skip
def test_items_are_found_by_words_of_their_title(known: FeedbackStore, words: str, expected: list[str]) -> None:
    with known.database.reading() as connection:
        found = find_items(connection, words, 10)
    assert [one.item.item_id for one in found] == expected
    counts = {one.item.item_id: (one.num_likes, one.num_dislikes) for one in found}
    assert {"a": (2, 1), "b": (1, 0), "c": (0, 0)}.items() >= {
        key: counts[key] for key in counts if key in "abc"
    }.items()


def test_a_dislike_has_its_effects_and_the_newest_can_be_taken_back(known: FeedbackStore) -> None:
    now = START + 9 * HOUR
    stored = record_dislike(known, "u", "c", "wrong_genre", now, "no wolves")
    assert (stored.adjustments, stored.dislike.feedback_text) == ({"genre:Horror": -0.15}, "no wolves")
    assert newest_dislike(known, "u").dislike_id == stored.dislike_id
    known.feedback.retract_dislike("u", stored.dislike_id, now)
    with pytest.raises(NotFoundError, match="found none that was not taken back"):
        newest_dislike(known, "u")


def test_a_refused_dislike_leaves_no_trace(known: FeedbackStore) -> None:
    now = START + 9 * HOUR
    before = known.backlog.count_backlog(now)
    for user, item, reason, text in (
        ("", "a", "unspecified", None),
        ("u", "a", "bored", None),
        ("u", "a", "unspecified", "\0"),
    ):
        with pytest.raises(InputError):
            record_dislike(known, user, item, reason, now, text)
    with pytest.raises(NotFoundError, match="Expected the id of an item, got 'z'"):
        record_dislike(known, "u", "z", "unspecified", now)
    assert known.backlog.count_backlog(now) == before
    assert "z" not in known.catalog.all_items(), "an unknown id makes no placeholder"
