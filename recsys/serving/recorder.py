"""Writes the dislikes of many requests in few transactions.

A commit costs one sync of the disk, and takes as long for a hundred rows as for one. So one thread writes: while its
transaction runs, further dislikes queue, and they go into the next one together. Nobody waits for a timer: alone, a
dislike is written at once; under load, the groups grow by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.errors import ErasedError, TransientError
from recsys.feedback.handler import StoredDislike
from recsys.records import Dislike
from recsys.store import FeedbackStore
from recsys.validation import validate_dislike

MAX_WAITING = 2_000  # seconds of work at most; who comes then is better asked to come back
MAX_GROUP = 200  # rows of one transaction: it stays short, and so does everybody's wait
Outcome = tuple[StoredDislike, bool] | Exception
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Submitted:
    """A dislike, and the request that waits for it."""

    dislike: Dislike
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[tuple[StoredDislike, bool]]


def _nobody() -> None:
    """Nobody is notified."""


class DislikeRecorder:
    """Group commit for dislikes; see the module.

    Args:
        store: where to.
        on_recorded: called by the writer's thread after a commit that brought something new; must return at once.
        max_waiting: so many dislikes may wait; beyond, `record` refuses.
    """

    def __init__(
        self, store: FeedbackStore, *, on_recorded: Callable[[], None] = _nobody, max_waiting: int = MAX_WAITING
    ) -> None:
        self._store = store
        self._on_recorded = on_recorded
        self._max_waiting = max_waiting
        self._waiting: deque[_Submitted] = deque()
        self._changed = threading.Condition()
        self._is_open = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to write. Again after `stop`, it begins anew."""
        with self._changed:
            if self._is_open:
                return
            self._is_open = True
            self._thread = threading.Thread(target=self._run, name="dislike-recorder", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Takes no more, writes what was submitted, then ends."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    async def record(self, dislike: Dislike) -> tuple[StoredDislike, bool]:
        """Returns what is stored, and whether it is new, after the commit.

        A caller that is cancelled while it waits learns nothing; its dislike is written all the same.

        Raises:
            InputError: if a value is not what it should be.
            ErasedError: if the user is erased.
            TransientError: if too many wait, the service is stopping, or the database is not available. With the same
                idempotency key the call can be made again.
        """
        validate_dislike(dislike)  # as the store will: what can be seen to be wrong costs the others of a group nothing
        loop = asyncio.get_running_loop()
        submitted = _Submitted(dislike, loop, loop.create_future())
        with self._changed:
            if not self._is_open:
                raise TransientError("Expected the service to run, but it is stopping: try again.")
            if len(self._waiting) >= self._max_waiting:
                raise TransientError(
                    f"Expected at most {self._max_waiting} dislikes to wait for the database, and there are as many: the "
                    "service is busy, try again."
                )
            self._waiting.append(submitted)
            self._changed.notify()
        return await submitted.future

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._write(group)
            except Exception as error:
                log.exception("a group of %d dislikes failed in an unexpected way", len(group))
                _answer(group, [error] * len(group))

    def _next_group(self) -> list[_Submitted]:
        """What waits, as soon as something does; empty when the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._is_open)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]

    def _write(self, group: Sequence[_Submitted]) -> None:
        outcomes = self._outcomes([submitted.dislike for submitted in group])
        _answer(group, outcomes)
        if any(not isinstance(outcome, Exception) and outcome[1] for outcome in outcomes):
            self._on_recorded()

    def _outcomes(self, dislikes: list[Dislike]) -> Sequence[Outcome]:
        try:
            return self._store.feedback.record_and_read(dislikes)
        except ErasedError as error:
            return self._without(error.user_ids, dislikes)
        except TransientError as error:
            # One error per waiter: raised by many, a shared one would gather all their tracebacks.
            return [TransientError(*error.args) for _ in dislikes]
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them, the others must not pay for it
            return [error] if len(dislikes) == 1 else self._one_by_one(dislikes)

    def _one_by_one(self, dislikes: list[Dislike]) -> Sequence[Outcome]:
        try:
            return self._store.feedback.record_each(dislikes)
        except TransientError as error:
            return [TransientError(*error.args) for _ in dislikes]

    def _without(self, erased: frozenset[str], dislikes: list[Dislike]) -> list[Outcome]:
        """Those of erased users fail, the others are written together."""
        others = iter(self._outcomes([dislike for dislike in dislikes if dislike.user_id not in erased]))
        return [
            ErasedError.of(frozenset([dislike.user_id])) if dislike.user_id in erased else next(others)
            for dislike in dislikes
        ]


def _answer(group: Sequence[_Submitted], outcomes: Sequence[Outcome]) -> None:
    """Tells the waiters, with one wake-up per event loop."""
    answers: dict[asyncio.AbstractEventLoop, list[tuple[_Submitted, Outcome]]] = {}
    for submitted, outcome in zip(group, outcomes, strict=True):
        answers.setdefault(submitted.loop, []).append((submitted, outcome))
    for loop, pairs in answers.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:
            log.info("%d dislikes were written for requests whose event loop is closed", len(pairs))


def _resolve(pairs: Sequence[tuple[_Submitted, Outcome]]) -> None:
    for submitted, outcome in pairs:
        if submitted.future.done():
            continue  # its request was cancelled
        if isinstance(outcome, Exception):
            submitted.future.set_exception(outcome)
        else:
            submitted.future.set_result(outcome)
