"""The lists that were published, and how often they were served."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from recsys.records import SetKind
from recsys.store.column_types import BigIntegerKey, UtcDateTime
from recsys.store.tables.metadata import metadata, one_of

recommendation_sets = Table(
    "recommendation_sets",
    metadata,
    Column("recommendation_set_id", BigIntegerKey, primary_key=True),
    Column("user_id", Text),  # null: the list for users without one of their own
    Column("model_version", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False, server_default=SetKind.PUBLISHED),
    Column("calibration", JSON),  # how the version turns a score into a chance of being liked
    Column(
        "adjustment_power", Float, nullable=False, server_default=text("1")
    ),  # how the version answers to adjustments
    one_of("kind", SetKind),
    CheckConstraint("adjustment_power > 0", name="adjustment_power_is_positive"),
    UniqueConstraint("model_version", "as_of", "user_id"),
    Index(None, "user_id", "created_at"),
    sqlite_autoincrement=True,
)
# Nulls differ from each other in a unique constraint, so the list for everybody else needs an index of its own.
Index(
    "uq_recommendation_sets_for_everybody_else",
    recommendation_sets.c.model_version,
    recommendation_sets.c.as_of,
    unique=True,
    sqlite_where=recommendation_sets.c.user_id.is_(None),
    postgresql_where=recommendation_sets.c.user_id.is_(None),
)

recommendation_entries = Table(
    "recommendation_entries",
    metadata,
    Column(
        "recommendation_set_id",
        BigInteger,
        ForeignKey("recommendation_sets.recommendation_set_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("rank", Integer, primary_key=True),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("score", Float, nullable=False),
    Column("predicted_score", Float),  # the score as a chance of being liked, 0 to 1
    Column("reason", Text, nullable=False),
    Column("contributions", JSON, nullable=False),
    UniqueConstraint("recommendation_set_id", "item_id"),
    CheckConstraint("rank >= 1", name="rank_starts_at_1"),
    CheckConstraint("predicted_score BETWEEN 0 AND 1", name="predicted_score_is_a_share"),
)

# One row per time that a list was given to a user: the denominator of every rate.
recommendation_exposures = Table(
    "recommendation_exposures",
    metadata,
    Column("exposure_id", BigIntegerKey, primary_key=True),
    Column(
        "recommendation_set_id",
        BigInteger,
        ForeignKey("recommendation_sets.recommendation_set_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("num_items", Integer, nullable=False),  # the first so many entries were shown
    Column("served_at", UtcDateTime, nullable=False),
    CheckConstraint("num_items >= 0", name="num_items_is_a_count"),
    Index(None, "recommendation_set_id"),
    Index(None, "served_at"),
    sqlite_autoincrement=True,
)
