"""Tables of the feedback database.

Four tables carry the names and columns of the original system, under which people know them: `user_dislikes`,
`dislike_feedback_impact`, `negative_training_examples`, `dislike_patterns`. There `movie_id` is a TMDB id, which a film
may lack; `item_id` is our key of the catalog.

Two columns tell time: `occurred_at` (`created_at` of a dislike) is when it happened, `recorded_at` when this database
learned of it. A run's cut-off `as_of` is on `recorded_at`.
"""

from __future__ import annotations

from enum import StrEnum

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
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    true,
)

from recsys.records import BatchStatus, DislikeReason, SetKind
from recsys.store.column_types import BigIntegerKey, UtcDateTime

SCHEMA_REVISION = "0002"  # newest migration in migrations/versions; `FeedbackStore.open` insists on it

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_is_known")


items = Table(
    "items",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False),  # normalised title: how a dislike that only has a title finds its film
    Column("genres", JSON, nullable=False),
    Column("cast_members", JSON, nullable=False),
    Column("franchise", Text),
    Column("release_year", Integer),
    Column("tmdb_id", BigInteger),
    Column("imdb_id", Text),
    Column("is_placeholder", Boolean, nullable=False),
    CheckConstraint("item_id <> ''", name="item_id_is_not_empty"),
    Index(None, "tmdb_id"),
    Index(None, "title_key"),
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
    UniqueConstraint("user_id", "item_id", "kind", "occurred_at"),
    CheckConstraint("user_id <> ''", name="user_id_is_not_empty"),
    CheckConstraint("recorded_at >= occurred_at", name="recorded_after_it_occurred"),
    Index(None, "recorded_at"),
    Index(None, "item_id"),
    sqlite_autoincrement=True,
)

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
    _one_of("kind", SetKind),
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
    UniqueConstraint("idempotency_key", "user_id"),  # in this order, since many keys are looked up at once
    CheckConstraint("user_id <> ''", name="user_id_is_not_empty"),
    CheckConstraint("recorded_at >= created_at", name="recorded_after_it_occurred"),
    CheckConstraint("retracted_at >= recorded_at", name="retracted_after_it_was_recorded"),
    CheckConstraint("predicted_score BETWEEN 0 AND 1", name="predicted_score_is_a_share"),
    CheckConstraint("claimed_score BETWEEN 0 AND 1", name="claimed_score_is_a_share"),
    _one_of("reason", DislikeReason),
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
    _one_of("status", BatchStatus),
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
    CheckConstraint("frequency >= 1", name="frequency_is_a_count"),
    Index(None, "user_id", "identified_at"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", BigIntegerKey, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    UniqueConstraint("run_id", "step"),
    Index(None, "recorded_at"),
    sqlite_autoincrement=True,
)

model_promotions = Table(
    "model_promotions",
    metadata,
    Column("promotion_id", BigIntegerKey, primary_key=True),
    Column("sequence", Integer, nullable=False, unique=True),
    Column("run_id", Text, nullable=False),
    Column("from_version", Text),
    Column("to_version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("is_complete", Boolean, nullable=False),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("run_id", "to_version"),
    CheckConstraint("sequence >= 1", name="sequence_starts_at_1"),
    CheckConstraint("is_complete = (completed_at IS NOT NULL)", name="complete_promotions_say_when"),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),  # SHA-256 of a secret with 256 random bits
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    CheckConstraint("name <> ''", name="name_is_not_empty"),
)

# Proof that a user was erased. The user is named by a hash only: who knows the id can find the row, nobody else can.
erasures = Table(
    "erasures",
    metadata,
    Column("erasure_id", BigIntegerKey, primary_key=True),
    Column("user_hash", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
    Column("num_rows", JSON, nullable=False),  # table -> rows deleted
    Column("batches", JSON, nullable=False),  # training batches whose data held the user
    Column("model_versions", JSON, nullable=False),  # versions fitted on them
    Index(None, "user_hash"),
    sqlite_autoincrement=True,
)

# Which backlogs were announced to the scheduler. `after_batch` names the last batch that used one ('' before the first):
# a backlog is announced once, however often the service looks or is restarted.
backlog_announcements = Table(
    "backlog_announcements",
    metadata,
    Column("after_batch", Text, primary_key=True),
    Column("backlog", Integer, nullable=False),
    Column("noticed_at", UtcDateTime, nullable=False),
    Column("posted_at", UtcDateTime),
)

# Dislikes that look like brigading. They do not count and do not train until a person releases them.
brigading_flags = Table(
    "brigading_flags",
    metadata,
    Column("dislike_id", BigInteger, ForeignKey("user_dislikes.dislike_id"), primary_key=True, autoincrement=False),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),  # a run whose cut-off is earlier does not know of the burst
    Column("num_users", Integer, nullable=False),
    Column("num_opinions", Integer, nullable=False),
    Column("p_value", Float, nullable=False),
    Column("released_at", UtcDateTime),
    Column("note", Text),
    CheckConstraint("starts_at <= ends_at", name="starts_before_it_ends"),
    Index(None, "item_id", "starts_at"),
)
