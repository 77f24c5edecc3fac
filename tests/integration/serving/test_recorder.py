"""Group commit: who waits, who is written together, and what a bad neighbour does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import event, text

from recsys.errors import InputError, TransientError
from recsys.feedback.handler import StoredDislike
from recsys.records import Dislike, DislikeReason, Item
from recsys.serving.recorder import DislikeRecorder
from recsys.store import FeedbackStore
from recsys.store.database import Database
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine
from recsys.store.parts.feedback import Feedback

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
MATRIX = Item("133093", "The Matrix", ("Action", "Sci-Fi"))
# Valid as it stands, but not a moment in UTC that a database could hold.
BAD = Dislike("bad", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), NOW, item_id="133093")


def dislike(user_id: str, key: str | None = None) -> Dislike:
    return Dislike(user_id, NOW, NOW, item_id="133093", reason=DislikeReason.WRONG_GENRE, idempotency_key=key)


class GatedFeedback(Feedback):
    """With a gate before each transaction of the recorder."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gate = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.groups: list[list[str]] = []

    def record_and_read(self, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool]]:
        self.groups.append([row.user_id for row in rows])
        self.arrived.release()
        assert self.gate.wait(30)
        return super().record_and_read(rows)


class GatedStore(FeedbackStore):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.feedback = self.gated = GatedFeedback(database)

    async def group_arrives(self) -> None:
        assert await asyncio.to_thread(self.gated.arrived.acquire, timeout=30)


@pytest.fixture
def gated(database_url: str) -> Iterator[GatedStore]:
    with GatedStore.open(database_url) as store:
        store.catalog.upsert_items([MATRIX])
        yield store
        store.gated.gate.set()


@contextmanager
def running(recorder: DislikeRecorder) -> Iterator[DislikeRecorder]:
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()


async def submitted(recorder: DislikeRecorder, *dislikes: Dislike) -> list[asyncio.Task]:
    """Tasks that have given their dislikes to the recorder, in this order, and wait."""
    tasks = [asyncio.create_task(recorder.record(one)) for one in dislikes]
    await asyncio.sleep(0)  # each runs up to its future
    return tasks


def users(store: FeedbackStore) -> list[str]:
    with store.database.reading() as connection:
        return list(connection.scalars(text("SELECT user_id FROM user_dislikes ORDER BY dislike_id")))


def test_what_comes_while_a_transaction_runs_is_written_in_the_next_one(gated: GatedStore) -> None:
    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        rest = await submitted(recorder, *(dislike(str(number)) for number in range(1, 50)))
        assert not any(task.done() for task in (*first, *rest))
        gated.gated.gate.set()
        answers = await asyncio.gather(*first, *rest)
        assert [stored.dislike.user_id for stored, _ in answers] == [str(number) for number in range(50)]
        assert all(is_new for _, is_new in answers)
        assert answers[0][0].adjustments == {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}
        assert gated.feedback.get_dislikes([stored.dislike_id for stored, _ in answers]) == {
            stored.dislike_id: stored for stored, _ in answers
        }

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(main(recorder))
    assert gated.gated.groups == [["0"], [str(number) for number in range(1, 50)]]
    assert len(users(gated)) == 50


def test_the_same_key_twice_in_one_group_is_one_dislike(gated: GatedStore) -> None:
    told = threading.Semaphore(0)

    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        same = await submitted(recorder, dislike("7", "k"), dislike("8", "k"), dislike("7", "k"))
        gated.gated.gate.set()
        await asyncio.gather(*first)
        answers = [await task for task in same]
        assert [is_new for _, is_new in answers] == [True, True, False]
        assert answers[0][0] == answers[2][0] != answers[1][0]
        assert await recorder.record(dislike("7", "k")) == (answers[0][0], False)

    with running(DislikeRecorder(gated, on_recorded=told.release)) as recorder:
        asyncio.run(main(recorder))
    assert users(gated) == ["0", "7", "8"]
    assert [told.acquire(blocking=False) for _ in range(3)] == [True, True, False]  # not for the repeat


def test_a_bad_event_fails_alone(gated: GatedStore) -> None:
    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        unexpected = Dislike("odd", NOW, NOW, item_id="133093", recommendation_set_id="x")  # type: ignore[arg-type]
        rest = await submitted(recorder, dislike("1"), BAD, unexpected, dislike("2"))
        gated.gated.gate.set()
        one, bad, odd, two = await asyncio.gather(*rest, return_exceptions=True)
        assert (one[0].dislike.user_id, two[0].dislike.user_id) == ("1", "2")
        assert isinstance(bad, InputError), bad
        assert isinstance(odd, TypeError), odd
        await asyncio.gather(*first)

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(main(recorder))
    assert users(gated) == ["0", "1", "2"]


REFUSING = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE INSERT ON user_dislikes WHEN NEW.user_id = 'poison' "
        "BEGIN SELECT RAISE(ABORT, 'more than an index entry may hold'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'index row size 3175 exceeds btree version 4 maximum 2704' USING ERRCODE = 'program_limit_exceeded'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON user_dislikes FOR EACH ROW WHEN (NEW.user_id = 'poison') "
        "EXECUTE FUNCTION refuse()",
    ),
}


def test_a_row_that_the_database_refuses_fails_alone_and_costs_the_others_one_commit(gated: GatedStore) -> None:
    for statement in REFUSING[gated.database.engine.dialect.name]:
        gated.database.write(lambda c, statement=statement: c.execute(text(statement)))
    commits: list[object] = []
    event.listen(gated.database.engine, "commit", commits.append)

    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        rest = await submitted(recorder, *map(dislike, ("1", "poison", "2", "3", "poison", "4")))
        gated.gated.gate.set()
        answers = await asyncio.gather(*rest, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        written = [answer[0].dislike.user_id for answer in answers if not isinstance(answer, Exception)]
        assert ([type(answer) for answer in refused], written) == ([InputError, InputError], list("1234")), answers
        await asyncio.gather(*first)

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(main(recorder))
    assert len(commits) == 2  # the first one, and the group
    assert users(gated) == ["0", "1", "2", "3", "4"]


def test_what_can_be_seen_to_be_wrong_never_reaches_a_group(gated: GatedStore) -> None:
    with running(DislikeRecorder(gated)) as recorder, pytest.raises(InputError, match="to name the disliked film"):
        asyncio.run(recorder.record(Dislike("7", NOW, NOW)))
    assert gated.gated.groups == []


def test_a_cancelled_request_disturbs_nobody_and_its_dislike_is_kept(gated: GatedStore) -> None:
    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        rest = await submitted(recorder, dislike("1"), dislike("2", "k"), dislike("3"))
        rest[1].cancel()
        await asyncio.wait([rest[1]])
        gated.gated.gate.set()
        one, three = await rest[0], await rest[2]
        assert (one[0].dislike.user_id, three[0].dislike.user_id) == ("1", "3")
        assert rest[1].cancelled()
        stored, is_new = await recorder.record(dislike("2", "k"))  # the client comes again
        assert (stored.dislike.user_id, is_new) == ("2", False)
        await asyncio.gather(*first)

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(main(recorder))
    assert users(gated) == ["0", "1", "2", "3"]


def test_when_too_many_wait_the_next_is_told_to_come_back(gated: GatedStore) -> None:
    async def main(recorder: DislikeRecorder) -> None:
        first = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        rest = await submitted(recorder, dislike("1"), dislike("2"))
        with pytest.raises(TransientError, match="busy, try again"):
            await recorder.record(dislike("3"))
        gated.gated.gate.set()
        await asyncio.gather(*first, *rest)
        assert (await recorder.record(dislike("3")))[1]

    with running(DislikeRecorder(gated, max_waiting=2)) as recorder:
        asyncio.run(main(recorder))
    assert users(gated) == ["0", "1", "2", "3"]


def test_stopping_writes_what_was_submitted_and_takes_no_more(gated: GatedStore) -> None:
    recorder = DislikeRecorder(gated)
    recorder.start()

    async def main() -> None:
        tasks = await submitted(recorder, dislike("0"))
        await gated.group_arrives()
        tasks += await submitted(recorder, dislike("1"), dislike("2"))
        stopping = asyncio.create_task(asyncio.to_thread(recorder.stop))
        while recorder._is_open:
            await asyncio.sleep(0)
        with pytest.raises(TransientError, match="stopping"):
            await recorder.record(dislike("3"))
        gated.gated.gate.set()
        assert all(is_new for _, is_new in await asyncio.gather(*tasks))
        await stopping

    asyncio.run(main())
    assert users(gated) == ["0", "1", "2"]
    recorder.stop()  # again does no harm
    with running(recorder):
        assert asyncio.run(recorder.record(dislike("4")))[1]


def test_an_event_loop_that_is_gone_does_not_stop_the_writer(gated: GatedStore) -> None:
    async def abandon(recorder: DislikeRecorder) -> None:
        await submitted(recorder, dislike("0"))
        await gated.group_arrives()

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(abandon(recorder))
        gated.gated.gate.set()
        assert asyncio.run(recorder.record(dislike("1")))[1]
    assert users(gated) == ["0", "1"]


def impatient(store: FeedbackStore) -> None:
    """Makes every connection give up on a lock at once."""
    give_up = {"sqlite": "PRAGMA busy_timeout=0", "postgresql": "SET lock_timeout = '50ms'"}

    @event.listens_for(store.database.engine, "connect")
    def set_up(connection, record) -> None:
        connection.cursor().execute(give_up[store.database.engine.dialect.name])
        if store.database.engine.dialect.name == "postgresql":
            connection.commit()

    store.database.engine.dispose()


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Another program holds the table."""
    engine = make_engine(parse_url(database_url))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE user_dislikes IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


def test_a_database_that_is_away_is_told_to_all_of_the_group(database_url: str, gated: GatedStore) -> None:
    impatient(gated)

    async def main(recorder: DislikeRecorder) -> None:
        with locked(database_url):
            first = await submitted(recorder, dislike("0", "k0"))
            await gated.group_arrives()
            rest = await submitted(recorder, dislike("1", "k1"), dislike("2", "k2"))
            gated.gated.gate.set()
            errors = await asyncio.gather(*first, *rest, return_exceptions=True)
            assert all(isinstance(error, TransientError) for error in errors), errors
            assert len({id(error) for error in errors}) == 3
        again = await submitted(recorder, *(dislike(str(number), f"k{number}") for number in range(3)))
        assert all([(await task)[1] for task in again])

    with running(DislikeRecorder(gated)) as recorder:
        asyncio.run(main(recorder))
    assert sorted(users(gated)) == ["0", "1", "2"]
    assert gated.gated.groups[:2] == [["0"], ["1", "2"]]
