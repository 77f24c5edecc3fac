"""The catalog, what users did, by how much an import moved it in time, and what they want to see no more."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from recsys.store.column_types import BigIntegerKey, UtcDateTime
from recsys.store.tables.metadata import metadata

items = Table(
    "items",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False),  # normalised title, for searches
    # Its digest, by which a dislike that only has a title finds its film: an index entry may not be as long as a title.
    Column("title_hash", Text, nullable=False, server_default=text("''")),
    Column("genres", JSON, nullable=False),
    Column("cast_members", JSON, nullable=False),
    Column("franchise", Text),
    Column("release_year", Integer),
    Column("tmdb_id", BigInteger),
    Column("imdb_id", Text),
    Column("is_placeholder", Boolean, nullable=False),
    Column("tags", JSON),  # null: none
    Column("available_from", UtcDateTime),  # may be recommended from then on, until before `available_until`
    Column("available_until", UtcDateTime),
    Column("is_hidden", Boolean, nullable=False, server_default=false()),
    CheckConstraint("item_id <> ''", name="item_id_is_not_empty"),
    CheckConstraint("available_until > available_from", name="available_for_some_time"),
    Index(None, "tmdb_id"),
    Index(None, "title_hash"),
)

# What eligibility reads of an item, each time that it was changed, newest last. The audit of the catalog; `items` counts.
item_changes = Table(
    "item_changes",
    metadata,
    Column("change_id", BigIntegerKey, primary_key=True),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("is_hidden", Boolean, nullable=False),
    Column("available_from", UtcDateTime),
    Column("available_until", UtcDateTime),
    Column("tags", JSON),
    Column("recorded_at", UtcDateTime, nullable=False),
    Index(None, "item_id"),
    sqlite_autoincrement=True,
)

user_exclusions = Table(
    "user_exclusions",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("item_id", Text, ForeignKey("items.item_id"), primary_key=True),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),  # the user took it back; null: it holds
    CheckConstraint("user_id <> ''", name="user_id_is_not_empty"),
    Index(None, "item_id"),
)

interactions = Table(
    "interactions",
    metadata,
    Column("interaction_id", BigIntegerKey, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Float),
    Column("is_like", Boolean, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("imported_at", UtcDateTime),  # null: recorded here when it happened
    UniqueConstraint("user_id", "item_id", "kind", "occurred_at"),
    CheckConstraint("user_id <> ''", name="user_id_is_not_empty"),
    CheckConstraint("recorded_at >= occurred_at", name="recorded_after_it_occurred"),
    Index(None, "recorded_at"),
    Index(None, "item_id"),
    sqlite_autoincrement=True,
)

# By how many days the times of an imported file were moved. The first import decides, the same file again is moved alike.
stream_shifts = Table(
    "stream_shifts",
    metadata,
    Column("source", Text, primary_key=True),
    Column("file_name", Text, primary_key=True),
    Column("shift_days", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("file_name <> ''", name="file_name_is_not_empty"),
)
