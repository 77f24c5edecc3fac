"""The API and PostgreSQL are killed under load: what was acknowledged is there, once, and a client that retries with the
same idempotency key brings everything home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key
from tests.integration.serving.own_postgres import OwnPostgres, free_port, own_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

NUM_CLIENTS = 12
NUM_EVENTS = 40  # of each client
PATIENCE_S = 60.0


class ApiProcess:
    """`recsys serve`, on one port through all its lives."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._command = [sys.executable, "-m", "recsys", "serve", "--port", str(port), "--user-limit", "none"]
        self._environment = os.environ | {"RECSYS_HOME": str(home), "RECSYS_DATABASE_URL": database_url}
        self._log = home / "api.log"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait_until_ready(self) -> None:
        retry(lambda: httpx.get(f"{self.url}/readyz", trust_env=False).raise_for_status(), self._log)


def retry(attempt: Callable[[], object], log: Path | None = None) -> None:
    """Calls it until it succeeds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            attempt()
            return
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                pytest.fail(
                    f"Expected success within {PATIENCE_S:.0f} s, got {error!r}. {log.read_text() if log else ''}"
                )
        time.sleep(0.05)  # as a client does between two attempts


class Clients:
    """Clients that send their dislikes one after the other, each until it is acknowledged."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._counted = threading.Condition()
        self.told: dict[tuple[str, str], int] = {}  # (user, key) -> the number that was acknowledged
        self.num_failures = 0
        self.unexpected: list[str] = []

    def run(self) -> None:
        """Sends everything."""
        with ThreadPoolExecutor(NUM_CLIENTS) as pool:
            list(pool.map(self._client, range(NUM_CLIENTS)))

    def _client(self, number: int) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=20) as client:
            for event in range(NUM_EVENTS):
                retry(lambda event=event: self._send(client, f"user-{number}", f"event-{event}", event))

    def _send(self, client: httpx.Client, user_id: str, key: str, event: int) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "X-User-ID": user_id, "Idempotency-Key": key}
        try:
            answer = client.post("/api/dislike", json={"movie_id": 1 + event, "reason": "unspecified"}, headers=headers)
            if answer.status_code != 503:
                answer.raise_for_status()
                self._count(user_id, key, answer.json()["dislike_id"])
                return
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            with self._counted:
                self.num_failures += 1
                if error.response.status_code != 503:
                    self.unexpected.append(error.response.text)
            raise
        except httpx.HTTPError:
            with self._counted:
                self.num_failures += 1
            raise

    def _count(self, user_id: str, key: str, dislike_id: int) -> None:
        with self._counted:
            self.told[user_id, key] = dislike_id
            self._counted.notify_all()

    def wait_for(self, num_acknowledged: int) -> None:
        with self._counted:
            assert self._counted.wait_for(lambda: len(self.told) >= num_acknowledged, PATIENCE_S), len(self.told)


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    # Not below pytest's folders: those are closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="recsys-kill-") as folder, own_postgres(Path(folder)) as server:
        yield server


@pytest.fixture
def token(postgres: OwnPostgres) -> str:
    migrate(postgres.url)
    with FeedbackStore.open(postgres.url) as store:
        return store.database.write(lambda c: create_key(c, "shop", [Scope.ACT_FOR_USERS], datetime.now(UTC)))[1]


@pytest.fixture
def api(postgres: OwnPostgres, token: str, tmp_path: Path) -> Iterator[ApiProcess]:
    process = ApiProcess(postgres.url, tmp_path)
    process.start()
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.kill()


def stored(url: str) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    with FeedbackStore.open(url) as store, store.database.reading() as connection:
        for row in connection.execute(text("SELECT user_id, idempotency_key, dislike_id FROM user_dislikes")):
            found.setdefault((row.user_id, row.idempotency_key), []).append(row.dislike_id)
        examples = connection.execute(text("SELECT dislike_id FROM negative_training_examples")).scalars().all()
    assert sorted(examples) == sorted(number for numbers in found.values() for number in numbers)
    return found


def assert_kept(url: str, told: dict[tuple[str, str], int]) -> None:
    """What was acknowledged is there once, with the number that was answered."""
    kept = stored(url)
    assert {key: kept.get(key) for key in told} == {key: [number] for key, number in told.items()}


def test_every_acknowledged_dislike_survives_the_death_of_the_api_and_of_postgresql(
    postgres: OwnPostgres, api: ApiProcess, token: str
) -> None:
    total = NUM_CLIENTS * NUM_EVENTS
    clients = Clients(api.url, token)
    sending = threading.Thread(target=clients.run)
    sending.start()

    clients.wait_for(total // 4)
    api.kill()
    assert_kept(postgres.url, dict(clients.told))
    api.start()

    clients.wait_for(total // 2)
    postgres.kill()
    told = dict(clients.told)
    postgres.start()
    assert_kept(postgres.url, told)

    clients.wait_for(3 * total // 4)
    postgres.kill()
    api.kill()
    told = dict(clients.told)
    postgres.start()
    assert_kept(postgres.url, told)
    api.start()

    sending.join(2 * PATIENCE_S)
    assert not sending.is_alive()
    assert clients.unexpected == []  # while PostgreSQL was away: 503, and nothing else
    assert clients.num_failures >= 3
    assert len(clients.told) == total
    assert stored(postgres.url) == {key: [number] for key, number in clients.told.items()}
