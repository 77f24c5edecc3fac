"""Placeholders: films that feedback named before the catalog had them. Works in the caller's transaction.

When the real film comes, what users said about its placeholder becomes what they said about the film.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, bindparam, exists, select, update

from recsys.records import Item
from recsys.store.tables import (
    brigading_flags,
    interactions,
    items,
    negative_training_examples,
    user_dislikes,
    user_exclusions,
)

TMDB, TITLE = "tmdb:", "title:"  # how ids of placeholders begin, by what named the film
CHUNK_SIZE = 5_000
NAMED_ONCE: tuple[Table, ...] = (user_dislikes, negative_training_examples, brigading_flags)
# Rows of which the film may have one already: the columns that, with the film, tell them apart.
KEPT_ONCE = {interactions: ("user_id", "kind", "occurred_at"), user_exclusions: ("user_id",)}


def adopt_placeholders(connection: Connection, films: Sequence[Item]) -> None:
    """Moves feedback from placeholders to the films that they stood for.

    A film takes the placeholder of its TMDB id, and that of its title if no other film of the catalog has the same.
    """
    by_placeholder = {f"{TMDB}{film.tmdb_id}": film.item_id for film in films if film.tmdb_id is not None}
    by_placeholder |= _by_title(connection, [film.item_id for film in films])
    found = _existing(connection, [name for name, item_id in by_placeholder.items() if name != item_id])
    moves = [{"placeholder": name, "film": by_placeholder[name]} for name in found]
    if not moves:
        return
    for table in NAMED_ONCE:
        move = update(table).where(table.c.item_id == bindparam("placeholder"))
        connection.execute(move.values(item_id=bindparam("film")), moves)
    for table, key in KEPT_ONCE.items():
        same, other = table, table.alias()
        alike = [other.c[name] == same.c[name] for name in key]
        there = exists().where(other.c.item_id == bindparam("film"), *alike)
        move = update(same).where(same.c.item_id == bindparam("placeholder"), ~there)
        connection.execute(move.values(item_id=bindparam("film")), moves)


def _existing(connection: Connection, names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(names), CHUNK_SIZE):
        chosen = items.c.item_id.in_(names[start : start + CHUNK_SIZE])
        found += connection.scalars(select(items.c.item_id).where(chosen, items.c.is_placeholder))
    return found


def _by_title(connection: Connection, item_ids: Sequence[str]) -> dict[str, str]:
    """Placeholder of a title -> the only film that has it."""
    placeholder, film, other = items.alias("placeholder"), items.alias("film"), items.alias("other")
    alone = ~exists().where(
        other.c.title_hash == film.c.title_hash, other.c.item_id != film.c.item_id, ~other.c.is_placeholder
    )
    query = (
        select(placeholder.c.item_id.label("placeholder"), film.c.item_id.label("film"))
        .join_from(placeholder, film, placeholder.c.title_hash == film.c.title_hash)
        .where(placeholder.c.is_placeholder, ~film.c.is_placeholder, placeholder.c.item_id.startswith(TITLE), alone)
    )
    found: dict[str, str] = {}
    for start in range(0, len(item_ids), CHUNK_SIZE):
        rows = connection.execute(query.where(film.c.item_id.in_(item_ids[start : start + CHUNK_SIZE])))
        found |= {row.placeholder: row.film for row in rows}
    return found
