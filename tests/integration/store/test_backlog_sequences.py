"""Whatever the order of dislikes, claims, settlements and deaths: no example counts twice, none is lost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine, delete, select

from recsys.config.run import RunConfig
from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.records import Batch, BatchStatus, Dislike
from recsys.store import FeedbackStore
from recsys.store.database_errors import parse_url
from recsys.store.engine import make_engine, reading, writing
from recsys.store.tables import (
    dislike_feedback_impact,
    items,
    negative_training_examples,
    training_batches,
    user_dislikes,
)

START = datetime(2013, 6, 1, tzinfo=UTC)
LEASE = timedelta(hours=6)
RUNS = st.sampled_from(["r0", "r1", "r2", "r3"])


@dataclass
class KnownBatch:
    """What the model of the backlog knows of a batch."""

    status: str
    lease_expires_at: datetime
    challenger: str | None = None
    taken_over: bool = False
    examples: set[int] = field(default_factory=set)


class BacklogMachine(RuleBasedStateMachine):
    """Runs the store beside a model of it that fits in a screen: sets of dislike ids."""

    store: FeedbackStore
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        with writing(self.engine) as connection:
            for table in (dislike_feedback_impact, negative_training_examples, user_dislikes, training_batches, items):
                connection.execute(delete(table))
        self.now = START
        self.recorded: dict[int, datetime] = {}
        self.batches: dict[str, KnownBatch] = {}
        self.num_versions = 0

    def waiting(self, as_of: datetime) -> set[int]:
        taken = {n for b in self.batches.values() if b.status != "released" for n in b.examples}
        return {n for n, at in self.recorded.items() if at <= as_of} - taken

    def close(self, batch: KnownBatch, *, taken_over: bool = False) -> None:
        batch.status, batch.taken_over = "released", taken_over

    @rule(hours=st.integers(1, 4))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(count=st.integers(1, 4))
    def dislikes_arrive(self, count: int) -> None:
        rows = [Dislike("7", self.now, self.now, movie_id=n + 1) for n in range(count)]
        self.recorded |= {r.dislike_id: self.now for r in self.store.feedback.record_dislikes(rows)}

    @rule(run=RUNS, hours_ago=st.integers(0, 3))
    def claims(self, run: str, hours_ago: int) -> None:
        as_of = self.now - timedelta(hours=hours_ago)
        plan = Batch(run, as_of, as_of, None, BatchStatus.CLAIMED, 0, RunConfig(), self.now, self.now + LEASE)
        known = self.batches.get(run)
        open_run = next((name for name, batch in self.batches.items() if batch.status == "claimed"), None)
        if known is not None and known.status != "released":
            assert self.store.backlog.claim_backlog(plan).num_examples == len(known.examples)
            return
        if open_run is not None and self.batches[open_run].lease_expires_at >= self.now:
            with pytest.raises(ConflictError, match=open_run):
                self.store.backlog.claim_backlog(plan)
            return
        if open_run is not None:
            self.close(self.batches[open_run], taken_over=True)
        examples = self.waiting(as_of)
        self.batches[run] = KnownBatch("claimed", self.now + LEASE, examples=examples)
        assert self.store.backlog.claim_backlog(plan).num_examples == len(examples)

    @precondition(lambda self: self.batches)
    @rule(run=RUNS)
    def registers_a_challenger(self, run: str) -> None:
        known = self.batches.get(run)
        version = str(self.num_versions + 1)
        if known is None:
            with pytest.raises(NotFoundError):
                self.store.backlog.update_batch(run, challenger_version=version)
        elif known.status == "released":
            with pytest.raises(ConflictError):
                self.store.backlog.update_batch(run, challenger_version=version)
        elif known.challenger is None:
            self.num_versions += 1
            known.challenger = version
            self.store.backlog.update_batch(run, challenger_version=version)

    @precondition(lambda self: self.batches)
    @rule(run=RUNS)
    def settles(self, run: str) -> None:
        known = self.batches.get(run)
        if known is None:
            with pytest.raises(NotFoundError):
                self.store.backlog.settle_backlog(run, self.now)
        elif known.status == "released" and (known.taken_over or known.challenger):
            with pytest.raises(ConflictError):
                self.store.backlog.settle_backlog(run, self.now)
        else:
            if known.status == "claimed" and known.challenger:
                known.status = "used"
            elif known.status == "claimed":
                self.close(known)
            assert self.store.backlog.settle_backlog(run, self.now).status == known.status

    @precondition(lambda self: self.batches)
    @rule(run=RUNS)
    def is_released_by_hand(self, run: str) -> None:
        known = self.batches.get(run)
        if known is None:
            with pytest.raises(NotFoundError):
                self.store.backlog.release_batch(run, self.now)
        elif known.status == "used":
            with pytest.raises(ConflictError):
                self.store.backlog.release_batch(run, self.now)
        else:
            if known.status == "claimed":
                self.close(known)
            assert self.store.backlog.release_batch(run, self.now).status == "released"

    @rule()
    def a_bad_call_changes_nothing(self) -> None:
        with pytest.raises(InputError):
            self.store.feedback.record_dislikes(
                [Dislike("7", self.now, self.now, movie_id=1), Dislike("7", self.now, self.now)]
            )

    @invariant()
    def every_example_is_in_one_place(self) -> None:
        columns = negative_training_examples.c
        with reading(self.engine) as connection:
            rows = connection.execute(select(columns.dislike_id, columns.batch_id, columns.used_in_training)).all()
        backlog = {row.dislike_id for row in rows if row.batch_id is None}
        assert len(rows) == len(self.recorded)
        assert backlog == self.waiting(self.now)
        assert self.store.backlog.count_backlog(self.now) == len(backlog)
        for run, batch in self.batches.items():
            held = {row.dislike_id for row in rows if row.batch_id == run}
            used = {row.dislike_id for row in rows if row.batch_id == run and row.used_in_training}
            assert held == (batch.examples if batch.status != "released" else set())
            assert used == (batch.examples if batch.status == "used" else set())
        assert sum(batch.status == "claimed" for batch in self.batches.values()) <= 1


def test_any_sequence_keeps_every_example_once(store: FeedbackStore, database_url: str, backend: str) -> None:
    engine = make_engine(parse_url(database_url))
    machine = type("Machine", (BacklogMachine,), {"store": store, "engine": engine})
    examples, steps = (60, 30) if backend == "sqlite" else (25, 20)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    engine.dispose()
