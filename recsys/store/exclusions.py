"""What users want to see no more, whatever they think of it. Every function works in the caller's transaction.

An exclusion is no opinion: nothing is learned from it. It only keeps an item out of its user's lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select, update

from recsys.errors import NotFoundError
from recsys.store.catalog import insert_into, read_items, rows_with
from recsys.store.tables import user_exclusions
from recsys.store.tombstones import require_not_erased
from recsys.validation import validate_text


@dataclass(frozen=True)
class Exclusion:
    """One item that a user excluded, and when this database learned of it."""

    user_id: str
    item_id: str
    recorded_at: datetime


def exclude(connection: Connection, user_id: str, item_id: str, now: datetime) -> Exclusion:
    """Puts an item on a user's list of exclusions; done again, the first time counts.

    Raises:
        ErasedError: if the user is erased.
        NotFoundError: if the catalog has no such item.
    """
    validate_text(user_id)
    require_not_erased(connection, [user_id])
    if not read_items(connection, [item_id]):
        raise NotFoundError(f"Expected an item of the catalog to exclude, got {item_id!r}: nothing was written.")
    insert: Any = insert_into(connection, user_exclusions)
    upsert = insert.on_conflict_do_update(
        index_elements=["user_id", "item_id"],
        set_={"recorded_at": insert.excluded.recorded_at, "removed_at": None},
        where=user_exclusions.c.removed_at.is_not(None),
    )
    connection.execute(upsert, {"user_id": user_id, "item_id": item_id, "recorded_at": now})
    return _found(connection, user_id, item_id)


def include_again(connection: Connection, user_id: str, item_id: str, now: datetime) -> None:
    """Takes an exclusion back; done again, the first time counts.

    Raises:
        ErasedError: if the user is erased.
        NotFoundError: if the user never excluded this item.
    """
    require_not_erased(connection, [user_id])
    table = user_exclusions.c
    own = (table.user_id == user_id, table.item_id == item_id)
    connection.execute(update(user_exclusions).where(*own, table.removed_at.is_(None)).values(removed_at=now))
    if connection.execute(select(user_exclusions).where(*own)).one_or_none() is None:
        raise NotFoundError(f"Expected an item that this user excluded, got {item_id!r}: nothing was changed.")


def _found(connection: Connection, user_id: str, item_id: str) -> Exclusion:
    table = user_exclusions.c
    return _to_exclusion(
        connection.execute(select(user_exclusions).where(table.user_id == user_id, table.item_id == item_id)).one()
    )


def list_exclusions(connection: Connection, user_id: str) -> list[Exclusion]:
    """What a user excludes now, newest first."""
    table = user_exclusions.c
    query = select(user_exclusions).where(table.user_id == user_id, table.removed_at.is_(None))
    return [_to_exclusion(row) for row in connection.execute(query.order_by(table.recorded_at.desc(), table.item_id))]


def read_exclusions(
    connection: Connection, as_of: datetime | None, user_ids: Iterable[str] | None = None
) -> list[Exclusion]:
    """What users exclude, of all or of some, by user and item.

    Args:
        connection: of the caller's transaction.
        as_of: what was recorded up to then and not taken back by then; None: what holds now.
        user_ids: None: of all users.
    """
    table = user_exclusions.c
    query: Select[Any] = select(user_exclusions)
    if as_of is None:
        query = query.where(table.removed_at.is_(None))
    else:
        query = query.where(table.recorded_at <= as_of, or_(table.removed_at.is_(None), table.removed_at > as_of))
    if user_ids is None:
        rows = list(connection.execute(query))
    else:
        rows = rows_with(connection, query, table.user_id, sorted(set(user_ids)))
    return sorted(map(_to_exclusion, rows), key=lambda one: (one.user_id, one.item_id))


def _to_exclusion(row: Row[Any]) -> Exclusion:
    return Exclusion(row.user_id, row.item_id, row.recorded_at)
