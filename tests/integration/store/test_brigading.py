"""Dislikes that look like brigading neither count nor train until a person releases them."""

from datetime import UTC, datetime, timedelta

import pytest

from recsys.config.run import RunConfig
from recsys.errors import NotFoundError
from recsys.feedback.brigading import BrigadingConfig
from recsys.records import Batch, BatchStatus, Dislike, Interaction, Item
from recsys.store import FeedbackStore

START = datetime(2024, 5, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CONFIG = BrigadingConfig()


def fill(store: FeedbackStore) -> None:
    """A month of mixed opinions, one burst of 30 against the film `x`, and 12 honest dislikes of `y`."""
    store.catalog.upsert_items([Item(name, name.upper()) for name in "xyz"])
    store.feedback.insert_interactions([
        Interaction(f"l{n}", "xyz"[n % 3], "like", START + n * DAY / 10, START + n * DAY / 10, is_like=True)
        for n in range(300)
    ])  # fmt: skip
    times = [(f"b{n}", "x", START + 20 * DAY + n * MINUTE) for n in range(30)]
    times += [(f"h{n}", "y", START + n * 2 * DAY) for n in range(12)]
    store.feedback.record_dislikes([Dislike(user, at, at, item_id=item) for user, item, at in times])


def test_a_burst_is_held_back_and_released(store: FeedbackStore) -> None:
    fill(store)
    end = START + 30 * DAY
    assert store.backlog.count_backlog(end) == 42
    (burst,) = store.brigading.flag_brigading(end, CONFIG, writes=False)
    assert (burst.item_id, burst.num_users) == ("x", 30)
    assert store.backlog.count_backlog(end) == 42  # only looked
    store.brigading.flag_brigading(end, CONFIG)
    store.brigading.flag_brigading(end, CONFIG)  # a retry
    assert store.backlog.count_backlog(end) == 12
    assert store.backlog.count_backlog(START + 20 * DAY + 10 * MINUTE) == 11 + 11  # as of then there was no burst yet
    disliked = [
        row["item_id"] for row in store.stream.read_training_set(end, end, 30.0).to_pylist() if row["label"] == 0
    ]
    assert disliked == ["y"] * 12
    histories = store.stream.read_histories(end, 30.0)
    assert (histories[histories["user_id"] == "b3"]["signal"] == "dislike").all()  # their own lists know it
    assert store.brigading.release_flagged("x", "a scandal, not a brigade", end + DAY) == 30
    assert store.backlog.count_backlog(end) == 12
    assert store.backlog.count_backlog(end + DAY) == 42
    assert len(store.stream.read_training_set(end + DAY, end + DAY, 30.0)) == 342
    (listed,) = store.brigading.list_bursts()
    assert (listed.num_dislikes, listed.num_released, listed.num_held_back) == (30, 30, 0)
    store.brigading.flag_brigading(end + 2 * DAY, CONFIG)
    assert store.backlog.count_backlog(end + 2 * DAY) == 42  # what a person released stays released


def test_nothing_of_an_item_without_flags_can_be_released(store: FeedbackStore) -> None:
    fill(store)
    with pytest.raises(NotFoundError, match="brigading list"):
        store.brigading.release_flagged("y", "why", START)


def test_held_back_dislikes_are_not_claimed_and_what_was_looked_at_is_not_read_again(store: FeedbackStore) -> None:
    fill(store)
    end = START + 30 * DAY
    store.brigading.flag_brigading(end, CONFIG)
    batch = store.backlog.claim_backlog(Batch("r", end, end, None, BatchStatus.CLAIMED, 0, RunConfig(), end, end + DAY))
    assert batch.num_examples == 12
    assert store.brigading.flag_brigading(end + DAY, CONFIG, writes=False) == []
