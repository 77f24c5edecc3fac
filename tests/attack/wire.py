"""One HTTP request as bytes, so that nothing corrects it on the way, and its answer."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import dataclass
from typing import Any

TIMEOUT_S, SHORT_S = 60.0, 5.0
MAX_ANSWER = 5_000_000


@dataclass(frozen=True)
class Reply:
    """An answer; `status` 0: the connection was closed without one."""

    status: int
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Request:
    """What is sent.

    Attributes:
        kind: of attack, for the counts.
        method: the first word.
        path: with its query.
        headers: as bytes, several of one name are sent several times.
        body: after the headers.
        must_fail: an answer below 400 is a wrong key accepted.
        mark: stands in the dislike that this records; one row of it must be there exactly if it was acknowledged.
        user: who may see the answer.
        is_cut: the connection is closed before all of it is sent.
        has_length: whether it says how long its body is.
        is_slow: the service may wait for what never comes: nobody waits for its answer long.
    """

    kind: str
    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    must_fail: bool = False
    mark: str = ""
    user: str = ""
    is_cut: bool = False
    has_length: bool = True
    is_slow: bool = False

    def as_bytes(self) -> bytes:
        """All of it."""
        lines = [self.method + b" " + self.path + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
        lines += [name + b": " + value for name, value in self.headers]
        if self.has_length and (self.body or self.method in {b"POST", b"PUT"}):
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"", self.body])


def send(port: int, request: Request, address: str = "127.0.0.1") -> Reply:
    """Sends a request from one of this machine's own addresses and reads the answer to its end."""
    raw = request.as_bytes()
    if request.is_cut:
        raw = raw[: max(1, len(raw) - 20)]
    patience = SHORT_S if request.is_slow else TIMEOUT_S
    with socket.create_connection(("127.0.0.1", port), patience, source_address=(address, 0)) as connection:
        try:
            connection.sendall(raw)
            if request.is_cut:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before all of it was sent; an answer may be there
        return _read(connection)


def _read(connection: socket.socket) -> Reply:
    parts = b""
    try:
        while len(parts) < MAX_ANSWER and (part := connection.recv(65_536)):
            parts += part
    except (ConnectionError, TimeoutError):
        pass  # closed with unread bytes, or nothing more comes: what was received counts
    while parts.startswith(b"HTTP/1.1 1"):  # 100 Continue stands before the answer
        parts = parts.partition(b"\r\n\r\n")[2]
    head, _, body = parts.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    is_answer = words[0].startswith(b"HTTP/") and len(words) > 1 and words[1].isdigit()
    return Reply(int(words[1]) if is_answer else 0, body)


def some_address(rng: random.Random) -> str:
    """One of many addresses of this machine: a limit by address must not hide what else would be answered."""
    return f"127.{rng.randrange(1, 250)}.{rng.randrange(250)}.{rng.randrange(1, 250)}"
