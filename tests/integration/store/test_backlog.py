"""Claiming, settling and releasing the backlog, one rule at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from recsys.config.run import RunConfig
from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.records import Batch, BatchStatus, Dislike
from recsys.store import FeedbackStore
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, writing
from recsys.store.tables import negative_training_examples

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEASE = 6 * HOUR


def plan(batch_id: str, now: datetime = NOW, **changed: Any) -> Batch:
    values: dict[str, Any] = {
        "as_of": now, "fit_through": now - HOUR, "champion_version": "1", "status": BatchStatus.CLAIMED, "num_examples": 0,
        "config": RunConfig(), "claimed_at": now, "lease_expires_at": now + LEASE, "planned_half_life_days": 30.0, **changed,
    }  # fmt: skip
    return Batch(batch_id, **values)


def dislike(store: FeedbackStore, count: int, at: datetime = NOW) -> None:
    store.feedback.record_dislikes([Dislike("7", at, at, movie_id=n + 1) for n in range(count)])


def states(database_url: str) -> list[tuple[str | None, bool]]:
    engine = make_engine(parse_url(database_url))
    columns = negative_training_examples.c
    with engine.connect() as connection:
        found = connection.execute(
            select(columns.batch_id, columns.used_in_training).order_by(columns.example_id)
        ).all()
    engine.dispose()
    return [(row.batch_id, row.used_in_training) for row in found]


def test_backlog_ends_at_the_cut_off(store: FeedbackStore) -> None:
    dislike(store, 2)
    dislike(store, 3, NOW + timedelta(microseconds=1))
    assert [store.backlog.count_backlog(NOW + timedelta(microseconds=n)) for n in (-1, 0, 1)] == [0, 2, 5]


def test_claim_then_use(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 2)
    dislike(store, 1, NOW + HOUR)
    batch = store.backlog.claim_backlog(plan("r1"))
    assert batch == plan("r1", num_examples=2)
    assert store.backlog.get_batch("r1") == batch
    assert store.backlog.count_backlog(NOW + HOUR) == 1
    store.backlog.update_batch("r1", challenger_version="2", num_rows=10)
    used = store.backlog.settle_backlog("r1", NOW + HOUR)
    assert (used.status, used.num_examples, used.settled_at) == (BatchStatus.USED, 2, NOW + HOUR)
    assert states(database_url) == [("r1", True), ("r1", True), (None, False)]
    assert store.backlog.find_batch_by_version("2") == used
    assert store.backlog.settle_backlog("r1", NOW + 2 * HOUR) == used
    assert store.backlog.claim_backlog(plan("r1", NOW + 3 * HOUR)) == used


def test_without_challenger_the_examples_go_back(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 2)
    store.backlog.claim_backlog(plan("r1"))
    released = store.backlog.settle_backlog("r1", NOW + HOUR)
    assert (released.status, released.num_examples) == (BatchStatus.RELEASED, 2)
    assert store.backlog.settle_backlog("r1", NOW + 2 * HOUR) == released
    assert store.backlog.release_batch("r1", NOW + 2 * HOUR) == released
    assert states(database_url) == [(None, False)] * 2
    assert store.backlog.claim_backlog(plan("r2")).num_examples == 2


def test_a_retry_finds_its_own_batch(store: FeedbackStore) -> None:
    dislike(store, 2)
    first = store.backlog.claim_backlog(plan("r1"))
    dislike(store, 2)
    assert store.backlog.claim_backlog(plan("r1", NOW + HOUR)) == first


def test_released_batch_is_opened_again_by_its_run(store: FeedbackStore) -> None:
    dislike(store, 2)
    store.backlog.claim_backlog(plan("r1"))
    store.backlog.update_batch("r1", training_set_uri="file:///x", challenger_version="5")
    store.backlog.release_batch("r1", NOW + HOUR)
    dislike(store, 1)
    again = plan("r1", NOW + 2 * HOUR, champion_version="9", config=RunConfig(seed=1))
    assert store.backlog.claim_backlog(again) == plan(
        "r1", NOW + 2 * HOUR, champion_version="9", config=RunConfig(seed=1), num_examples=3
    )


def test_open_batch_of_another_run_is_named(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 2)
    store.backlog.claim_backlog(plan("r1"))
    for now in (NOW, NOW + LEASE):  # the lease holds through its last moment
        with pytest.raises(ConflictError, match="run r1 has held the backlog"):
            store.backlog.claim_backlog(plan("r2", now))
    with pytest.raises(NotFoundError):
        store.backlog.get_batch("r2")
    assert states(database_url) == [("r1", False)] * 2


def test_dead_run_is_taken_over_and_fenced(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 2)
    store.backlog.claim_backlog(plan("r1"))
    later = NOW + LEASE + timedelta(microseconds=1)
    assert store.backlog.claim_backlog(plan("r2", later)).num_examples == 2
    assert store.backlog.get_batch("r1").status == BatchStatus.RELEASED
    for use in (
        lambda: store.backlog.update_batch("r1", challenger_version="3"),
        lambda: store.backlog.settle_backlog("r1", later),
    ):
        with pytest.raises(ConflictError, match="taken over by run r2"):
            use()
    with pytest.raises(ConflictError, match="run r2 has held"):
        store.backlog.claim_backlog(plan("r1", later))
    assert states(database_url) == [("r2", False)] * 2


def test_batch_with_a_challenger_that_was_released_by_hand_cannot_settle(store: FeedbackStore) -> None:
    dislike(store, 2)
    store.backlog.claim_backlog(plan("r1"))
    store.backlog.update_batch("r1", challenger_version="3")
    store.backlog.release_batch("r1", NOW)
    for use in (
        lambda: store.backlog.update_batch("r1", evidence_uri="file:///x"),
        lambda: store.backlog.settle_backlog("r1", NOW),
    ):
        with pytest.raises(ConflictError, match="released at"):
            use()


def test_used_examples_cannot_be_released(store: FeedbackStore) -> None:
    dislike(store, 1)
    store.backlog.claim_backlog(plan("r1"))
    store.backlog.update_batch("r1", challenger_version="3")
    store.backlog.settle_backlog("r1", NOW)
    with pytest.raises(ConflictError, match="used its examples for version 3"):
        store.backlog.release_batch("r1", NOW)
    assert store.backlog.update_batch("r1", refit_version="4").refit_version == "4"


def test_an_empty_backlog_may_be_claimed(store: FeedbackStore) -> None:
    """A forced run has nothing to settle but is a run all the same."""
    assert store.backlog.claim_backlog(plan("r1")).num_examples == 0
    store.backlog.update_batch("r1", challenger_version="2")
    assert store.backlog.settle_backlog("r1", NOW).status == BatchStatus.USED


def test_a_dislike_taken_back_does_not_count(store: FeedbackStore, database_url: str) -> None:
    dislike(store, 3)
    engine = make_engine(parse_url(database_url))
    with writing(engine) as connection:
        moment = "2013-06-01 13:00:00.000000Z"
        connection.execute(text(f"UPDATE user_dislikes SET retracted_at = '{moment}' WHERE dislike_id = 2"))
    engine.dispose()
    assert store.backlog.count_backlog(NOW) == 3  # as of then it stood
    assert store.backlog.count_backlog(NOW + HOUR) == 2
    assert store.backlog.claim_backlog(plan("r1", NOW + HOUR)).num_examples == 2


def test_only_what_steps_leave_behind_can_be_updated(store: FeedbackStore) -> None:
    store.backlog.claim_backlog(plan("r1"))
    with pytest.raises(InputError, match="got num_examples, status"):
        store.backlog.update_batch("r1", status="used", num_examples=7)
    assert store.backlog.update_batch("r1") == store.backlog.get_batch("r1")


def test_two_batches_never_share_a_challenger(store: FeedbackStore) -> None:
    store.backlog.claim_backlog(plan("r1"))
    store.backlog.update_batch("r1", challenger_version="2")
    store.backlog.settle_backlog("r1", NOW)
    store.backlog.claim_backlog(plan("r2"))
    with pytest.raises(InputError, match="refused a value"):
        store.backlog.update_batch("r2", challenger_version="2")


def test_unknown_batches(store: FeedbackStore) -> None:
    for use in (
        lambda: store.backlog.get_batch("r1"),
        lambda: store.backlog.update_batch("r1", num_rows=1),
        lambda: store.backlog.settle_backlog("r1", NOW),
        lambda: store.backlog.release_batch("r1", NOW),
        lambda: store.backlog.find_batch_by_version("1"),
    ):
        with pytest.raises(NotFoundError):
            use()
