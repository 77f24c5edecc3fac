"""What Prometheus sees of the service."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.errors import RecsysError
from recsys.store import FeedbackStore

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
UNMATCHED = "unmatched"  # no path of ours: paths that strangers make up must not become labels
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = logging.getLogger(__name__)


class Metrics:
    """The counters of one service.

    Args:
        store: asked for the backlog at each scrape.
        folder: where several workers keep their counters together; None: one worker.
    """

    def __init__(self, store: FeedbackStore, folder: Path | None = None) -> None:
        self._folder = folder
        self._own = CollectorRegistry()
        self._live = CollectorRegistry()
        self._live.register(_Backlog(store))
        self.requests = Counter(
            "recsys_api_requests", "Requests answered.", ["method", "path", "status"], registry=self._own
        )
        self.seconds = Histogram(
            "recsys_api_request_seconds", "Time to answer.", ["method", "path"], buckets=BUCKETS_S, registry=self._own
        )
        self.dislikes = Counter(
            "recsys_dislikes_recorded", "New dislikes, by reason; repeats do not count.", ["reason"], registry=self._own
        )

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        counted = self._own
        if self._folder is not None:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, path=str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(self._live)


class _Backlog(Collector):
    def __init__(self, store: FeedbackStore) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            backlog = self._store.backlog.count_backlog(datetime.now(UTC))
        except RecsysError as error:  # the counters are worth most when the database is away
            log.warning("no backlog for this scrape: %s", error)
            return
        yield GaugeMetricFamily("recsys_backlog", "Negative examples that no run has claimed or used.", value=backlog)


class Observed:
    """ASGI middleware: counts and times every request, and marks what is about a user as not to be cached."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        is_api = scope["path"].startswith("/api/")

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if is_api:
                    headers = message["headers"]
                    if not any(name == b"cache-control" for name, _ in headers):
                        message["headers"] = [*headers, (b"cache-control", b"no-store")]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, observed)
        finally:
            path = getattr(scope.get("route"), "path", UNMATCHED)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, path, str(status)).inc()
            self._metrics.seconds.labels(method, path).observe(time.perf_counter() - started)
