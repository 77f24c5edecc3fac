"""The feedback API on a free port of this process, over HTTP as any client sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import uvicorn
from sqlalchemy import select

from recsys.records import Item, RecommendationEntry, RecommendationSet
from recsys.serving.app import create_app
from recsys.serving.config import ServingConfig
from recsys.serving.guarded_http import DoorTimes, guarded
from recsys.store import FeedbackStore
from recsys.store.api_keys import Scope, create_key
from recsys.store.tables import metadata

SECRET = "a secret of a test " * 4  # long enough for every HMAC
CONFIG = ServingConfig(jwt_secret=SECRET, jwt_audience="recsys", jwt_issuer="shop", key_cache_s=0.0)
SENT = {
    "movie_id": 12345,
    "movie_title": "Movie Title",
    "recommendation_set_id": 456,
    "predicted_score": 0.75,
    "reason": "wrong_genre",
    "feedback_text": "Not my type of movie",
    "genres": ["Action", "Sci-Fi"],
    "cast": ["Actor 1", "Actor 2"],
}
MATRIX = Item("133093", "The Matrix", ("Action", "Sci-Fi"), ("Keanu Reeves",), "Matrix", 1999, 603, "tt0133093")
PUBLISHED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Api:
    """A running service and its database."""

    client: httpx.Client
    store: FeedbackStore
    tokens: dict[frozenset[Scope], str] = field(default_factory=dict)

    def token(self, *scopes: Scope) -> str:
        """A key with exactly these scopes."""
        wanted = frozenset(scopes)
        if wanted not in self.tokens:
            now = datetime.now(UTC)
            self.tokens[wanted] = self.store.database.write(lambda c: create_key(c, "test", list(wanted), now))[1]
        return self.tokens[wanted]

    def key(self, *scopes: Scope, user: str | None = None) -> dict[str, str]:
        """Headers of a key with exactly these scopes."""
        headers = {"Authorization": f"Bearer {self.token(*scopes)}"}
        return headers if user is None else {**headers, "X-User-ID": user}

    def server(self, user: str) -> dict[str, str]:
        """Headers of the product's server, for a user."""
        return self.key(Scope.ACT_FOR_USERS, user=user)

    def dislike(self, user: str, **changed: Any) -> dict[str, Any]:
        """Records the dislike of the spec's sample, and returns the answer."""
        answer = self.client.post("/api/dislike", json={**SENT, **changed}, headers=self.server(user))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def history(self, user: str) -> list[dict[str, Any]]:
        """All dislikes that a user sees."""
        answer = self.client.get("/api/dislike-history?limit=100", headers=self.server(user))
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["dislikes"]
        return found

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in the order of its key."""
        chosen = metadata.tables[table]
        with self.store.database.reading() as connection:
            found = connection.execute(select(chosen).order_by(*chosen.primary_key)).mappings().all()
        return [dict(row) for row in found]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables but that of the keys."""
        return {name: self.rows(name) for name in metadata.tables if name != "api_keys"}

    def publish(self, *users: str | None) -> None:
        """Publishes a list of The Matrix and two more films for these users; None: for everybody else."""
        self.store.catalog.upsert_items([MATRIX, Item("b", "B", ("Drama",)), Item("c", "C", ("Comedy",))])
        entries = tuple(
            RecommendationEntry(
                rank, item_id, 1.0 - rank / 10, "popular", {"trend:7.0": 1.0 - rank / 10}, 0.9 - rank / 10
            )
            for rank, item_id in enumerate((MATRIX.item_id, "b", "c"), start=1)
        )
        sets = [RecommendationSet(user, "1", PUBLISHED_AT, PUBLISHED_AT, entries) for user in users]
        self.store.lists.replace_recommendation_sets("1", PUBLISHED_AT, sets)


def user_token(sub: object = "jwt-user", secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    """A user's own JWT; a claim that is None is left out."""
    whole = {
        "sub": sub, "aud": "recsys", "iss": "shop", "exp": datetime.now(UTC) + timedelta(minutes=5), **claims,
    }  # fmt: skip
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, secret, algorithm=algorithm)


def bearer(token: str) -> dict[str, str]:
    """Headers with a token."""
    return {"Authorization": f"Bearer {token}"}


class _Server(uvicorn.Server):
    """Says when it has started, and that it will not."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()


@contextmanager
def serving(store: FeedbackStore, config: ServingConfig = CONFIG) -> Iterator[Api]:
    """Runs the service until the block ends."""
    app = create_app(store, config)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=10,
            http=guarded(DoorTimes(config.headers_timeout_s, config.body_timeout_s)),
        )
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.settled.wait(30)
            assert server.started
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                yield Api(client, store)
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Checks that an answer is a problem in the sense of RFC 9457, and returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:recsys:problem:")
    assert {"title", "detail"} <= problem.keys()
    assert "Traceback" not in answer.text
    return problem
