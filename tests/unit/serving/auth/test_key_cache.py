"""API keys are remembered for a moment, and looked up once for many requests."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.serving.auth.identity import MAX_CACHED_KEYS, KeyCache
from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key, find_key, revoke_key, split_token
from recsys.store.database import Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Counting(Database):
    """Counts what is read."""

    reads = 0
    lock = threading.Lock()

    @contextmanager
    def reading(self) -> Any:
        with self.lock:
            self.reads += 1
        with super().reading() as connection:
            yield connection


@pytest.fixture
def store(tmp_path: Path) -> Any:
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    migrate(url)
    with FeedbackStore(Counting.open(url)) as opened:
        yield opened


def test_a_revoked_key_ends_within_the_time(store: Any) -> None:
    key, _ = store.database.write(lambda c: create_key(c, "shop", [Scope.ACT_FOR_USERS], NOW))
    now = 100.0
    cache = KeyCache(store, 2.0, monotonic=lambda: now)
    first = asyncio.run(cache.get(key.key_id))
    assert first == key
    store.database.write(lambda c: revoke_key(c, key.key_id, NOW))
    now = 101.9
    remembered = asyncio.run(cache.get(key.key_id))
    assert remembered == key
    assert store.database.reads == 1
    now = 102.0
    found = asyncio.run(cache.get(key.key_id))
    assert found is not None
    assert found.revoked_at == NOW


def test_many_requests_make_one_look_up(store: Any) -> None:
    key, _ = store.database.write(lambda c: create_key(c, "shop", [Scope.ACT_FOR_USERS], NOW))
    cache = KeyCache(store, 2.0, monotonic=lambda: 0.0)

    async def at_once() -> list[Any]:
        return await asyncio.gather(*[cache.get(key.key_id) for _ in range(50)])

    assert asyncio.run(at_once()) == [key] * 50
    assert store.database.reads == 1


def test_wrong_keys_are_remembered_too_but_not_without_end(store: Any) -> None:
    cache = KeyCache(store, 1e9, monotonic=lambda: 0.0)

    async def ask(*key_ids: str) -> None:
        for key_id in key_ids:
            assert await cache.get(key_id) is None

    asyncio.run(ask("a", "a", "a"))
    assert store.database.reads == 1
    asyncio.run(ask(*map(str, range(MAX_CACHED_KEYS)), "a"))
    assert store.database.reads == MAX_CACHED_KEYS + 2


def test_a_token_is_its_key_and_a_secret_that_only_it_has(store: Any) -> None:
    made = [store.database.write(lambda c: create_key(c, "shop", [Scope.ACT_FOR_USERS], NOW)) for _ in range(20)]
    for key, token in made:
        parts = split_token(token)
        assert parts is not None
        assert parts[0] == key.key_id
        with store.database.reading() as connection:
            found = find_key(connection, key.key_id)
        assert found is not None
        assert found.accepts(parts[1])
        assert not any(found.accepts(other.split("_", 2)[2]) for _, other in made if other != token)
    assert len({token for _, token in made}) == 20


@pytest.mark.parametrize("text", ["", "recsys", "recsys_", "recsys_a", "recsys_a_", "recsys__a", "other_a_b", "a.b.c"])
def test_no_key_at_all(text: str) -> None:
    assert split_token(text) is None
