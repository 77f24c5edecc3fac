"""Publishing: lists are written a few at a time, out of sight, and can be seen all at once when the last one is there.

Lists are computed and prepared outside of every transaction that writes: SQLite lets one at a time write, and a user's dislike
would wait for as long. A process that dies leaves a publication that is not complete. The next one of its version goes on
with it: what is written stays if it is still right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from recsys.errors import ConflictError, InputError
from recsys.records import RecommendationEntry, RecommendationSet, SetKind
from recsys.store.catalog import chunks, require_items
from recsys.store.database import Database
from recsys.store.list_content import PreparedList, entry_row
from recsys.store.recommendations import Publication
from recsys.store.tables import publications, recommendation_entries, recommendation_sets
from recsys.store.tombstones import erased_among

LISTS_PER_TRANSACTION = 100


def publish_lists(
    database: Database,
    model_version: str,
    as_of: datetime,
    sets: Iterable[RecommendationSet],
    now: datetime | None = None,
) -> int:
    """Makes `sets` the lists of a version, in many short transactions; returns how many there are.

    A list whose content did not change is not written again. A user who has a list and is not in `sets` has none any
    more; nor has one who was erased while the lists were computed. Whoever reads meanwhile finds all lists as they were
    before.

    Args:
        database: where to.
        model_version: of all lists.
        as_of: their cut-off.
        sets: computed as they are asked for, and never in a transaction.
        now: time of the publication; None: when the first list was made.

    Raises:
        InputError: if a set is of another version or cut-off, a user, item or rank comes twice, or an item is unknown.
        ConflictError: if another process goes on with this publication.
    """
    iterator = iter(sets)
    first = next(iterator, None)
    lists = () if first is None else chain([first], iterator)
    at = now or (as_of if first is None else first.created_at)
    opened = database.write_against_others(lambda c: _open(c, model_version, as_of, at), "begin a publication")
    done: set[str | None] = set()
    num_left_out = sum(
        _add(database, opened, [_prepared(one, opened, done) for one in chunk])
        for chunk in chunks(lists, LISTS_PER_TRANSACTION)
    )
    with database.reading() as connection:
        left = sorted(_users_with_lists(connection, opened) - done, key=str)
    for users in chunks(left, LISTS_PER_TRANSACTION):
        _end(database, opened, users, at)
    database.write(lambda c: _complete(c, opened, at))
    return len(done) - num_left_out


def _open(connection: Connection, model_version: str, as_of: datetime, now: datetime) -> Publication:
    """A new publication, or the one of the version that a dead process left."""
    table = publications.c
    query = select(publications).where(table.model_version == model_version, table.completed_at.is_(None))
    left = connection.execute(query.with_for_update()).one_or_none()
    if left is None:
        row = {"model_version": model_version, "as_of": as_of, "attempt": 1, "started_at": now}
        publication_id = connection.scalars(insert(publications).returning(table.publication_id), [row]).one()
        return Publication(publication_id, model_version, as_of, 1, now)
    chosen = update(publications).where(table.publication_id == left.publication_id)
    connection.execute(chosen.values(as_of=as_of, started_at=now, attempt=left.attempt + 1))
    return Publication(left.publication_id, model_version, as_of, left.attempt + 1, now)


def _hold(connection: Connection, opened: Publication) -> None:
    """Keeps a publication to this process until the transaction ends."""
    table = publications.c
    query = select(table.publication_id).where(
        table.publication_id == opened.publication_id, table.attempt == opened.attempt, table.completed_at.is_(None)
    )
    if connection.execute(query.with_for_update()).one_or_none() is None:
        raise ConflictError(
            f"Expected to go on with publication {opened.publication_id} of version {opened.model_version}, but another "
            "process took it over, or deleted its lists as old ones. Users are served as before. If no other process is "
            "publishing, publish again."
        )


def _prepared(one: RecommendationSet, opened: Publication, done: set[str | None]) -> PreparedList:
    if one.model_version != opened.model_version or one.as_of != opened.as_of:
        raise InputError(
            f"Expected lists of version {opened.model_version} as of {opened.as_of.isoformat()}, got one of version "
            f"{one.model_version} as of {one.as_of.isoformat()}."
        )
    if one.user_id in done:
        raise InputError(f"Expected one list per user, got two for {one.user_id or 'users without one of their own'}.")
    done.add(one.user_id)
    return PreparedList.of(one)


@dataclass(frozen=True)
class _Stored:
    """A user's rows, None where there is none: the one in effect until now, and the one that this publication has."""

    before: Any = None
    own: Any = None


def _stored(
    connection: Connection, opened: Publication, users: Sequence[str | None] | None = None
) -> dict[str | None, _Stored]:
    """By user, of some or of all."""
    table = recommendation_sets.c
    is_complete = publications.c.completed_at.is_not(None) & publications.c.withdrawn_at.is_(None)
    query = (
        select(table.recommendation_set_id, table.user_id, table.publication_id, table.digest, table.is_gone)
        .join_from(recommendation_sets, publications)
        .where(table.kind == SetKind.PUBLISHED, publications.c.model_version == opened.model_version)
        .where(or_(is_complete, table.publication_id == opened.publication_id))
        .order_by(table.publication_id)
    )
    if users is not None:
        query = query.where(or_(table.user_id.in_([user for user in users if user is not None]), _nobody(users)))
    found: dict[str | None, _Stored] = {}
    for row in connection.execute(query):
        known = found.get(row.user_id, _Stored())
        is_own = row.publication_id == opened.publication_id
        found[row.user_id] = _Stored(known.before, row) if is_own else _Stored(row, known.own)
    return found


def _nobody(users: Sequence[str | None]) -> Any:
    return recommendation_sets.c.user_id.is_(None) & (None in users)


def _users_with_lists(connection: Connection, opened: Publication) -> set[str | None]:
    return {
        user
        for user, stored in _stored(connection, opened).items()
        if stored.own is not None or not (stored.before is None or stored.before.is_gone)
    }


def _add(database: Database, opened: Publication, lists: Sequence[PreparedList]) -> int:
    """Writes those lists that differ from what there is; returns how many are of users who were erased."""

    def work(connection: Connection) -> int:
        _hold(connection, opened)
        erased = erased_among(connection, {one.given.user_id for one in lists if one.given.user_id is not None})
        left = [one for one in lists if one.given.user_id not in erased]
        require_items(connection, {entry.item_id for one in left for entry in one.given.entries})
        stored = _stored(connection, opened, [one.given.user_id for one in left])
        new, dropped = [], []
        for one in left:
            known = stored.get(one.given.user_id, _Stored())
            is_unchanged = known.before is not None and known.before.digest == one.digest
            is_written = not is_unchanged and known.own is not None and known.own.digest == one.digest
            if known.own is not None and not is_written:
                dropped.append(known.own.recommendation_set_id)
            if not is_unchanged and not is_written:
                new.append(one)
        _delete(connection, dropped)
        rows = [{**one.set_row(), "publication_id": opened.publication_id} for one in new]
        _insert(connection, rows, [one.given.entries for one in new])
        return len(lists) - len(left)

    return database.write(work)


def _end(database: Database, opened: Publication, users: Sequence[str | None], now: datetime) -> None:
    """Notes that users have no list of their own any more."""

    def work(connection: Connection) -> None:
        _hold(connection, opened)
        erased = erased_among(connection, {user for user in users if user is not None})
        stored = _stored(connection, opened, [user for user in users if user not in erased])
        _delete(connection, [one.own.recommendation_set_id for one in stored.values() if one.own is not None])
        ended = [user for user, one in stored.items() if one.before is not None and not one.before.is_gone]
        row = {
            "publication_id": opened.publication_id, "model_version": opened.model_version, "as_of": opened.as_of,
            "created_at": now, "kind": str(SetKind.PUBLISHED), "is_gone": True,
        }  # fmt: skip
        _insert(connection, [{**row, "user_id": user} for user in ended], [()] * len(ended))

    database.write(work)


def _insert(
    connection: Connection, rows: Sequence[dict[str, Any]], entries: Sequence[Sequence[RecommendationEntry]]
) -> None:
    if not rows:
        return
    statement = insert(recommendation_sets).returning(
        recommendation_sets.c.recommendation_set_id, sort_by_parameter_order=True
    )
    numbers = connection.scalars(statement, rows)
    listed = [entry_row(number, entry) for number, own in zip(numbers, entries, strict=True) for entry in own]
    if listed:
        connection.execute(insert(recommendation_entries), listed)


def _delete(connection: Connection, set_ids: Sequence[int]) -> None:
    if set_ids:
        connection.execute(delete(recommendation_sets).where(recommendation_sets.c.recommendation_set_id.in_(set_ids)))


def _complete(connection: Connection, opened: Publication, now: datetime) -> None:
    """From this commit on its lists can be seen."""
    _hold(connection, opened)
    chosen = update(publications).where(publications.c.publication_id == opened.publication_id)
    connection.execute(chosen.values(completed_at=now))
