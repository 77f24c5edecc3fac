"""A small HTTP server that answers as Airflow's endpoints do, and can be told to fail; the real one is in tests/e2e."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

URI = "recsys://feedback/backlog-ready"


@dataclass
class Airflow:
    """What the server was asked, and how it shall answer."""

    port: int = 0
    assets: list[dict[str, Any]] = field(
        default_factory=lambda: [{"id": 3, "uri": "recsys://else"}, {"id": 7, "uri": f"{URI}-2"}, {"id": 8, "uri": URI}]
    )
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fails_with: dict[str, int] = field(default_factory=dict)  # path -> status
    says: str | None = None  # instead of every answer
    loses_answers: bool = False  # of the events: it takes them and breaks the connection
    happened: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, what: Any) -> None:
        with self.happened:
            assert self.happened.wait_for(what, timeout=20), (self.asked, self.events)


class Handler(BaseHTTPRequestHandler):
    """The endpoints."""

    protocol_version = "HTTP/1.1"
    airflow: Airflow

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self.answer(None)

    def answer(self, body: Any) -> None:
        parts = urlsplit(self.path)
        with self.airflow.happened:
            self.airflow.asked.append(parts.path)
            status, told = self.told(parts.path, parse_qs(parts.query), body)
            self.airflow.happened.notify_all()
        if status is None:
            self.close_connection = True
            return
        data = (self.airflow.says or json.dumps(told)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def told(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int | None, Any]:
        if path in self.airflow.fails_with:
            return self.airflow.fails_with[path], {"detail": "no"}
        if path == "/auth/token":
            is_right = body == {"username": "admin", "password": "secret"}
            return (201, {"access_token": "the-token"}) if is_right else (401, {"detail": "Invalid credentials"})
        if self.headers["Authorization"] != "Bearer the-token":
            return 401, {"detail": "Not authenticated"}
        if path == "/api/v2/assets":
            found = [asset for asset in self.airflow.assets if query["uri_pattern"][0] in asset["uri"]]
            return 200, {"assets": found, "total_entries": len(found)}
        self.airflow.events.append(body)
        return (None if self.airflow.loses_answers else 200), {"id": len(self.airflow.events)}

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(airflow: Airflow) -> Iterator[Airflow]:
    """Runs it on a free port, or on its own."""
    handler = type("OwnHandler", (Handler,), {"airflow": airflow})
    server = ThreadingHTTPServer(("127.0.0.1", airflow.port), handler)
    server.daemon_threads = True
    airflow.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield airflow
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
