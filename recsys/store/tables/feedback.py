"""Dislikes, what became of them, and the batches of training examples that they end in."""

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
    true,
)

from recsys.records import BatchStatus
from recsys.store.column_types import BigIntegerKey, UtcDateTime
from recsys.store.tables.metadata import metadata, one_of

user_dislikes = Table(
    "user_dislikes",
    metadata,
    Column("dislike_id", BigIntegerKey, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("movie_id", BigInteger),
    Column("movie_title", Text, nullable=False),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column(
        "recommendation_set_id",
        BigInteger,
        ForeignKey("recommendation_sets.recommendation_set_id", ondelete="SET NULL"),
    ),
    Column("predicted_score", Float),  # looked up in the list that held the item; see `store.tracker`
    Column("claimed_score", Float),  # what the client said it was
    Column("reason", Text, nullable=False),
    Column("feedback_text", Text),
    Column("genres", JSON, nullable=False),
    Column("cast_members", JSON, nullable=False),
    Column("item_was_known", Boolean, nullable=False, server_default=true()),
    Column("idempotency_key", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("retracted_at", UtcDateTime),
    Column("imported_at", UtcDateTime),  # null: recorded here when it happened
    UniqueConstraint("idempotency_key", "user_id"),  # in this order, since many keys are looked up at once
    CheckConstraint("user_id <> ''", name="user_id_is_not_empty"),
    CheckConstraint("recorded_at >= created_at", name="recorded_after_it_occurred"),
    CheckConstraint("retracted_at >= recorded_at", name="retracted_after_it_was_recorded"),
    CheckConstraint("predicted_score BETWEEN 0 AND 1", name="predicted_score_is_a_share"),
    CheckConstraint("claimed_score BETWEEN 0 AND 1", name="claimed_score_is_a_share"),
    Index(None, "user_id", "created_at"),
    Index(None, "recorded_at"),
    Index(None, "item_id"),
    Index(None, "recommendation_set_id"),
    sqlite_autoincrement=True,
)

training_batches = Table(
    "training_batches",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("as_of", UtcDateTime, nullable=False),
    Column("fit_through", UtcDateTime, nullable=False),
    Column("champion_version", Text),
    Column("status", Text, nullable=False),
    Column("num_examples", Integer, nullable=False),
    Column("config", JSON, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("lease_expires_at", UtcDateTime, nullable=False),
    Column("training_set_uri", Text),
    Column("training_set_digest", Text),
    Column("num_rows", Integer),
    Column("data_docs_uri", Text),
    Column("challenger_version", Text, unique=True),
    Column("refit_version", Text),
    Column("evidence_uri", Text),
    Column("settled_at", UtcDateTime),
    Column("taken_over_by", Text),  # the run that released this batch after its lease had expired
    CheckConstraint("batch_id <> ''", name="batch_id_is_not_empty"),
    CheckConstraint("fit_through <= as_of", name="fit_through_is_not_after_as_of"),
    CheckConstraint("num_examples >= 0", name="num_examples_is_a_count"),
    CheckConstraint("status = 'claimed' OR settled_at IS NOT NULL", name="closed_batches_say_when"),
    CheckConstraint("status <> 'used' OR challenger_version IS NOT NULL", name="used_batches_name_a_challenger"),
    one_of("status", BatchStatus),
)
# Two runs at once: the database itself lets only one of them in.
Index(
    "uq_training_batches_one_is_open",
    training_batches.c.status,
    unique=True,
    sqlite_where=training_batches.c.status == BatchStatus.CLAIMED,
    postgresql_where=training_batches.c.status == BatchStatus.CLAIMED,
)

negative_training_examples = Table(
    "negative_training_examples",
    metadata,
    Column("example_id", BigIntegerKey, primary_key=True),
    Column("dislike_id", BigInteger, ForeignKey("user_dislikes.dislike_id"), nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("movie_id", BigInteger),
    Column("movie_title", Text, nullable=False),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("actual_rating", Float, nullable=False),
    Column("predicted_rating", Float),
    Column("error", Float),
    Column("weight", Float, nullable=False),
    Column("used_in_training", Boolean, nullable=False),
    Column("batch_id", Text, ForeignKey("training_batches.batch_id")),
    Column("recorded_at", UtcDateTime, nullable=False),
    CheckConstraint("weight > 0 AND weight <= 1", name="weight_is_in_0_to_1"),
    CheckConstraint("NOT used_in_training OR batch_id IS NOT NULL", name="used_by_a_batch"),
    Index(None, "batch_id"),
    Index(None, "item_id"),
    sqlite_autoincrement=True,
)
Index(
    "ix_negative_training_examples_backlog",
    negative_training_examples.c.recorded_at,
    sqlite_where=negative_training_examples.c.batch_id.is_(None),
    postgresql_where=negative_training_examples.c.batch_id.is_(None),
)

dislike_feedback_impact = Table(
    "dislike_feedback_impact",
    metadata,
    Column("impact_id", BigIntegerKey, primary_key=True),
    Column("dislike_id", BigInteger, ForeignKey("user_dislikes.dislike_id"), nullable=False),
    Column("model_version_id", Text),  # null: there was no champion yet
    Column("impact_type", Text, nullable=False),
    Column("feature_affected", Text, nullable=False),
    Column("adjustment_magnitude", Float, nullable=False),
    Column("applied_at", UtcDateTime, nullable=False),
    CheckConstraint("adjustment_magnitude BETWEEN -1 AND 1", name="adjustment_magnitude_is_in_range"),
    Index(None, "dislike_id"),
    Index(None, "model_version_id"),
    sqlite_autoincrement=True,
)

dislike_patterns = Table(
    "dislike_patterns",
    metadata,
    Column("pattern_id", BigIntegerKey, primary_key=True),
    Column("user_id", Text),  # null: a pattern over all users
    Column("pattern_type", Text, nullable=False),
    Column("pattern_value", Text, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("lift", Float),  # against exposure; null where there is none to compare with
    Column("severity", Text, nullable=False),
    Column("identified_at", UtcDateTime, nullable=False),
    Column("as_of", UtcDateTime),  # the measurement's cut-off, by which it is found again
    CheckConstraint("frequency >= 1", name="frequency_is_a_count"),
    Index(None, "user_id", "as_of"),
    sqlite_autoincrement=True,
)
