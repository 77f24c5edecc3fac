"""Items, and how feedback finds the item that it is about. Every function works in the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select

from recsys.errors import InputError, NotFoundError
from recsys.records import Dislike, Item
from recsys.store.item_changes import availability_of, record_changes
from recsys.store.placeholders import TMDB, adopt_placeholders
from recsys.store.tables import items
from recsys.store.titles import title_hash, title_key, title_placeholder
from recsys.validation import has_title, validate_text

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
CHUNK_SIZE = 5_000  # values in one IN list; SQLite takes 32,766 parameters


def chunks(values: Iterable[T], size: int = CHUNK_SIZE) -> Iterator[list[T]]:
    """Lists of at most `size` values."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can do something on conflict, in the connection's dialect."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # what only reads, or has no PostgreSQL, does without

    return postgresql.insert(table)


def rows_with(
    connection: Connection, query: Select[Any], key: ColumnElement[Any], values: Iterable[Any]
) -> list[Row[Any]]:
    """The rows of `query` where `key` is one of `values`, however many those are."""
    found: list[Row[Any]] = []
    for chunk in chunks(values):
        found.extend(connection.execute(query.where(key.in_(chunk))))
    return found


def upsert_items(connection: Connection, rows: Sequence[Item], recorded_at: datetime | None = None) -> int:
    """Writes items that are new or differ; a placeholder never replaces an item. Returns how many were written.

    `recorded_at`: time of the change, for `item_changes`; None keeps no history.
    """
    for item in rows:
        _validate(item)
    ids = {item.item_id for item in rows}
    stored = {row.item_id: _to_item(row) for row in rows_with(connection, select(items), items.c.item_id, ids)}
    changed: dict[str, Item] = {}
    for item in rows:
        known = changed.get(item.item_id) or stored.get(item.item_id)
        if known is None or (item != known and not item.is_placeholder):
            changed[item.item_id] = item
    _write(connection, changed, stored, recorded_at)
    return len(changed)


def change_item(connection: Connection, item_id: str, values: Mapping[str, Any], recorded_at: datetime) -> Item:
    """Changes some fields of one item; makes it, where it is new and has a title. Done again, it changes nothing.

    Raises:
        NotFoundError: if there is no such item and `values` has no title.
    """
    stored = read_items(connection, [item_id])
    known = stored.get(item_id)
    if known is None and not values.get("title"):
        raise NotFoundError(f"Expected an item of the catalog, got {item_id!r}: give a title too, or import it first.")
    item = replace(known or Item(item_id, ""), **values)
    if "title" in values:
        item = replace(item, is_placeholder=False)
    _validate(item)
    if item != known:
        _write(connection, {item_id: item}, stored, recorded_at)
    return item


def _write(
    connection: Connection, changed: dict[str, Item], stored: dict[str, Item], recorded_at: datetime | None
) -> None:
    if not changed:
        return
    insert: Any = insert_into(connection, items)
    columns = {c.name: insert.excluded[c.name] for c in items.c if not c.primary_key}
    upsert = insert.on_conflict_do_update(index_elements=["item_id"], set_=columns)
    connection.execute(upsert, [_to_row(item) for item in changed.values()])
    adopt_placeholders(connection, [item for item in changed.values() if not item.is_placeholder])
    if recorded_at is not None:
        pairs = [(stored.get(item.item_id), item) for item in changed.values()]
        record_changes(
            connection, [new for old, new in pairs if availability_of(old) != availability_of(new)], recorded_at
        )


def read_catalog(connection: Connection) -> dict[str, Item]:
    """All items by id, in the order of their ids."""
    found = [_to_item(row) for row in connection.execute(select(items))]
    return {item.item_id: item for item in sorted(found, key=lambda item: item.item_id)}  # same order on every database


def require_items(connection: Connection, item_ids: Iterable[str]) -> None:
    """Checks that all items are in the catalog.

    Raises:
        InputError: naming the first missing ones.
    """
    wanted = set(item_ids)
    found = rows_with(connection, select(items.c.item_id), items.c.item_id, wanted)
    missing = sorted(wanted - {row.item_id for row in found})
    if missing:
        raise InputError(
            f"Expected items of the catalog, got {len(missing)} unknown: {', '.join(missing[:5])}"
            f"{' ...' if len(missing) > 5 else ''}. Nothing was written; import the items first."
        )


def read_items(connection: Connection, item_ids: Iterable[str]) -> dict[str, Item]:
    """The items with these ids that there are, by id."""
    return {row.item_id: _to_item(row) for row in rows_with(connection, select(items), items.c.item_id, set(item_ids))}


def make_placeholders(connection: Connection, item_ids: Iterable[str]) -> None:
    """Adds an empty item for every id that the catalog does not have yet."""
    missing = sorted(set(item_ids) - read_items(connection, item_ids).keys())
    for item_id in missing:
        validate_text(item_id)
    _insert_placeholders(connection, [Item(item_id, item_id, is_placeholder=True) for item_id in missing])


def _insert_placeholders(connection: Connection, placeholders: Sequence[Item]) -> None:
    if placeholders:
        insert: Any = insert_into(connection, items)
        connection.execute(insert.on_conflict_do_nothing(), [_to_row(item) for item in placeholders])


def resolve_dislikes(connection: Connection, dislikes: Sequence[Dislike]) -> list[tuple[Dislike, Item]]:
    """Finds the film of every dislike, and gives the dislike its `item_id`, `movie_title` and, if any, `movie_id`.

    The film is the item with that id; else the one with that TMDB id; else the only one with that title, unless its
    TMDB id says that it is another film. A film that is not found, or that the title leaves open, gets a placeholder.
    """
    by_id = _items_where(connection, items.c.item_id, {d.item_id for d in dislikes if d.item_id})
    by_tmdb = _items_where(connection, items.c.tmdb_id, {d.movie_id for d in dislikes if d.movie_id and not d.item_id})
    keys = {title_hash(d.movie_title) for d in dislikes if d.movie_title and has_title(d) and not d.item_id}
    # Without placeholders, of which thousands may share a title: they could never be the answer.
    by_title = _items_where(connection, items.c.title_hash, keys, ~items.c.is_placeholder)
    placeholders: dict[str, Item] = {}
    resolved = []
    for dislike in dislikes:
        item = _find(dislike, by_id, by_tmdb, by_title)
        if item is None:
            item = _placeholder(dislike)
            item = placeholders.setdefault(item.item_id, item)
        named = replace(
            dislike,
            item_id=item.item_id,
            movie_id=dislike.movie_id or item.tmdb_id,
            movie_title=dislike.movie_title if has_title(dislike) else item.title,
            item_was_known=not item.is_placeholder,
        )
        resolved.append((named, item))
    _insert_placeholders(connection, list(placeholders.values()))
    return resolved


def _items_where(
    connection: Connection, column: ColumnElement[Any], values: set[Any], *conditions: ColumnElement[bool]
) -> dict[Any, list[Item]]:
    found: dict[Any, list[Item]] = defaultdict(list)
    name = column.key or ""
    query = select(items).where(*conditions)
    for row in sorted(rows_with(connection, query, column, sorted(values)), key=lambda row: row.item_id):
        found[getattr(row, name)].append(_to_item(row))
    return found


def _find(
    dislike: Dislike,
    by_id: dict[Any, list[Item]],
    by_tmdb: dict[Any, list[Item]],
    by_title: dict[Any, list[Item]],
) -> Item | None:
    if dislike.item_id:
        return next(iter(by_id.get(dislike.item_id, ())), None)
    if dislike.movie_id is not None:
        # Two items may share a TMDB id (links files do that); a real one comes before a placeholder.
        same = sorted(by_tmdb.get(dislike.movie_id, ()), key=lambda item: item.is_placeholder)
        if same:
            return same[0]
    if not has_title(dislike):
        return None
    candidates = [
        item
        for item in by_title.get(title_hash(str(dislike.movie_title)), ())
        if dislike.movie_id is None or item.tmdb_id is None
    ]
    return candidates[0] if len(candidates) == 1 else None


def _placeholder(dislike: Dislike) -> Item:
    if dislike.item_id:
        item_id = dislike.item_id
    elif dislike.movie_id is not None:
        item_id = f"{TMDB}{dislike.movie_id}"
    else:
        item_id = title_placeholder(str(dislike.movie_title))
    title = str(dislike.movie_title) if has_title(dislike) else item_id
    return Item(item_id, title.strip(), dislike.genres, dislike.cast, tmdb_id=dislike.movie_id, is_placeholder=True)


def _validate(item: Item) -> None:
    if not item.item_id or not item.title:
        raise InputError(f"Expected an item with an id and a title, got {item}.")
    for value in (item.item_id, item.title, item.franchise, item.imdb_id, *item.genres, *item.cast, *item.tags):
        validate_text(value)
    if item.available_from and item.available_until and item.available_from >= item.available_until:
        raise InputError(
            f"Expected available_from before available_until of item {item.item_id}, got "
            f"{item.available_from.isoformat()} and {item.available_until.isoformat()}: to recommend it no more, hide it."
        )


def _to_row(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id, "title": item.title, "title_key": title_key(item.title),
        "title_hash": title_hash(item.title), "genres": list(item.genres), "cast_members": list(item.cast),
        "franchise": item.franchise, "release_year": item.release_year, "tmdb_id": item.tmdb_id, "imdb_id": item.imdb_id,
        "is_placeholder": item.is_placeholder, **availability_of(item),
    }  # fmt: skip


def _to_item(row: Row[Any]) -> Item:
    return Item(
        item_id=row.item_id, title=row.title, genres=tuple(row.genres), cast=tuple(row.cast_members),
        franchise=row.franchise, release_year=row.release_year, tmdb_id=row.tmdb_id, imdb_id=row.imdb_id,
        is_placeholder=row.is_placeholder, tags=tuple(row.tags or ()), available_from=row.available_from,
        available_until=row.available_until, is_hidden=row.is_hidden,
    )  # fmt: skip
