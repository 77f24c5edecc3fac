"""HTTP with bounds on what anybody may send, in bytes and in time, before it is known who they are.

uvicorn collects headers however many come, and waits for ever for the rest of a request. Here a request's line and headers
are bounded, headers and body have to come within a time each, and a client that takes no answer is not waited for either.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recsys.serving.problems import Problem
from recsys.serving.security_headers import SECURITY_HEADERS

MAX_HEAD_BYTES = 32 * 1024  # request line and headers, trailers too
MAX_HEADERS = 100
MAX_BODY_BYTES = 16 * 1024 * 1024  # read at most, and thrown away, after an answer that did not wait for the body
READ_BYTES = 256 * 1024  # the most that arrives at once, and so what one call of the parser may hold
CLOSE_S = 5.0  # for sending the last answer


@dataclass(frozen=True)
class DoorTimes:
    """Seconds that a client has. `headers`: from connecting, or from the first byte, to the last header; `body`: the rest."""

    headers: float
    body: float


class Owed(Enum):
    """What the client has to send next."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class TooMuchError(Exception):
    """More than a bound allows; never leaves the connection."""


class GuardedHttp(HttpToolsProtocol):
    """One connection. The bounds are those of the module and of `times`."""

    def __init__(self, *arguments: Any, times: DoorTimes, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._times = times
        self._owed = Owed.NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._seen = 0  # bytes since headers are owed
        self._num_head_bytes = self._num_headers = self._num_body_bytes = 0

    def _expect(self, owed: Owed, seconds: float = 0.0) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._owed, self._seen = owed, 0
        self._timer = self.loop.call_later(seconds, self._too_slow) if owed is not Owed.NOTHING else None

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected, and owes a request."""
        super().connection_made(transport)
        self._expect(Owed.HEADERS, self._times.headers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        self._expect(Owed.NOTHING)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what came."""
        if self.transport.is_closing():
            return
        if self._owed is Owed.NOTHING:
            self._expect(Owed.HEADERS, self._times.headers)
        super().data_received(data)
        if self._owed is Owed.HEADERS:
            self._seen += len(data)
            if self._seen > MAX_HEAD_BYTES + READ_BYTES and not self.transport.is_closing():
                self._refuse(_too_large())

    def pause_writing(self) -> None:
        """The client takes the answer slowly; it has as long as for sending a body."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(self._times.body, self.transport.abort)

    def resume_writing(self) -> None:
        """The client took some."""
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._num_head_bytes = self._num_headers = self._num_body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._num_headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is on its way to the application."""
        super().on_headers_complete()
        self._expect(Owed.BODY, self._times.body)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._num_body_bytes += len(body)
        if self._num_body_bytes > MAX_BODY_BYTES:
            raise TooMuchError
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole. Where it was answered before that, nothing else waits for the next one."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._expect(Owed.HEADERS, self._times.headers)
        else:
            self._expect(Owed.NOTHING)

    def _count(self, num_bytes: int) -> None:
        self._num_head_bytes += num_bytes
        if self._num_head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            raise TooMuchError

    # How it ends

    def send_400_response(self, msg: str) -> None:
        """The parser gave up: this is no HTTP, or a bound was reached."""
        if self._num_head_bytes > MAX_HEAD_BYTES or self._num_headers > MAX_HEADERS:
            self._refuse(_too_large())
        elif self._num_body_bytes > MAX_BODY_BYTES:
            self._refuse(Problem(413, "too-large", f"Expected a body of at most {MAX_BODY_BYTES} bytes, got more."))
        else:
            self._refuse(Problem(400, "not-http", "Expected a request of HTTP/1.1, got something else."))

    def _too_slow(self) -> None:
        if self._owed is Owed.HEADERS and self._seen == 0:
            self._close()  # a connection that was opened ahead and never used
            return
        what, seconds = ("headers", self._times.headers) if self._owed is Owed.HEADERS else ("body", self._times.body)
        self._refuse(Problem(408, "too-slow", f"Expected the {what} of a request within {seconds:g} s, got a part."))

    def _refuse(self, problem: Problem) -> None:
        """Answers, unless another answer is under way, and closes."""
        is_free = self.cycle is None or self.cycle.response_complete
        if is_free if self._owed is Owed.HEADERS else not self.cycle.response_started:
            self.transport.write(_raw(problem))
        self._close()

    def _close(self) -> None:
        self._expect(Owed.NOTHING)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self.loop.call_later(CLOSE_S, self.transport.abort)


def guarded(times: DoorTimes) -> type[asyncio.Protocol]:
    """The protocol with these times, for `uvicorn.Config(http=...)`; it may be sent to worker processes."""
    return functools.partial(GuardedHttp, times=times)  # type: ignore[return-value]


def _too_large() -> Problem:
    bounds = f"at most {MAX_HEAD_BYTES} bytes in at most {MAX_HEADERS} headers"
    return Problem(431, "headers-too-large", f"Expected a request line and headers of {bounds}, got more.")


def _raw(problem: Problem) -> bytes:
    response = problem.response()
    own: Mapping[bytes, bytes] = dict(response.raw_headers) | dict(SECURITY_HEADERS) | {b"connection": b"close"}
    head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n".encode()
    return b"".join([head, *(name + b": " + value + b"\r\n" for name, value in own.items()), b"\r\n", response.body])
