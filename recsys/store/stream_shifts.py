"""By how many days imports moved their streams in time. Every function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from recsys.errors import ConflictError
from recsys.store.catalog import insert_into
from recsys.store.tables import interactions, stream_shifts, user_dislikes


@dataclass(frozen=True)
class StreamShift:
    """One imported file that was moved; kept, so that the same file again is moved alike.

    Attributes:
        source: the format, such as movietweetings.
        file_name: name of the file or folder, without the path to it.
        shift_days: added to all times; 0 where another file of the same source is moved and this one is not.
        created_at: when it was first imported.
    """

    source: str
    file_name: str
    shift_days: int
    created_at: datetime


def has_feedback(connection: Connection) -> bool:
    """Whether any interaction or dislike is stored."""
    tables = (interactions.c.interaction_id, user_dislikes.c.dislike_id)
    return any(connection.execute(select(column).limit(1)).first() is not None for column in tables)


def read_all(connection: Connection) -> list[StreamShift]:
    """All of them, oldest first."""
    table = stream_shifts.c
    rows = connection.execute(select(stream_shifts).order_by(table.created_at, table.source, table.file_name))
    return [StreamShift(row.source, row.file_name, row.shift_days, row.created_at) for row in rows]


def keep(connection: Connection, shift: StreamShift) -> None:
    """Writes a shift, before the first row that it moves. What an import left that died before its first row goes.

    Raises:
        ConflictError: if another process keeps a different shift for the same file at the same time.
    """
    if not has_feedback(connection):
        connection.execute(delete(stream_shifts))
    statement: Any = insert_into(connection, stream_shifts)
    connection.execute(statement.on_conflict_do_nothing(), [asdict(shift)])
    found = [one for one in read_all(connection) if (one.source, one.file_name) == (shift.source, shift.file_name)]
    if [one.shift_days for one in found] != [shift.shift_days]:
        raise ConflictError(
            f"Expected to move {shift.file_name} by {shift.shift_days} days, but another import moves it by "
            f"{found[0].shift_days} at the same time: wait until that one is done, and look at `recsys status`."
        )
