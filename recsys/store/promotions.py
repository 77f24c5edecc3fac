"""The audit of champions, for good: MLflow keeps no history of its aliases. Every function works in the caller's transaction.

The newest row says who is champion; the aliases follow it. They are only moved in `finish`, which holds a lock until the
row is complete: whoever holds it sees the newest row, and nobody can write a newer one before the aliases are where it
wants them. A process that is killed meanwhile loses the lock and leaves a row that is not complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, func, insert, select, text, update

from recsys.errors import ConflictError
from recsys.records import Promotion, PromotionKind
from recsys.store.tables import model_promotions

T = TypeVar("T")
LOCK = 7_216_002  # any number, the same in every process
NAMES = tuple(field.name for field in fields(Promotion))


def _lock(connection: Connection) -> None:
    """Lets one process at a time begin or finish a promotion; a SQLite transaction that writes is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})


def begin(connection: Connection, promotion: Promotion) -> Promotion:
    """Writes the intent to promote. The run's own row for this version, from an earlier try, is returned as it is.

    Raises:
        ConflictError: if the sequence number is not the next one: another promotion came first.
    """
    _lock(connection)
    table = model_promotions.c
    own = connection.execute(
        select(model_promotions).where(table.run_id == promotion.run_id, table.to_version == promotion.to_version)
    ).one_or_none()
    if own is not None:
        return _to_promotion(own)
    last = read_last(connection)
    expected = 1 if last is None else last.sequence + 1
    if promotion.sequence != expected:
        other = "none is there" if last is None else f"run {last.run_id} promoted version {last.to_version} before"
        raise ConflictError(
            f"Expected promotion number {expected} to come next, got {promotion.sequence} for version "
            f"{promotion.to_version}: {other}. Nothing was promoted; the next run compares with the champion of then."
        )
    connection.execute(
        insert(model_promotions).values({
            name: str(value) if name == "kind" else value for name, value in vars(promotion).items()
        })
    )  # fmt: skip
    return _to_promotion(connection.execute(select(model_promotions).where(table.sequence == expected)).one())


def finish(connection: Connection, now: datetime, move: Callable[[Sequence[Promotion]], None]) -> Promotion | None:
    """Lets `move` set the aliases by the audit while nobody else may, and notes that it is done; the first time counts.

    Args:
        connection: a transaction that writes.
        now: when, by the wall clock; never before the row itself, whatever the clocks of two machines say.
        move: gets all rows, in their order; what it raises leaves the newest row as it was.

    Returns:
        The newest row, None without one.
    """
    _lock(connection)
    rows = read_all(connection)
    move(rows)
    if rows and not rows[-1].is_complete:
        chosen = update(model_promotions).where(model_promotions.c.sequence == rows[-1].sequence)
        connection.execute(chosen.values(is_complete=True, completed_at=max(now, rows[-1].created_at)))
    return read_last(connection)


def while_nobody_promotes(connection: Connection, work: Callable[[Sequence[Promotion]], T]) -> T:
    """What `work` makes of all rows, while nobody can write another one or move an alias."""
    _lock(connection)
    return work(read_all(connection))


def read_last(connection: Connection) -> Promotion | None:
    """The newest row, complete or not."""
    newest = select(func.max(model_promotions.c.sequence)).scalar_subquery()
    row = connection.execute(select(model_promotions).where(model_promotions.c.sequence == newest)).one_or_none()
    return None if row is None else _to_promotion(row)


def read_all(connection: Connection) -> list[Promotion]:
    """All rows, in their order."""
    query = select(model_promotions).order_by(model_promotions.c.sequence)
    return [_to_promotion(row) for row in connection.execute(query)]


def _to_promotion(row: Row[Any]) -> Promotion:
    values = {name: getattr(row, name) for name in NAMES}
    return Promotion(**{**values, "kind": PromotionKind(row.kind)})
