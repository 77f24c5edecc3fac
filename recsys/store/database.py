"""Transactions on the feedback database; what every part of the store works with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from recsys.errors import ConflictError, TransientError
from recsys.store.database_errors import database_errors, parse_url
from recsys.store.engine import make_engine, reading, wipe_log, writing
from recsys.store.schema import require_schema

T = TypeVar("T")
R = TypeVar("R")
MAX_ATTEMPTS = 3  # when two processes insert the same key at once, the second try sees the first one's row
DEADLOCK = "40P01"  # of PostgreSQL: each waited for a row of the other


class Database:
    """An open feedback database. Use it as a context manager, or call `close`.

    All datetimes are aware; they come back in UTC. Errors are those of `recsys.errors`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, database_url: str) -> Self:
        """Opens a database that `recsys db upgrade` has prepared.

        Raises:
            TerminalError: if it is not there, its schema is not the newest, or the key that names its erased users is
                missing or another one.
            TransientError: if it cannot be reached now.
        """
        engine = make_engine(parse_url(database_url))
        try:
            require_schema(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def require_ready(self) -> None:
        """Checks now that the database can be reached and has the newest schema and its key; raises as `open` does."""
        require_schema(self.engine)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def wipe_log(self) -> bool:
        """Empties SQLite's write-ahead log; False while somebody uses it."""
        with database_errors(self.engine.url):
            return wipe_log(self.engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot to read from."""
        with database_errors(self.engine.url), reading(self.engine) as connection:
            yield connection

    def write(
        self, work: Callable[[Connection], T], passing: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> T:
        """Runs `work` in one transaction: all of it is written, or nothing.

        Where PostgreSQL ends it, since it and another transaction waited for each other, it is run again.
        """
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return self._write_once(work, passing)
            except TransientError as error:
                if not _is_deadlock(error):
                    raise
        return self._write_once(work, passing)

    def _write_once(self, work: Callable[[Connection], T], passing: Callable[[], AbstractContextManager[None]]) -> T:
        with database_errors(self.engine.url), passing(), writing(self.engine) as connection:
            return work(connection)

    def write_against_others(self, work: Callable[[Connection], T], what: str) -> T:
        """Runs `work` again when a row of another process got in between."""
        for _ in range(MAX_ATTEMPTS):
            try:
                return self.write(work, passing=_passing_integrity_errors)
            except _CollidedError as error:
                collision = error
        raise ConflictError(
            f"Expected to {what}, but other processes wrote the same keys {MAX_ATTEMPTS} times in a row ({collision}): "
            "nothing was written, run it again."
        ) from collision

    def write_each(self, rows: Sequence[R], work: Callable[[Connection, R], T]) -> list[T | Exception]:
        """Runs `work` for each row in one transaction, each behind a savepoint: a row that is refused fails alone.

        Returns per row what `work` gave, or what it raised. One commit, so that refused rows cost the others no waiting.

        Raises:
            TransientError: if the database is not available; nothing was written.
        """
        return self.write(lambda connection: [self._one(connection, row, work) for row in rows])

    def _one(self, connection: Connection, row: R, work: Callable[[Connection, R], T]) -> T | Exception:
        for attempt in range(MAX_ATTEMPTS):
            try:
                with database_errors(self.engine.url), connection.begin_nested():
                    return work(connection, row)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this row, the others must not pay for it
                # A key that another process took in between: the next try sees its row.
                if attempt + 1 == MAX_ATTEMPTS or not isinstance(error.__cause__, IntegrityError):
                    return error
        raise AssertionError("unreachable")


class _CollidedError(Exception):
    """A unique key was taken in between; never leaves this module."""


@contextlib.contextmanager
def _passing_integrity_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise _CollidedError(str(error.orig)) from error


def _is_deadlock(error: TransientError) -> bool:
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == DEADLOCK
