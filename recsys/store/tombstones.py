"""Who is erased: tombstones, which everything that writes about users looks at. In the caller's transaction.

Erasure is a state. It begins with `bury` and lasts until somebody brings the user back (`lift`). In between nothing that
names the user is written: what began before, a list that was being computed or a dislike on its way, finds the tombstone in
its own transaction and is refused or left out.

SQLite lets one transaction write at a time. On PostgreSQL a transaction that writes about users shares a lock of theirs
until it ends, and an erasure has it alone: it waits for those that look no more, and those that come later see it. Users
share 256 locks, so that a long import does not need as many as it has users.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, ScalarSelect, delete, exists, select, text

from recsys.errors import ErasedError, TerminalError
from recsys.store.catalog import insert_into, rows_with
from recsys.store.tables import tombstones, user_keys
from recsys.store.user_key import KEY_OPTION, KeyFile, UserKey, plain_hash

LOCKS_OF_USERS = 7_216_003  # any number, the same in every process


def lock_users(connection: Connection, user_ids: Iterable[str], *, alone: bool = False) -> None:
    """Keeps users from being erased until the transaction ends; `alone`: keeps everybody else from writing about them.

    Before any row that an erasure deletes is locked: whoever does it later may wait for each other for ever.
    """
    if connection.dialect.name != "postgresql":
        return
    buckets = sorted({int(plain_hash(user_id)[:2], 16) for user_id in user_ids})
    function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    # In the order of the numbers, so that nobody waits for somebody who waits for them.
    query = text(f"SELECT {function}(:users, bucket) FROM unnest(CAST(:buckets AS integer[])) AS bucket")
    connection.execute(query, {"users": LOCKS_OF_USERS, "buckets": buckets})


def erased_among(connection: Connection, user_ids: Iterable[str], *, holds: bool = True) -> frozenset[str]:
    """Those of some users who are erased.

    Args:
        connection: in a transaction.
        user_ids: of any users.
        holds: in a transaction that writes: the answer is true until it ends. Not for one that only reads.

    Raises:
        TerminalError: if somebody is erased and the key is missing or another one.
    """
    asked = set(user_ids)
    if holds and asked:
        lock_users(connection, asked)
    key = _key(
        connection, select(user_keys.c.check_value).where(exists(select(tombstones.c.user_hash))).scalar_subquery()
    )
    if key is None or not asked:
        return frozenset()
    user_of = {key.hash_of(user_id): user_id for user_id in asked}
    found = rows_with(connection, select(tombstones.c.user_hash), tombstones.c.user_hash, user_of)
    return frozenset(user_of[row.user_hash] for row in found)


def require_not_erased(connection: Connection, user_ids: Iterable[str]) -> None:
    """Checks, in a transaction that writes, that nobody of some users is erased, until it ends.

    Raises:
        ErasedError: naming who is.
    """
    if erased := erased_among(connection, user_ids):
        raise ErasedError.of(erased)


def erased_hashes(connection: Connection) -> frozenset[str]:
    """Of all users who are erased now."""
    return frozenset(connection.scalars(select(tombstones.c.user_hash)))


def key_of(connection: Connection) -> UserKey | None:
    """The key that hashes of this database were made with; None while nobody was named by one.

    Raises:
        TerminalError: if it is missing or another one.
    """
    return _key(connection, select(user_keys.c.check_value).scalar_subquery())


def _key(connection: Connection, wanted: ScalarSelect[str]) -> UserKey | None:
    check_value: str | None = connection.execute(select(wanted)).scalar_one()
    if check_value is None:
        return None
    file = _file(connection)
    key = file.read()
    if not hmac.compare_digest(key.check_value, check_value):
        raise TerminalError(
            f"Expected the key that this database names erased users with at {file.path}, got another one: bring the right "
            "file back from where the database came from, or set RECSYS_USER_KEY_FILE."
        )
    return key


def make_key(connection: Connection) -> UserKey:
    """The same in a transaction that writes: the first time, the key is made, and from then on the database wants it.

    Raises:
        TerminalError: as `key_of`, or if it cannot be made.
    """
    if (known := key_of(connection)) is not None:
        return known
    insert = insert_into(connection, user_keys)
    row = {"number": 1, "check_value": _file(connection).make().check_value}
    connection.execute(insert.on_conflict_do_nothing(), row)
    key = key_of(connection)
    assert key is not None
    return key


def _file(connection: Connection) -> KeyFile:
    file: KeyFile = connection.get_execution_options()[KEY_OPTION]
    return file


def bury(connection: Connection, user_hash: str, erasure_id: int, erased_at: datetime) -> None:
    """From this transaction's end on the user is erased. Who is erased already stays so, since the first time."""
    insert = insert_into(connection, tombstones)
    row = {"user_hash": user_hash, "erasure_id": erasure_id, "erased_at": erased_at}
    connection.execute(insert.on_conflict_do_nothing(), row)


def lift(connection: Connection, user_hash: str) -> bool:
    """From this transaction's end on the user is as any new one; False if they were not erased."""
    return bool(connection.execute(delete(tombstones).where(tombstones.c.user_hash == user_hash)).rowcount)
