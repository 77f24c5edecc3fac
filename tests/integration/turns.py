"""Operations that interleave: each runs in a thread, one moves at a time, and a seed decides which."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, event, text

from recsys.store import FeedbackStore
from recsys.store.database import Database

T = TypeVar("T")
POLL_S = 0.01
PATIENCE_S = 60
WAITING, RUNNING, BLOCKED, DONE = "waiting", "running", "blocked", "done"


class Turns:
    """Lets threads move in turns. A thread that waits for a lock of another one's counts as having moved.

    Args:
        choice: who moves next.
        is_blocked: whether a session of the database waits for another one.
    """

    def __init__(self, choice: random.Random, is_blocked: Callable[[int], bool]) -> None:
        self._choice = choice
        self._is_blocked = is_blocked
        self._changed = threading.Condition()
        self._states: list[str] = []
        self._sessions: dict[int, int] = {}
        self._own = threading.local()
        self.errors: dict[int, Exception] = {}

    def switch(self, session: int | None = None) -> None:
        """Where a thread may have to wait for the others. `session`: of the database, that it is about to use."""
        number: int | None = getattr(self._own, "number", None)
        if number is None:
            return  # not one of ours
        with self._changed:
            if session is not None:
                self._sessions[number] = session
            self._states[number] = WAITING
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._states[number] == RUNNING, PATIENCE_S), "nobody moves any more"

    def run(self, operations: Sequence[Callable[[], Any]]) -> None:
        """Runs operations to their ends; `errors` has what they raised."""
        self._states = [RUNNING] * len(operations)
        threads = [threading.Thread(target=self._work, args=pair, daemon=True) for pair in enumerate(operations)]
        for thread in threads:
            thread.start()
        with self._changed:
            while not all(state == DONE for state in self._states):
                self._settle()
                waiting = [number for number, state in enumerate(self._states) if state == WAITING]
                if waiting:
                    self._states[self._choice.choice(waiting)] = RUNNING
                    self._changed.notify_all()
                elif BLOCKED in self._states:
                    self._changed.wait(POLL_S)
        for thread in threads:
            thread.join(PATIENCE_S)

    def _settle(self) -> None:
        """Waits until nobody moves."""
        while RUNNING in self._states:
            if self._changed.wait(POLL_S):
                continue
            for number, state in enumerate(self._states):
                if state == RUNNING and number in self._sessions and self._is_blocked(self._sessions[number]):
                    self._states[number] = BLOCKED

    def _work(self, number: int, operation: Callable[[], Any]) -> None:
        self._own.number = number
        try:
            self.switch()
            operation()
        except Exception as error:  # noqa: BLE001 - the test judges it
            self.errors[number] = error
        finally:
            with self._changed:
                self._states[number] = DONE
                self._changed.notify_all()


class InterleavedDatabase(Database):
    """A database whose transactions take turns; on PostgreSQL their statements do."""

    turns: Turns | None = None

    def watch(self) -> None:
        """Once, after opening: makes every statement on a server a switch. Commits do not wait for the disk."""
        if self.engine.dialect.name != "postgresql":
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
            self.engine.dispose()  # what was opened until now waits
            return

        @event.listens_for(self.engine, "before_cursor_execute")
        def before(connection: Connection, *_: object) -> None:
            if self.turns is not None:
                driver: Any = connection.connection.driver_connection
                self.turns.switch(driver.info.backend_pid)

    def is_blocked(self, session: int) -> bool:
        """Whether a session waits for a lock of another."""
        if self.engine.dialect.name != "postgresql":
            return False
        with self.engine.connect() as connection:
            query = text("SELECT cardinality(pg_blocking_pids(:session)) > 0")
            return bool(connection.execute(query, {"session": session}).scalar_one())

    def _switch(self) -> None:
        if self.turns is not None:
            self.turns.switch()

    @contextmanager
    def reading(self) -> Any:
        self._switch()
        with super().reading() as connection:
            yield connection

    def write(
        self, work: Callable[[Connection], T], passing: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> T:
        self._switch()
        return super().write(work, passing)


class InterleavedStore(FeedbackStore):
    """A store on such a database."""

    database: InterleavedDatabase

    @classmethod
    def open(cls, database_url: str) -> Self:
        return cls(InterleavedDatabase.open(database_url))
