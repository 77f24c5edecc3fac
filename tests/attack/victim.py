"""What is attacked: `recsys serve` as a person starts it, on a database with victims in it."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from recsys.records import Dislike, DislikeReason
from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key
from recsys.store.tables import user_dislikes
from scripts import fuzz_api

BACKENDS = ("sqlite", "postgresql")
NUM_VICTIMS = 5
SECRET = "secret-of"
USER_KEY = "RECSYS_USER_KEY_FILE"


@dataclass(frozen=True)
class Victim:
    """A running service.

    Attributes:
        url: of its database.
        port: where it listens.
        token: a key that may do everything.
        weak: a key that may only read metrics.
        victims: user -> a dislike of theirs; each has a text that begins with `SECRET`.
        log: what the service wrote.
    """

    url: str
    port: int
    token: str
    weak: str
    victims: dict[str, int]
    log: Path

    def marks(self) -> dict[str, int]:
        """Text of a dislike -> how many rows have it."""
        text = user_dislikes.c.feedback_text
        with FeedbackStore.open(self.url) as store, store.database.reading() as connection:
            rows = connection.execute(select(text, func.count()).where(text.is_not(None)).group_by(text))
            return {str(mark): int(number) for mark, number in rows}

    def dislike_ids(self) -> set[int]:
        """Numbers of all dislikes, taken back or not."""
        with FeedbackStore.open(self.url) as store, store.database.reading() as connection:
            return set(connection.scalars(select(user_dislikes.c.dislike_id)))

    def log_says(self) -> list[str]:
        """Lines of the log that show that something went wrong in a way that nobody had in mind."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [
            line for line in lines if re.search(r"Traceback|unexpected way|: unexpected|refused by the database", line)
        ]


@contextmanager
def database(backend: str, folder: Path) -> Iterator[str]:
    """A migrated database of its own."""
    if backend == "sqlite":
        url = f"sqlite:///{folder / 'feedback.db'}"
        migrate(url)
        yield url
        return
    server = os.environ.get(fuzz_api.SERVER_VARIABLE)
    if not server:
        sys.exit(f"Expected a PostgreSQL server in {fuzz_api.SERVER_VARIABLE}: use `make attack`.")
    with fuzz_api.database(server) as url, _user_key(folder):
        yield url


@contextmanager
def _user_key(folder: Path) -> Iterator[None]:
    """The key that names erased users of a server's database is a file of its own, for this database alone."""
    before = os.environ.get(USER_KEY)
    os.environ[USER_KEY] = str(folder / "user.key")
    try:
        yield
    finally:
        os.environ.pop(USER_KEY)
        os.environ.update({} if before is None else {USER_KEY: before})


@contextmanager
def attacked(url: str, folder: Path) -> Iterator[Victim]:
    """The service, with victims who said something that nobody else may see."""
    token = fuzz_api.prepare(url)
    now = datetime.now(UTC)
    users = [f"victim-{uuid.uuid4().hex}" for _ in range(NUM_VICTIMS)]
    with FeedbackStore.open(url) as store:
        weak = store.database.write(lambda c: create_key(c, "weak", [Scope.METRICS_READ], now))[1]
        dislikes = [
            Dislike(
                user, now, now, item_id="film-1", reason=DislikeReason.WRONG_GENRE, feedback_text=f"{SECRET}-{user}"
            )
            for user in users
        ]
        stored = store.feedback.record_dislikes(dislikes)
    victims = {user: one.dislike_id for user, one in zip(users, stored, strict=True)}
    with fuzz_api.service(url, folder) as address:
        yield Victim(url, int(address.rsplit(":", 1)[1]), token, weak, victims, folder / "serve.log")
