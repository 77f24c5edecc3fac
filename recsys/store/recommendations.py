"""Published lists. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from recsys.errors import InputError
from recsys.records import RecommendationEntry, RecommendationSet, SetKind
from recsys.store.catalog import chunks, require_items
from recsys.store.tables import recommendation_entries, recommendation_exposures, recommendation_sets

SETS_PER_WRITE = 1_000


def replace_sets(connection: Connection, model_version: str, as_of: datetime, sets: Iterable[RecommendationSet]) -> int:
    """Makes `sets` the lists of (`model_version`, `as_of`); returns how many there are.

    A user's set keeps its id, since dislikes may name it. Lists of users who are not in `sets` are deleted.

    Raises:
        InputError: if a set is of another version or cut-off, a user comes twice, or an item is unknown.
    """
    table = recommendation_sets.c
    query = select(table.user_id, table.recommendation_set_id).where(
        table.model_version == model_version, table.as_of == as_of, table.kind == SetKind.PUBLISHED
    )
    left_over = {row.user_id: row.recommendation_set_id for row in connection.execute(query)}
    done: set[str | None] = set()
    for chunk in chunks(sets, SETS_PER_WRITE):
        for one in chunk:
            _validate(one, model_version, as_of, done)
            done.add(one.user_id)
        kept = {one.user_id: left_over.pop(one.user_id) for one in chunk if one.user_id in left_over}
        _write(connection, chunk, kept)
    for ids in chunks(left_over.values()):
        connection.execute(delete(recommendation_sets).where(table.recommendation_set_id.in_(ids)))
    return len(done)


def _validate(one: RecommendationSet, model_version: str, as_of: datetime, done: set[str | None]) -> None:
    if one.model_version != model_version or one.as_of != as_of:
        raise InputError(
            f"Expected lists of version {model_version} as of {as_of.isoformat()}, got one of version "
            f"{one.model_version} as of {one.as_of.isoformat()}."
        )
    if one.user_id in done:
        raise InputError(f"Expected one list per user, got two for {one.user_id or 'users without one of their own'}.")


def _write(connection: Connection, sets: Sequence[RecommendationSet], kept: dict[str | None, int]) -> None:
    require_items(connection, {entry.item_id for one in sets for entry in one.entries})
    table = recommendation_sets.c
    entries_of = recommendation_entries.c.recommendation_set_id
    if kept:
        connection.execute(delete(recommendation_entries).where(entries_of.in_(list(kept.values()))))
        by_moment: dict[datetime, list[int]] = {}
        for one in sets:
            if one.user_id in kept:
                by_moment.setdefault(one.created_at, []).append(kept[one.user_id])
        for moment, ids in by_moment.items():
            chosen = update(recommendation_sets).where(table.recommendation_set_id.in_(ids))
            connection.execute(chosen.values(created_at=moment))
    new = [one for one in sets if one.user_id not in kept]
    set_ids = dict(kept)
    if new:
        statement = insert(recommendation_sets).returning(table.recommendation_set_id, sort_by_parameter_order=True)
        found = connection.scalars(statement, [_set_row(one) for one in new])
        set_ids |= dict(zip((one.user_id for one in new), found, strict=True))
    rows = [_entry_row(set_ids[one.user_id], entry) for one in sets for entry in one.entries]
    if rows:
        connection.execute(insert(recommendation_entries), rows)


def _set_row(one: RecommendationSet) -> dict[str, Any]:
    return {
        "user_id": one.user_id, "model_version": one.model_version, "as_of": one.as_of, "created_at": one.created_at,
        "kind": str(one.kind), "calibration": one.calibration, "adjustment_power": one.adjustment_power,
    }  # fmt: skip


def _entry_row(set_id: int, entry: RecommendationEntry) -> dict[str, Any]:
    return {
        "recommendation_set_id": set_id, "rank": entry.rank, "item_id": entry.item_id, "score": entry.score,
        "predicted_score": entry.predicted_score, "reason": entry.reason, "contributions": entry.contributions,
    }  # fmt: skip


def newest_set(connection: Connection, user_id: str | None) -> RecommendationSet | None:
    """The list that was published last for a user; None: for users without one of their own."""
    table = recommendation_sets.c
    whose = table.user_id.is_(None) if user_id is None else table.user_id == user_id
    return _newest(connection, select(recommendation_sets).where(whose, table.kind == SetKind.PUBLISHED))


def newest_adjusted_set(
    connection: Connection, user_id: str, model_version: str, after: datetime
) -> RecommendationSet | None:
    """The list that was made last for a user when it was served, from a version and after a moment."""
    table = recommendation_sets.c
    query = select(recommendation_sets).where(
        table.user_id == user_id, table.kind == SetKind.ADJUSTED, table.model_version == model_version,
        table.as_of > after,
    )  # fmt: skip
    return _newest(connection, query)


def _newest(connection: Connection, query: Select[Any]) -> RecommendationSet | None:
    table = recommendation_sets.c
    newest_first = (table.created_at.desc(), table.as_of.desc(), table.recommendation_set_id.desc())
    row = connection.execute(query.order_by(*newest_first).limit(1)).one_or_none()
    if row is None:
        return None
    entries = recommendation_entries
    of_set = select(entries).where(entries.c.recommendation_set_id == row.recommendation_set_id)
    return RecommendationSet(
        user_id=row.user_id, model_version=row.model_version, as_of=row.as_of, created_at=row.created_at,
        entries=tuple(_to_entry(entry) for entry in connection.execute(of_set.order_by(entries.c.rank))),
        recommendation_set_id=row.recommendation_set_id, kind=SetKind(row.kind), calibration=row.calibration,
        adjustment_power=row.adjustment_power,
    )  # fmt: skip


def insert_set(connection: Connection, one: RecommendationSet) -> int:
    """Writes one list and returns its number."""
    require_items(connection, {entry.item_id for entry in one.entries})
    statement = insert(recommendation_sets).returning(recommendation_sets.c.recommendation_set_id)
    set_id = int(connection.scalars(statement, [_set_row(one)]).one())
    if one.entries:
        connection.execute(insert(recommendation_entries), [_entry_row(set_id, entry) for entry in one.entries])
    return set_id


def insert_exposure(connection: Connection, set_id: int, num_items: int, served_at: datetime) -> None:
    """Notes that a user was shown the first entries of a list."""
    row = {"recommendation_set_id": set_id, "num_items": num_items, "served_at": served_at}
    connection.execute(insert(recommendation_exposures), [row])


def _to_entry(row: Row[Any]) -> RecommendationEntry:
    return RecommendationEntry(row.rank, row.item_id, row.score, row.reason, row.contributions, row.predicted_score)


def count_sets(connection: Connection, model_version: str, as_of: datetime) -> int:
    """How many lists there are of a version and cut-off."""
    table = recommendation_sets.c
    query = select(func.count()).select_from(recommendation_sets)
    published = table.kind == SetKind.PUBLISHED
    chosen = query.where(table.model_version == model_version, table.as_of == as_of, published)
    return int(connection.execute(chosen).scalar_one())
