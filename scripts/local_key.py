"""An API key for the person who runs `make up`, kept in a file that only they can read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from recsys.files.atomic import write_file
from recsys.settings import Settings
from recsys.store import FeedbackStore
from recsys.store.api_keys import Scope, create_key, find_key, split_token


def local_key_file(settings: Settings) -> Path:
    """Where the key is, and nothing else."""
    return settings.home / "api_key"


def ensure_local_key(settings: Settings) -> str:
    """The key of the file; a new one if it is missing, revoked, or of another database.

    The database must have been migrated.
    """
    path = local_key_file(settings)
    with FeedbackStore.open(settings.database_url) as store:
        token = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if _holds(store, token):
            return token
        _, token = store.database.write(lambda c: create_key(c, "make up", list(Scope), datetime.now(UTC)))
    write_file(path, token + "\n")
    return token


def _holds(store: FeedbackStore, token: str) -> bool:
    parts = split_token(token)
    if parts is None:
        return False
    with store.database.reading() as connection:
        key = find_key(connection, parts[0])
    return key is not None and key.accepts(parts[1]) and key.scopes == frozenset(Scope)
