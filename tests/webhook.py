"""A real web server that receives alerts, as a chat tool would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What was received, and what is answered.

    Attributes:
        url: of the webhook.
        bodies: JSON of each request, in order.
        content_types: of each request.
        statuses: answers to the next requests; after that 200.
    """

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """A webhook on a free port of this machine."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webhook.content_types.append(self.headers["Content-Type"])
            webhook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = webhook.statuses.pop(0) if webhook.statuses else 200
            self.send_response(status)
            if status in {301, 302}:
                self.send_header("Location", webhook.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    webhook.url = f"http://127.0.0.1:{server.server_port}/services/secret-token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
