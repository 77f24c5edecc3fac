"""What a stranger may send to a running `recsys serve`, in bytes and in time, before anybody knows who it is."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.settings import Settings
from recsys.store import migrate
from tests.integration.command_line import SECONDS, finish, start
from tests.integration.serving.live_api import SENT, bearer, is_problem

QUICK = {"RECSYS_HEADERS_TIMEOUT_S": "0.5", "RECSYS_BODY_TIMEOUT_S": "0.5"}
HEAD = b"POST /api/dislike HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
ENOUGH = 2_000  # pieces of a trickle, 20 s at least: by then whoever bounds the time has closed
MB = 2**20


class Served:
    """A running service."""

    def __init__(self, process: object, port: int, token: str) -> None:
        self.process, self.port, self.token = psutil.Process(process.pid), port, token  # type: ignore[attr-defined]
        self.address = ("127.0.0.1", port)

    def get(self, path: str, **headers: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            return client.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    def resident(self) -> int:
        return int(self.process.memory_info().rss)

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(self.address, timeout=SECONDS) as connection:
            yield connection


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[Served]:
    settings = Settings.under(folder / "home")
    migrate(settings.database_url)
    runner = CliRunner(env=settings.as_environment())
    made = runner.invoke(app, ["api-key", "create", "--name", "shop", "--scope", "act-for-users"])
    process = start(settings, "serve", "--port", "0", **environment)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        running = Served(process, port, made.stdout.strip())
        assert running.get("/readyz").status_code == 200
        yield running
    finally:
        process.terminate()
        ended = finish(process)
    assert (ended.code, "Traceback" in ended.err) == (0, False), ended.err


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = bytearray()
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionError:
        pass  # closed with what it had not read
    return bytes(found)


def trickled(connection: socket.socket, piece: bytes) -> bytes:
    """Sends a piece at a time until the other side says something or closes; what it said."""
    for _ in range(ENOUGH):
        if select.select([connection], [], [], 0.01)[0]:
            return received(connection)
        try:
            connection.sendall(piece)
        except ConnectionError:
            return received(connection)
    pytest.fail(f"Expected the service to close the connection, but it took {ENOUGH} pieces {piece!r}.")


@pytest.mark.parametrize("first", [HEAD, HEAD + b"X-A: b", b"POST /api"])
def test_headers_that_do_not_end_are_given_up(tmp_path: Path, first: bytes) -> None:
    with served(tmp_path, **QUICK) as service:
        with service.connected() as waiting, service.connected() as trickling:
            for connection in (waiting, trickling):
                connection.sendall(first)
            answers = [trickled(trickling, b"a"), received(waiting)]
        for answer in answers:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"content-security-policy" in head.lower()
            assert json.loads(body)["type"] == "urn:recsys:problem:too-slow"


def test_a_body_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, **QUICK) as service:
        known = f"Authorization: Bearer {service.token}\r\nX-User-ID: u\r\nContent-Length: 100000\r\n\r\n".encode()
        for stranger in (b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n9\r\n"):
            with service.connected() as connection:
                connection.sendall(HEAD + stranger)
                assert received(connection).startswith(b"HTTP/1.1 401 ")
        with service.connected() as connection:
            connection.sendall(HEAD + known)
            assert trickled(connection, b" ").startswith(b"HTTP/1.1 408 ")
        answer = service.get("/api/dislike-history", Authorization=f"Bearer {service.token}", **{"X-User-ID": "u"})
        assert answer.json()["dislikes"] == []


def test_a_connection_without_a_request_is_closed_without_a_word(tmp_path: Path) -> None:
    with served(tmp_path, **QUICK) as service:
        with service.connected() as silent:
            assert received(silent) == b""
        with service.connected() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
            trickled(connection, b"\r\n")  # blank lines before a request are allowed, but not for ever


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: here\r\n" + b"X-Many: 1\r\n" * 101 + b"\r\n",
        b"GET /healthz?" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    ],
)
def test_headers_beyond_the_bounds_are_refused(tmp_path: Path, sent: bytes) -> None:
    with served(tmp_path) as service:
        with service.connected() as connection:
            connection.sendall(sent)
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 431 "), answer
        assert b"headers-too-large" in answer
        assert service.get("/healthz", **{"X-Long": "x" * 30_000}).status_code == 200


def flood(service: Served, first: bytes, piece: bytes, num_bytes: int, peaks: list[int]) -> None:
    """Sends pieces until the service closes or all are sent."""
    with service.connected() as connection:
        try:
            connection.sendall(first)
            for _ in range(num_bytes // len(piece)):
                connection.sendall(piece)
            peaks.append(service.resident())
            received(connection)
        except ConnectionError:
            peaks.append(service.resident())


def test_headers_of_50_mb_take_no_memory(tmp_path: Path) -> None:
    start_line = b"GET /healthz HTTP/1.1\r\nHost: here\r\n"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    shapes = [
        (start_line + b"X-Long: ", b"x" * MB), (start_line, b"X-Many: " + b"x" * 1_000 + b"\r\n"),
        (b"GET /", b"x" * MB), (chunked, b"X-Trailer: " + b"x" * 1_000 + b"\r\n"),
    ]  # fmt: skip
    with served(tmp_path) as service:
        before, peaks = service.resident(), list[int]()
        threads = [threading.Thread(target=flood, args=(service, *shape, 50 * MB, peaks)) for shape in shapes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert len(peaks) == len(shapes)
        assert max(peaks) - before < 25 * MB
        assert service.get("/healthz").status_code == 200


def test_wrong_keys_are_limited_by_address_and_lock_out_nobody_else(tmp_path: Path) -> None:
    with served(tmp_path, RECSYS_RATE_LIMIT_FAILURES="5/minute") as service:
        known = {**bearer(service.token), "X-User-ID": "u"}
        assert service.get("/api/dislike-history", **known).status_code == 200
        tried = [service.get("/api/dislike-history", **bearer(f"recsys_{n:016x}_{'x' * 43}")) for n in range(20)]
        assert [answer.status_code for answer in tried] == [401] * 5 + [429] * 15
        assert 1 <= int(tried[-1].headers["retry-after"]) <= 60
        assert is_problem(tried[-1], 429)["type"].endswith("too-many-requests")
        secret = service.token[:-1] + ("a" if service.token[-1] != "a" else "b")
        assert service.get("/api/dislike-history", **bearer(secret)).status_code == 429
        assert service.get("/api/dislike-history").status_code == 429
        assert service.get("/api/dislike-history", **known).status_code == 200
        # Nobody is believed who says to come from elsewhere.
        elsewhere = {**bearer("wrong"), "X-Forwarded-For": "203.0.113.7"}
        assert service.get("/api/dislike-history", **elsewhere).status_code == 429


def test_behind_a_trusted_proxy_each_client_counts_for_itself(tmp_path: Path) -> None:
    with served(tmp_path, RECSYS_RATE_LIMIT_FAILURES="1/minute", RECSYS_TRUSTED_PROXIES="127.0.0.0/8") as service:

        def status(address: str) -> int:
            given = {**bearer("wrong"), "X-Forwarded-For": address}
            return service.get("/api/dislike-history", **given).status_code

        assert [status("203.0.113.7"), status("203.0.113.7"), status("203.0.113.8")] == [401, 429, 401]
        assert status("198.51.100.1, 203.0.113.7") == 429  # what the client itself wrote before the proxy's entry
        assert [status("2001:db8:0:1::1"), status("2001:db8:0:1::2"), status("2001:db8:0:2::1")] == [401, 429, 401]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECSYS_TRUSTED_PROXIES", "the proxy"), ("RECSYS_HEADERS_TIMEOUT_S", "0"), ("RECSYS_BODY_TIMEOUT_S", "nan"),
        ("RECSYS_RATE_LIMIT_FAILURES", "many"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_shown_before_it_listens(tmp_path: Path, name: str, value: str) -> None:
    settings = Settings.under(tmp_path / "home")
    migrate(settings.database_url)
    runner = CliRunner(env={**settings.as_environment(), name: value, "COLUMNS": "150", "TERM": "dumb"})
    ended = runner.invoke(app, ["serve", "--port", "0"])
    assert (ended.exit_code, name in ended.stderr) == (2, True), ended.stderr


def test_a_dislike_still_comes_through_two_connections_and_pipelined(tmp_path: Path) -> None:
    body = json.dumps(SENT).encode()
    with served(tmp_path) as service:
        known = f"Authorization: Bearer {service.token}\r\nX-User-ID: u\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with service.connected() as connection:
            connection.sendall(
                (HEAD + known + body) * 3 + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            answer = received(connection)
        assert [answer.count(b"HTTP/1.1 201 "), answer.count(b"HTTP/1.1 200 ")] == [3, 1], answer
