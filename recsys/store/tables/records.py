"""What was decided and done: by the loop, by people, and by the service."""

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
)

from recsys.records import PromotionKind
from recsys.store.column_types import BigIntegerKey, UtcDateTime
from recsys.store.tables.metadata import metadata, one_of

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
    Column("kind", Text, nullable=False, server_default=PromotionKind.PROMOTION),
    Column("approved_by", Text),
    Column("approved_at", UtcDateTime),
    UniqueConstraint("run_id", "to_version"),
    one_of("kind", PromotionKind),
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

# Proof that a user was erased. The user is named by a keyed hash only, see `store.user_key`: who knows the id and has the key
# can find the row, nobody else can.
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
    Column("remaining", JSON(none_as_null=True)),  # what still holds the user; null: nobody has looked yet
    Column("completed_at", UtcDateTime),  # when nothing was left; null: open
    Column("lifted_at", UtcDateTime),  # when the user was brought back
    Column("lifted_by", Text),
    CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_somebody"),
    Index(None, "user_hash"),
    sqlite_autoincrement=True,
)

# Who is erased now. Everything that writes about users looks here in its own transaction; see `store.tombstones`.
tombstones = Table(
    "tombstones",
    metadata,
    Column("user_hash", Text, primary_key=True),
    Column("erasure_id", BigInteger, ForeignKey("erasures.erasure_id"), nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
)

# At most one row: tells the key that names users from any other. The key itself is not in the database.
user_keys = Table(
    "user_keys",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("check_value", Text, nullable=False),
    CheckConstraint("number = 1", name="there_is_one"),
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

# What bytes files had when they were written; see `recsys.store.artifact_digests`. Checked before each use.
artifact_digests = Table(
    "artifact_digests",
    metadata,
    Column("owner", Text, primary_key=True),  # batch
    Column("kind", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),  # when the file was written
    CheckConstraint("kind IN ('training_set', 'candidate', 'fit', 'evidence', 'version')", name="kind_is_known"),
)
