"""Flags on dislikes that look like brigading. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, column, func, or_, select, text, update

from recsys.errors import NotFoundError
from recsys.feedback.brigading import BrigadingConfig, Burst, Opinion, find_bursts
from recsys.store.catalog import insert_into, rows_with
from recsys.store.column_types import EARLIEST, UtcDateTime
from recsys.store.queries import load_query
from recsys.store.tables import brigading_flags, training_batches, user_dislikes

RECORDED_AFTER = bindparam("recorded_after", type_=UtcDateTime)
RECORDED_THROUGH = bindparam("recorded_through", type_=UtcDateTime)


@dataclass(frozen=True)
class FlaggedBurst:
    """One burst in the audit: how many of its dislikes are held back, and how many a person has released."""

    item_id: str
    starts_at: datetime
    ends_at: datetime
    num_dislikes: int
    num_released: int
    num_users: int
    num_opinions: int
    p_value: float

    @property
    def num_held_back(self) -> int:
        """Dislikes that neither count nor train."""
        return self.num_dislikes - self.num_released

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {**asdict(self), "starts_at": self.starts_at.isoformat(), "ends_at": self.ends_at.isoformat()}


def is_held_back(dislike_id: ColumnElement[int], as_of: datetime) -> ColumnElement[bool]:
    """Whether a dislike was flagged as of a cut-off, and not released by then."""
    flags = brigading_flags.c
    held = select(flags.dislike_id).where(
        flags.ends_at <= as_of, or_(flags.released_at.is_(None), flags.released_at > as_of)
    )
    return dislike_id.in_(held)


def look_for_bursts(connection: Connection, as_of: datetime, config: BrigadingConfig) -> list[Burst]:
    """Bursts among what was recorded since the last batch, as of a cut-off; earlier ones were looked at then."""
    previous = select(func.max(training_batches.c.as_of)).where(training_batches.c.as_of < as_of)
    last: datetime | None = connection.execute(previous).scalar_one()
    after = EARLIEST if last is None else last - timedelta(hours=config.window_hours)
    query = (
        text(load_query("disputed_opinions"))
        .bindparams(RECORDED_AFTER, RECORDED_THROUGH)
        .columns(column("user_id"), column("item_id"), column("recorded_at", UtcDateTime), column("dislike_id"))
    )
    params = {"recorded_after": after, "recorded_through": as_of, "min_users": config.min_users}
    opinions = [Opinion(*row) for row in connection.execute(query, params)]
    if not opinions:
        return []
    share = text(load_query("usual_dislike_share")).bindparams(RECORDED_THROUGH)
    usual = connection.execute(share, {"recorded_through": as_of}).scalar_one()
    return find_bursts(opinions, float(usual or 0.0), config)


def flag(connection: Connection, bursts: Sequence[Burst]) -> int:
    """Flags the dislikes of bursts, and returns how many are new. What a person released stays released.

    Dislikes that were erased since are left out.
    """
    numbers = {dislike_id for burst in bursts for dislike_id in burst.dislike_ids}
    # Holds them, so that they are not erased before this is written; in one order, so that nobody waits in a circle.
    held = select(user_dislikes.c.dislike_id).order_by(user_dislikes.c.dislike_id)
    held = held.with_for_update(read=True, key_share=True)
    there = {row.dislike_id for row in rows_with(connection, held, user_dislikes.c.dislike_id, sorted(numbers))}
    rows = [
        {
            "dislike_id": dislike_id, "item_id": burst.item_id, "starts_at": burst.starts_at, "ends_at": burst.ends_at,
            "num_users": burst.num_users, "num_opinions": burst.num_opinions, "p_value": burst.p_value,
        }
        for burst in bursts
        for dislike_id in burst.dislike_ids
        if dislike_id in there
    ]  # fmt: skip
    if not rows:
        return 0
    statement: Any = insert_into(connection, brigading_flags)
    new = connection.execute(statement.on_conflict_do_nothing().returning(brigading_flags.c.dislike_id), rows)
    return len(new.all())


def list_bursts(connection: Connection) -> list[FlaggedBurst]:
    """All flagged bursts, newest first."""
    flags = brigading_flags.c
    query = (
        select(
            flags.item_id, flags.starts_at, func.max(flags.ends_at), func.count(), func.count(flags.released_at),
            func.max(flags.num_users), func.max(flags.num_opinions), func.min(flags.p_value),
        )
        .group_by(flags.item_id, flags.starts_at)
        .order_by(flags.starts_at.desc(), flags.item_id)
    )  # fmt: skip
    return [FlaggedBurst(*row) for row in connection.execute(query)]


def release(connection: Connection, item_id: str, note: str, now: datetime) -> int:
    """Lets the flagged dislikes of an item count and train from now on; returns how many they are.

    Raises:
        NotFoundError: if none of the item is held back.
    """
    flags = brigading_flags.c
    held = (flags.item_id == item_id) & flags.released_at.is_(None)
    released = connection.execute(update(brigading_flags).where(held).values(released_at=now, note=note)).rowcount
    if not released:
        raise NotFoundError(
            f"Expected an item with dislikes that are held back, got {item_id!r}: `recsys brigading list` shows them."
        )
    return released
