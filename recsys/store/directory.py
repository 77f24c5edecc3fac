"""Who and what there is: users by activity, items by title. Every function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from recsys.records import Item
from recsys.store.catalog import read_items
from recsys.store.column_types import UtcDateTime
from recsys.store.queries import load_query
from recsys.store.titles import title_key


@dataclass(frozen=True)
class ActiveUser:
    """How much feedback a user has given.

    Attributes:
        user_id: the user.
        num_likes: items that they like.
        num_dislikes: items that they dislike, unless they took it back.
        num_items: items that they met.
        last_at: when their newest feedback occurred.
    """

    user_id: str
    num_likes: int
    num_dislikes: int
    num_items: int
    last_at: datetime


@dataclass(frozen=True)
class FoundItem:
    """An item, and how many users like and dislike it. A placeholder is not in the catalog: only feedback names it."""

    item: Item
    num_likes: int
    num_dislikes: int


def active_users(connection: Connection, k: int) -> list[ActiveUser]:
    """At most `k` users, those who met most items first."""
    query = text(load_query("active_users")).columns(last_at=UtcDateTime)
    return [
        ActiveUser(row.user_id, row.num_likes, row.num_dislikes, row.num_items, row.last_at)
        for row in connection.execute(query, {"k": k})
    ]


def find_items(connection: Connection, words: str, k: int) -> list[FoundItem]:
    """At most `k` items whose title holds the words, those with most opinions first.

    Args:
        connection: in a transaction.
        words: part of a title, in any letter case; empty: all items.
        k: at most so many.
    """
    escaped = "".join(f"\\{character}" if character in "\\%_" else character for character in title_key(words))
    rows = connection.execute(text(load_query("found_items")), {"pattern": f"%{escaped}%", "k": k}).all()
    items = read_items(connection, [row.item_id for row in rows])
    return [FoundItem(items[row.item_id], row.num_likes, row.num_dislikes) for row in rows]
