"""What a user typed to name a film that the catalog did not have: it goes with them. In the caller's transaction.

A placeholder is what feedback said of a film: its id may be the title, and its genres and cast are those of the dislike that
came first. When that user is erased and nobody else has said anything about the film, the placeholder goes. If somebody has,
it stays, with what they said. A film that was imported, or edited, is no placeholder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, select, update

from recsys.records import Item
from recsys.store.catalog import insert_into, rows_with
from recsys.store.tables import (
    interactions,
    item_changes,
    items,
    recommendation_entries,
    user_dislikes,
    user_exclusions,
)
from recsys.store.titles import title_hash, title_key

FEEDBACK: tuple[Table, ...] = (interactions, user_dislikes, user_exclusions)
# Takes the rank of a film that is gone in lists of other users, which are not rewritten. It is hidden, so nobody sees it.
GONE = Item("erased:item", "erased item", is_placeholder=True, is_hidden=True)


def placeholders_of_user(connection: Connection, user_id: str) -> frozenset[str]:
    """Placeholders that a user gave feedback on, or that their dislikes made and a film has taken over since.

    They are this transaction's until it ends: of two users who named the same film and are erased at once, each would see
    the other's feedback, and leave what both typed. Who gives feedback on one waits, and then finds it as it is.
    """
    named: set[str] = set()
    for table in FEEDBACK:
        named.update(connection.scalars(select(table.c.item_id).where(table.c.user_id == user_id)))
    own = select(user_dislikes.c.movie_title, user_dislikes.c.movie_id).where(user_dislikes.c.user_id == user_id)
    dislikes = connection.execute(own).all()
    found: set[str] = set()
    for column, values in (
        (items.c.item_id, named),
        (items.c.title_hash, {title_hash(row.movie_title) for row in dislikes}),
        (items.c.tmdb_id, {row.movie_id for row in dislikes if row.movie_id is not None}),
    ):
        query = select(items.c.item_id).where(items.c.is_placeholder)
        found.update(row.item_id for row in rows_with(connection, query, column, values))
    found.discard(GONE.item_id)
    held = select(items.c.item_id).where(items.c.is_placeholder).order_by(items.c.item_id).with_for_update()
    return frozenset(row.item_id for row in rows_with(connection, held, items.c.item_id, sorted(found)))


def drop_text(connection: Connection, item_ids: Collection[str]) -> int:
    """After the user's rows are gone: drops those placeholders that nobody else speaks of, and returns how many.

    The others keep what the first of those who do speak of them said.
    """
    backed: set[str] = set()
    for table in FEEDBACK:
        query = select(table.c.item_id).distinct()
        backed.update(row.item_id for row in rows_with(connection, query, table.c.item_id, item_ids))
    _rewrite(connection, backed)
    gone = sorted(set(item_ids) - backed)
    if gone:
        _drop(connection, gone)
    return len(gone)


def _rewrite(connection: Connection, item_ids: Iterable[str]) -> None:
    query = select(user_dislikes).order_by(user_dislikes.c.dislike_id.desc())
    first: dict[str, Row[Any]] = {
        row.item_id: row for row in rows_with(connection, query, user_dislikes.c.item_id, item_ids)
    }
    for item_id in sorted(item_ids):
        said = first.get(item_id)
        title, genres, cast = (item_id, [], []) if said is None else (said.movie_title, said.genres, said.cast_members)
        values = {**_title_of(title.strip()), "genres": genres, "cast_members": cast}
        own = (items.c.item_id == item_id) & items.c.is_placeholder
        connection.execute(update(items).where(own).values(**values))


def _title_of(title: str) -> dict[str, str]:
    return {"title": title, "title_key": title_key(title), "title_hash": title_hash(title)}


def _drop(connection: Connection, item_ids: list[str]) -> None:
    entries = recommendation_entries.c
    if rows_with(connection, select(entries.item_id).limit(1), entries.item_id, item_ids):
        insert: Any = insert_into(connection, items)
        row = {
            "item_id": GONE.item_id, **_title_of(GONE.title), "genres": [], "cast_members": [], "is_placeholder": True,
            "is_hidden": True,
        }  # fmt: skip
        connection.execute(insert.on_conflict_do_nothing(), row)
        connection.execute(
            update(recommendation_entries).where(entries.item_id.in_(item_ids)).values(item_id=GONE.item_id)
        )
    connection.execute(delete(item_changes).where(item_changes.c.item_id.in_(item_ids)))
    connection.execute(delete(items).where(items.c.item_id.in_(item_ids), items.c.is_placeholder))
