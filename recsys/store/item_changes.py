"""What eligibility reads of an item, each time that it was changed. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from recsys.records import Item
from recsys.store.tables import item_changes


@dataclass(frozen=True)
class ItemChange:
    """A row of `item_changes`: what held from `recorded_at`, the clock of the machine that wrote, until the next change."""

    item_id: str
    is_hidden: bool
    available_from: datetime | None
    available_until: datetime | None
    tags: tuple[str, ...]
    recorded_at: datetime


def availability_of(item: Item | None) -> dict[str, Any]:
    """The columns of an item that a person changes to say when it may be recommended; None: of an item without any."""
    known = item or Item("", "")
    return {
        "tags": list(known.tags), "available_from": known.available_from, "available_until": known.available_until,
        "is_hidden": known.is_hidden,
    }  # fmt: skip


def record_changes(connection: Connection, changed: Sequence[Item], recorded_at: datetime) -> None:
    """Adds what holds of these items from now on."""
    rows = [{"item_id": item.item_id, "recorded_at": recorded_at, **availability_of(item)} for item in changed]
    if rows:
        connection.execute(insert(item_changes), rows)


def list_changes(connection: Connection, item_id: str) -> list[ItemChange]:
    """The changes of one item, newest first."""
    table = item_changes.c
    query = select(item_changes).where(table.item_id == item_id).order_by(table.change_id.desc())
    return [
        ItemChange(
            row.item_id, row.is_hidden, row.available_from, row.available_until, tuple(row.tags or ()), row.recorded_at
        )
        for row in connection.execute(query)
    ]


def changed_at(connection: Connection, item_ids: Iterable[str]) -> datetime | None:
    """When one of these items was changed last; None if none ever was."""
    query = select(func.max(item_changes.c.recorded_at)).where(item_changes.c.item_id.in_(sorted(set(item_ids))))
    newest: datetime | None = connection.execute(query).scalar_one()
    return newest
