"""The backlog is announced once, by one process, whatever Airflow does meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from recsys.config.run import RunConfig
from recsys.errors import InputError, TransientError
from recsys.records import Batch, BatchStatus, Dislike
from recsys.serving.backlog_ready import BACKLOG_READY_URI, AnnouncerConfig, BacklogAnnouncer
from recsys.settings import ApiSettings
from recsys.store import FeedbackStore
from recsys.store.announcements import Announcement, find_announcement
from tests.integration.serving.airflow_double import Airflow, serving

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HURRIED = {"interval_s": 0.02, "retry_s": 0.05, "max_retry_s": 0.2, "timeout_s": 5.0}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with serving(Airflow()) as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


def config(airflow: Airflow, **changed: Any) -> AnnouncerConfig:
    return AnnouncerConfig(airflow.url, "admin", "secret", **({"threshold": 20} | changed))


def dislike(store: FeedbackStore, count: int, at: datetime = NOW) -> None:
    store.feedback.record_dislikes([Dislike("7", at, at, movie_id=n + 1) for n in range(count)])


def use_backlog(store: FeedbackStore, batch_id: str, now: datetime) -> None:
    store.backlog.claim_backlog(
        Batch(batch_id, now, now, None, BatchStatus.CLAIMED, 0, RunConfig(), now, now + 60 * MINUTE)
    )
    store.backlog.update_batch(batch_id, challenger_version=f"of {batch_id}")
    store.backlog.settle_backlog(batch_id, now)


def announcement(store: FeedbackStore, after_batch: str = "") -> Announcement | None:
    with store.database.reading() as connection:
        return find_announcement(connection, after_batch)


def test_the_address_of_the_asset_is_that_of_the_dag() -> None:
    assert f'uri="{BACKLOG_READY_URI}")' in (ROOT / "dags" / "assets.py").read_text(encoding="utf-8")


def test_a_backlog_is_announced_once_when_it_reaches_the_threshold(
    store: FeedbackStore, airflow: Airflow, clock: Clock
) -> None:
    announcer = BacklogAnnouncer(store, config(airflow), clock)
    dislike(store, 19)
    assert not announcer.look()
    assert airflow.asked == []
    dislike(store, 1)
    assert announcer.look()
    assert airflow.events == [{"asset_id": 8, "extra": {"backlog": 20, "after_batch": ""}}]
    assert announcement(store) == Announcement("", 20, NOW, NOW)
    dislike(store, 30)
    clock.now += 1000 * MINUTE
    assert not announcer.look()
    assert not BacklogAnnouncer(store, config(airflow), clock).look()  # nor after a restart
    assert len(airflow.events) == 1


def test_the_next_backlog_is_announced_too(store: FeedbackStore, airflow: Airflow, clock: Clock) -> None:
    announcer = BacklogAnnouncer(store, config(airflow), clock)
    dislike(store, 20)
    assert announcer.look()
    use_backlog(store, "first", NOW)
    assert not announcer.look()
    clock.now += MINUTE
    dislike(store, 19, clock.now)
    assert not announcer.look()
    dislike(store, 2, clock.now)
    assert announcer.look()
    assert [event["extra"] for event in airflow.events] == [
        {"backlog": 20, "after_batch": ""}, {"backlog": 21, "after_batch": "first"},
    ]  # fmt: skip
    use_backlog(store, "second", clock.now)
    clock.now += MINUTE
    dislike(store, 20, clock.now)
    assert announcer.look()
    assert announcement(store, "second") is not None


def test_of_several_processes_one_announces(
    store: FeedbackStore, database_url: str, airflow: Airflow, clock: Clock
) -> None:
    dislike(store, 20)
    start = threading.Barrier(4)

    def look(number: int) -> bool:
        with FeedbackStore.open(database_url) as own:
            announcer = BacklogAnnouncer(own, config(airflow), clock)
            start.wait(timeout=20)
            return announcer.look()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(look, range(4))) == [False, False, False, True]
    assert len(airflow.events) == 1


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "wrong password": ({"fails_with": {"/auth/token": 401}}, "401.*RECSYS_AIRFLOW_PASSWORD"),
    "unknown asset": ({"assets": []}, "to know the asset"),
    "may not post": ({"fails_with": {"/api/v2/assets/events": 403}}, "403"),
    "broken": ({"fails_with": {"/api/v2/assets": 500}}, "500"),
    "not Airflow": ({"says": "<html>Welcome to nginx</html>"}, "check RECSYS_AIRFLOW_URL"),
    "not Airflow's JSON": ({"says": "[]"}, "check RECSYS_AIRFLOW_URL"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_failed_is_tried_again_later(store: FeedbackStore, clock: Clock, name: str) -> None:
    dislike(store, 20)
    wrong, message = FAILURES[name]
    with serving(Airflow(**wrong)) as airflow:
        announcer = BacklogAnnouncer(store, config(airflow), clock)
        with pytest.raises(TransientError, match=message):
            announcer.look()
        assert airflow.events == []
        assert announcement(store) == Announcement("", 20, NOW)
        healthy = Airflow()
        airflow.assets, airflow.fails_with, airflow.says = healthy.assets, {}, None
        clock.now += MINUTE - timedelta(microseconds=1)
        assert not announcer.look()  # another process might still be at it
        dislike(store, 1)
        clock.now += timedelta(microseconds=1)
        assert announcer.look()
        assert [event["extra"]["backlog"] for event in airflow.events] == [21]
    assert announcement(store) == Announcement("", 21, clock.now, clock.now)


def test_after_a_lost_answer_the_event_comes_twice_rather_than_never(
    store: FeedbackStore, airflow: Airflow, clock: Clock
) -> None:
    dislike(store, 20)
    airflow.loses_answers = True
    announcer = BacklogAnnouncer(store, config(airflow), clock)
    with pytest.raises(TransientError, match="disconnected"):
        announcer.look()
    airflow.loses_answers = False
    clock.now += MINUTE
    assert announcer.look()
    assert not announcer.look()
    assert len(airflow.events) == 2


def test_a_backlog_that_was_used_meanwhile_is_not_announced_any_more(
    store: FeedbackStore, airflow: Airflow, clock: Clock
) -> None:
    dislike(store, 20)
    airflow.fails_with = {"/auth/token": 500}
    announcer = BacklogAnnouncer(store, config(airflow), clock)
    with pytest.raises(TransientError, match="500"):
        announcer.look()
    airflow.fails_with = {}
    use_backlog(store, "the nightly run", NOW)
    clock.now += MINUTE
    assert not announcer.look()
    assert airflow.events == []


def test_it_is_woken_by_a_notice(store: FeedbackStore, airflow: Airflow) -> None:
    announcer = BacklogAnnouncer(store, config(airflow, interval_s=0.02, idle_s=600.0))
    announcer.start()
    dislike(store, 20)
    announcer.notice()
    airflow.wait_for(lambda: airflow.events)
    announcer.stop()
    announcer.notice()  # a late one does no harm
    assert len(airflow.events) == 1


def test_it_finds_by_itself_what_others_wrote(store: FeedbackStore, airflow: Airflow) -> None:
    announcer = BacklogAnnouncer(store, config(airflow, interval_s=0.02, idle_s=0.02))
    announcer.start()
    dislike(store, 20)
    airflow.wait_for(lambda: airflow.events)
    announcer.stop()


def test_airflow_may_come_later(store: FeedbackStore) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = Airflow(port=probe.getsockname()[1])
    announcer = BacklogAnnouncer(store, config(away, **HURRIED))
    dislike(store, 20)
    announcer.start()
    wait_for_row(store)
    with serving(away) as airflow:
        airflow.wait_for(lambda: airflow.events)
        announcer.stop()
        assert len(airflow.events) == 1
    assert announcement(store).posted_at is not None


def wait_for_row(store: FeedbackStore) -> None:
    for _ in range(2_000):
        if announcement(store) is not None:
            return
        threading.Event().wait(0.01)  # between two looks at the database
    pytest.fail("Expected the announcement to be begun within 20 s.")


def test_an_airflow_that_never_answers_delays_nobody(store: FeedbackStore) -> None:
    dislike(store, 20)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(20)
        airflow = Airflow(port=silent.getsockname()[1])
        announcer = BacklogAnnouncer(store, config(airflow, timeout_s=0.5))
        announcer.start()
        connection, _ = silent.accept()
        with connection:
            for _ in range(1_000):
                announcer.notice()  # while the request hangs
            assert announcement(store).posted_at is None
            announcer.stop()
            assert "backlog-announcer" not in {thread.name for thread in threading.enumerate()}


def test_a_database_that_fails_does_not_end_it(store: FeedbackStore, airflow: Airflow) -> None:
    def rename(old: str, new: str) -> None:
        store.database.write(lambda c: c.execute(text(f"ALTER TABLE {old} RENAME TO {new}")))

    dislike(store, 20)
    rename("backlog_announcements", "elsewhere")
    looked = threading.Semaphore(0)

    class Watched(BacklogAnnouncer):
        def look(self) -> bool:
            try:
                return super().look()
            finally:
                looked.release()

    announcer = Watched(store, config(airflow, **HURRIED))
    announcer.start()
    assert looked.acquire(timeout=20)
    rename("elsewhere", "backlog_announcements")
    airflow.wait_for(lambda: airflow.events)
    announcer.stop()


def test_without_an_address_nothing_runs(store: FeedbackStore) -> None:
    dislike(store, 20)
    announcer = BacklogAnnouncer(store, AnnouncerConfig.of(ApiSettings.from_environment({})))
    announcer.start()
    announcer.notice()
    assert "backlog-announcer" not in {thread.name for thread in threading.enumerate()}
    announcer.stop()
    assert announcement(store) is None  # whoever is configured later announces it


def test_half_a_configuration_is_refused() -> None:
    named = {"RECSYS_AIRFLOW_URL": "http://a", "RECSYS_AIRFLOW_USERNAME": "u", "RECSYS_AIRFLOW_PASSWORD": "p"}
    settings = ApiSettings.from_environment(named)
    assert AnnouncerConfig.of(settings) == AnnouncerConfig("http://a", "u", "p")
    assert "airflow_password" not in repr(settings)
    with pytest.raises(InputError, match="RECSYS_AIRFLOW_PASSWORD"):
        AnnouncerConfig.of(replace(settings, airflow_password=""))
    with pytest.raises(InputError, match="RECSYS_AIRFLOW_URL such as"):
        AnnouncerConfig.of(replace(settings, airflow_url="localhost:8080"))
