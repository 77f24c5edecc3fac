"""The feedback API as a process on PostgreSQL, with a catalog and lists as in production."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
from sqlalchemy import make_url, text

from recsys.records import RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key

ROOT = Path(__file__).resolve().parents[2]
STREAM = ROOT / "data" / "movietweetings"
NUM_LISTS = 5_000
LIST_LENGTH = 20
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Filled:
    """A database that is ready to be used.

    Attributes:
        url: of the database.
        token: API key that may speak for users.
        lists: (user_id, recommendation_set_id, item_ids) of the users with a list.
        titles: of the catalog.
        item_ids: of the catalog.
    """

    url: str
    token: str
    lists: list[tuple[str, int, list[str]]]
    titles: list[str]
    item_ids: list[str]


@contextmanager
def new_database(admin_url: str) -> Iterator[str]:
    """An empty database on the server; dropped afterwards."""
    name = f"recsys_load_{uuid.uuid4().hex[:12]}"
    admin = make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(admin).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def fill(url: str) -> Filled:
    """Imports the shipped stream and publishes lists of its popular films, in a mixed order for every user."""
    migrate(url)
    command = [sys.executable, "-m", "recsys", "import", "movietweetings", str(STREAM)]
    subprocess.run(command, env=os.environ | {"RECSYS_DATABASE_URL": url}, check=True, stdout=subprocess.DEVNULL)
    with FeedbackStore.open(url) as store:
        now = datetime.now(UTC)
        with store.database.reading() as connection:
            liked = "SELECT item_id FROM interactions WHERE is_like GROUP BY item_id ORDER BY count(*) DESC LIMIT 300"
            users = f"SELECT user_id FROM interactions GROUP BY user_id ORDER BY count(*) DESC LIMIT {NUM_LISTS}"
            popular, user_ids = list(connection.scalars(text(liked))), list(connection.scalars(text(users)))
        random_ = random.Random(0)
        sets = [
            RecommendationSet(user_id, "1", now, now, _entries(random_.sample(popular, LIST_LENGTH)))
            for user_id in user_ids
        ]
        store.lists.replace_recommendation_sets("1", now, sets)
        with store.database.reading() as connection:
            query = "SELECT user_id, recommendation_set_id FROM recommendation_sets"
            numbers = {row.user_id: row.recommendation_set_id for row in connection.execute(text(query))}
        catalog = store.catalog.all_items()
        _, token = store.database.write(lambda c: create_key(c, "load", [Scope.ACT_FOR_USERS], now))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # what the server does by itself within minutes
        connection.execute("CHECKPOINT")  # the import's pages reach the disk now, not in the middle of a measurement
    os.sync()
    lists = [(str(one.user_id), numbers[one.user_id], [entry.item_id for entry in one.entries]) for one in sets]
    return Filled(url, token, lists, sorted({item.title for item in catalog.values()}), sorted(catalog))


def _entries(item_ids: list[str]) -> tuple[RecommendationEntry, ...]:
    """Entries as the model makes them: a score that is the sum of a few contributions."""
    entries = []
    for rank, item_id in enumerate(item_ids, start=1):
        terms = {"trend:7": 2.0 / rank, "trend:30": 1.0 / rank, "like:*": 0.5 / rank, "genre:*": 0.25 / rank}
        score = sum(terms.values())
        entries.append(RecommendationEntry(rank, item_id, score, "popular now", terms, score / 4))
    return tuple(entries)


@dataclass
class Server:
    """A running `recsys serve`."""

    process: subprocess.Popen[str]
    port: int

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)

    def memory_mib(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


@contextmanager
def serving(filled: Filled, home: Path) -> Iterator[Server]:
    """Runs the API as its own process: one worker, the limits per user as they are, no limit for the one key."""
    own = {"RECSYS_HOME": str(home), "RECSYS_DATABASE_URL": filled.url, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "recsys", "serve", "--port", "0", "--key-limit", "none"]
    process = subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        if "http://" not in first:
            raise RuntimeError(f"Expected `recsys serve` to say where it is, got {first!r}: see above.")
        port = int(first.rsplit(":", 1)[1])
        _wait_until_it_listens(port, process)
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _wait_until_it_listens(port: int, process: subprocess.Popen[str]) -> None:
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    opener = build_opener(ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"Expected the API to be ready within {START_TIMEOUT_S:.0f} s, but it is not: see above.")
