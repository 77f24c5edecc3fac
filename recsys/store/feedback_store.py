"""The feedback store: every call is one transaction, on SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from recsys.errors import ConflictError, InputError
from recsys.feedback.handler import StoredDislike
from recsys.records import (
    Batch,
    Decision,
    Dislike,
    Interaction,
    Item,
    Promotion,
    RecommendationSet,
    RecordedDislike,
)
from recsys.store import backlog, catalog, events, feedback_rows, ledger, recommendations
from recsys.store.database_errors import database_errors, parse_url
from recsys.store.engine import make_engine, reading, writing
from recsys.store.events import StreamSummary
from recsys.store.schema import require_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
MAX_ATTEMPTS = 3  # when two processes insert the same key at once, the second try sees the first one's row


class FeedbackStore:
    """The feedback database. Use it as a context manager, or call `close`.

    All datetimes are aware; they come back in UTC. Errors are those of `recsys.errors`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, database_url: str) -> Self:
        """Opens a database that `recsys db upgrade` has prepared.

        Raises:
            TerminalError: if it is not there or its schema is not the newest.
            TransientError: if it cannot be reached now.
        """
        engine = make_engine(parse_url(database_url))
        try:
            require_schema(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with database_errors(self._engine.url), reading(self._engine) as connection:
            yield connection

    def _write(
        self, work: Callable[[Connection], T], passing: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> T:
        with database_errors(self._engine.url), passing(), writing(self._engine) as connection:
            return work(connection)

    def _write_against_others(self, work: Callable[[Connection], T], what: str) -> T:
        """Runs `work` again when a row of another process got in between."""
        for _ in range(MAX_ATTEMPTS):
            try:
                return self._write(work, passing=_passing_integrity_errors)
            except _CollidedError as error:
                collision = error
        raise ConflictError(
            f"Expected to {what}, but other processes wrote the same keys {MAX_ATTEMPTS} times in a row ({collision}): "
            "nothing was written, run it again."
        ) from collision

    # Catalog and feedback

    def upsert_items(self, items: Sequence[Item]) -> int:
        """Writes items that are new or differ, and returns how many; a placeholder never replaces an item."""
        return self._write(lambda c: catalog.upsert_items(c, items))

    def catalog(self) -> dict[str, Item]:
        """All items by id, in the order of their ids."""
        with self._reading() as connection:
            return catalog.read_catalog(connection)

    def insert_interactions(self, rows: Sequence[Interaction]) -> int:
        """Writes interactions and returns how many are new; the same (user, item, kind, occurred_at) is kept once."""
        return self._write(lambda c: feedback_rows.insert_interactions(c, rows))

    def record_dislikes(self, rows: Sequence[Dislike]) -> list[RecordedDislike]:
        """Writes dislikes with their negative examples, all or none; see `feedback_rows.record_dislikes`."""
        return self._write_against_others(lambda c: feedback_rows.record_dislikes(c, rows), "record dislikes")

    def list_dislikes(self, user_id: str, limit: int = 100) -> list[StoredDislike]:
        """A user's dislikes that were not taken back, newest first."""
        with self._reading() as connection:
            return feedback_rows.list_dislikes(connection, user_id, limit)

    # Backlog

    def count_backlog(self, as_of: datetime) -> int:
        """Negative examples recorded up to `as_of`, neither claimed nor used."""
        with self._reading() as connection:
            return backlog.count_backlog(connection, as_of)

    def claim_backlog(self, batch: Batch) -> Batch:
        """Opens the batch and claims the backlog as of its cut-off; see `backlog.claim`."""
        what = f"claim the backlog for run {batch.batch_id}"
        return self._write_against_others(lambda c: backlog.claim(c, batch), what)

    def update_batch(self, batch_id: str, **fields: Any) -> Batch:
        """Writes what a step left behind; ConflictError if the batch was released or taken over."""
        return self._write(lambda c: backlog.update_fields(c, batch_id, fields))

    def get_batch(self, batch_id: str) -> Batch:
        """One batch; NotFoundError if there is none."""
        with self._reading() as connection:
            return backlog.read_batch(connection, batch_id)

    def find_batch_by_version(self, challenger_version: str) -> Batch:
        """The batch that a challenger came from; NotFoundError if there is none."""
        with self._reading() as connection:
            return backlog.find_by_version(connection, challenger_version)

    def settle_backlog(self, batch_id: str, now: datetime) -> Batch:
        """Used if a challenger was registered, else released; idempotent. ConflictError if it was taken over."""
        return self._write(lambda c: backlog.settle(c, batch_id, now))

    def release_batch(self, batch_id: str, now: datetime) -> Batch:
        """Gives the examples of an open batch back; idempotent. ConflictError if they were used."""
        return self._write(lambda c: backlog.release(c, batch_id, now))

    # Ledger

    def record_decision(self, decision: Decision) -> Decision:
        """Writes the decision of a run's step; a retry replaces it."""
        return self._write(lambda c: ledger.record_decision(c, decision))

    def list_decisions(self, limit: int = 20, run_id: str | None = None) -> list[Decision]:
        """Decisions of all runs or of one, newest first."""
        with self._reading() as connection:
            return ledger.list_decisions(connection, limit, run_id)

    def begin_promotion(self, promotion: Promotion) -> Promotion:
        """Writes the intent to promote; ConflictError if another promotion came first."""
        return self._write_against_others(
            lambda c: ledger.begin_promotion(c, promotion), f"promote version {promotion.to_version}"
        )

    def complete_promotion(self, sequence: int, now: datetime) -> None:
        """Notes that the alias was moved; the first time counts."""
        self._write(lambda c: ledger.complete_promotion(c, sequence, now))

    def last_promotion(self) -> Promotion | None:
        """The newest promotion, complete or not."""
        with self._reading() as connection:
            return ledger.last_promotion(connection)

    def list_promotions(self) -> list[Promotion]:
        """All promotions, in their order."""
        with self._reading() as connection:
            return ledger.list_promotions(connection)

    # Recommendations

    def replace_recommendation_sets(
        self, model_version: str, as_of: datetime, sets: Iterable[RecommendationSet]
    ) -> int:
        """Makes `sets` the lists of a version and cut-off, and returns how many; see `recommendations.replace_sets`."""
        return self._write(lambda c: recommendations.replace_sets(c, model_version, as_of, sets))

    def get_recommendations(self, user_id: str | None) -> RecommendationSet | None:
        """The list that was published last for a user; None: for users without one of their own."""
        with self._reading() as connection:
            return recommendations.newest_set(connection, user_id)

    def count_recommendation_sets(self, model_version: str, as_of: datetime) -> int:
        """How many lists there are of a version and cut-off."""
        with self._reading() as connection:
            return recommendations.count_sets(connection, model_version, as_of)

    # Reading for training

    def read_events(self, recorded_after: datetime | None, recorded_through: datetime) -> pa.Table:
        """All signals in (`recorded_after`, `recorded_through`]; see `sql/events.sql`."""
        with self._reading() as connection:
            return events.read_events(connection, recorded_after, recorded_through)

    def read_training_set(self, as_of: datetime, fit_through: datetime, half_life_days: float) -> pa.Table:
        """Labelled examples as of `as_of`, one per (user, item), the newest opinion; see `sql/training_set.sql`."""
        _require_positive(half_life_days)
        params = {"as_of": as_of, "fit_through": fit_through, "half_life_days": half_life_days}
        return events.run_duckdb("training_set", self.read_events(None, as_of), params, events.training_set_schema())

    def read_histories(
        self, as_of: datetime, half_life_days: float, user_ids: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """What a scorer may know of all users, or of some, as of `as_of`; see `sql/histories.sql`."""
        _require_positive(half_life_days)
        with self._reading() as connection:
            found = events.read_events(connection, None, as_of, user_ids)
        params = {"as_of": as_of, "half_life_days": half_life_days}
        frame: pd.DataFrame = events.run_duckdb("histories", found, params, events.history_schema()).to_pandas()
        return frame

    def recorded_at_quantile(self, after: datetime | None, through: datetime, quantile: float) -> datetime | None:
        """The moment in (`after`, `through`] by which a share of likes and dislikes was recorded; None without any."""
        if not 0.0 <= quantile <= 1.0:
            raise InputError(f"Expected a quantile between 0 and 1, got {quantile}.")
        with self._reading() as connection:
            return events.recorded_at_quantile(connection, after, through, quantile)

    def stream_summary(self, through: datetime) -> StreamSummary:
        """First and last moment and counts of what was recorded up to `through`."""
        with self._reading() as connection:
            return events.stream_summary(connection, through)


class _CollidedError(Exception):
    """A unique key was taken in between; never leaves this module."""


@contextlib.contextmanager
def _passing_integrity_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise _CollidedError(str(error.orig)) from error


def _require_positive(half_life_days: float) -> None:
    if not half_life_days > 0:
        raise InputError(f"Expected half_life_days > 0, got {half_life_days}.")
