"""API keys: made once, kept as a hash, revoked for good. Every function works in the caller's transaction."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from recsys.errors import InputError, NotFoundError
from recsys.store.tables import api_keys
from recsys.validation import validate_text

TOKEN_PREFIX = "recsys"  # so that a leaked key is found by secret scanners, and distinguished from a JWT
SECRET_BYTES = 32
MAX_NAME_LENGTH = 100


class Scope(StrEnum):
    """What a key may do."""

    ACT_FOR_USERS = "act-for-users"  # speak for the user that X-User-ID names: the product's own server
    METRICS_READ = "metrics:read"  # see numbers over all users
    USERS_ERASE = "users:erase"  # erase any user
    CATALOG_WRITE = "catalog:write"  # say what may be recommended


@dataclass(frozen=True)
class ApiKey:
    """One key, without its secret. Revoked for good from `revoked_at` on."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None
    secret_hash: str = field(default="", repr=False)

    def accepts(self, secret: str) -> bool:
        """Whether this is the key's secret and the key still holds. Takes as long for any secret."""
        return hmac.compare_digest(self.secret_hash, hash_secret(secret)) and self.revoked_at is None


def hash_secret(secret: str) -> str:
    """SHA-256 as hexadecimal text; the secret has 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def split_token(token: str) -> tuple[str, str] | None:
    """`recsys_<key id>_<secret>` as (key id, secret); None for anything else."""
    parts = token.split("_", 2)
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == TOKEN_PREFIX and all(parts) else None


def create_key(connection: Connection, name: str, scopes: Sequence[Scope], now: datetime) -> tuple[ApiKey, str]:
    """Makes a key. Returns it with its token, which is kept nowhere.

    Raises:
        InputError: without a name or a scope.
    """
    validate_text(name)
    if not 1 <= len(name.strip()) <= MAX_NAME_LENGTH:
        raise InputError(f"Expected a name of 1 to {MAX_NAME_LENGTH} characters for the key, got {name!r}.")
    if not scopes:
        raise InputError(f"Expected at least one scope for the key, got none: choose from {', '.join(Scope)}.")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey(secrets.token_hex(8), name.strip(), frozenset(scopes), now, secret_hash=hash_secret(secret))
    row = {
        "key_id": key.key_id, "name": key.name, "secret_hash": key.secret_hash, "scopes": sorted(key.scopes),
        "created_at": now,
    }  # fmt: skip
    connection.execute(insert(api_keys), [row])
    return key, f"{TOKEN_PREFIX}_{key.key_id}_{secret}"


def find_key(connection: Connection, key_id: str) -> ApiKey | None:
    """The key with this id, revoked or not."""
    row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()
    return None if row is None else _to_key(row)


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first."""
    query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
    return [_to_key(row) for row in connection.execute(query)]


def revoke_key(connection: Connection, key_id: str, now: datetime) -> ApiKey:
    """Revokes a key for good; the first time counts.

    Raises:
        NotFoundError: if there is no such key.
    """
    table = api_keys.c
    chosen = update(api_keys).where(table.key_id == key_id, table.revoked_at.is_(None))
    connection.execute(chosen.values(revoked_at=now))
    key = find_key(connection, key_id)
    if key is None:
        raise NotFoundError(
            f"Expected the id of an API key, got {key_id!r}, which does not exist: `recsys api-key list` shows the ids."
        )
    return key


def _to_key(row: Row[Any]) -> ApiKey:
    known = {str(scope) for scope in Scope}  # a scope of a newer version grants nothing here
    return ApiKey(
        key_id=row.key_id, name=row.name, scopes=frozenset(Scope(s) for s in row.scopes if s in known),
        created_at=row.created_at, revoked_at=row.revoked_at, secret_hash=row.secret_hash,
    )  # fmt: skip
