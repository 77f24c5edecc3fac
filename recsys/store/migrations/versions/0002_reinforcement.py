"""Recommendation tracker, API keys, erasures, announcements, flags of brigading."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import BigIntegerKey, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Columns are added in place, with their constraints: SQLite would otherwise copy the table and drop the old one, and
# with foreign keys on, dropping a table deletes what refers to it.
NEW_COLUMNS = (
    "ALTER TABLE recommendation_sets ADD COLUMN kind TEXT NOT NULL DEFAULT 'published'"
    " CONSTRAINT ck_recommendation_sets_kind_is_known CHECK (kind IN ('published', 'adjusted'))",
    "ALTER TABLE recommendation_sets ADD COLUMN calibration JSON",
    "ALTER TABLE recommendation_entries ADD COLUMN predicted_score FLOAT"
    " CONSTRAINT ck_recommendation_entries_predicted_score_is_a_share CHECK (predicted_score BETWEEN 0 AND 1)",
    "ALTER TABLE user_dislikes ADD COLUMN claimed_score FLOAT"
    " CONSTRAINT ck_user_dislikes_claimed_score_is_a_share CHECK (claimed_score BETWEEN 0 AND 1)",
    "ALTER TABLE user_dislikes ADD COLUMN item_was_known BOOLEAN NOT NULL DEFAULT {true}",
    "ALTER TABLE dislike_patterns ADD COLUMN lift FLOAT",
)


def upgrade() -> None:
    """Adds columns and tables."""
    true = sa.true().compile(dialect=op.get_bind().dialect)  # SQLite has 1
    for statement in NEW_COLUMNS:
        op.execute(statement.format(true=true))
    with op.batch_alter_table("dislike_feedback_impact") as impact:  # nothing refers to it
        impact.alter_column("model_version_id", existing_type=sa.Text(), nullable=True)
    op.create_table(
        "recommendation_exposures",
        sa.Column("exposure_id", BigIntegerKey, nullable=False),
        sa.Column("recommendation_set_id", sa.BigInteger(), nullable=False),
        sa.Column("num_items", sa.Integer(), nullable=False),
        sa.Column("served_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("num_items >= 0", name=op.f("ck_recommendation_exposures_num_items_is_a_count")),
        sa.ForeignKeyConstraint(
            ["recommendation_set_id"],
            ["recommendation_sets.recommendation_set_id"],
            name=op.f("fk_recommendation_exposures_recommendation_set_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("exposure_id", name=op.f("pk_recommendation_exposures")),
        sqlite_autoincrement=True,
    )
    for column in ("recommendation_set_id", "served_at"):
        op.create_index(op.f(f"ix_recommendation_exposures_{column}"), "recommendation_exposures", [column])
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
        sa.CheckConstraint("name <> ''", name=op.f("ck_api_keys_name_is_not_empty")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "erasures",
        sa.Column("erasure_id", BigIntegerKey, nullable=False),
        sa.Column("user_hash", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=False),
        sa.Column("num_rows", sa.JSON(), nullable=False),
        sa.Column("batches", sa.JSON(), nullable=False),
        sa.Column("model_versions", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasures")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_erasures_user_hash"), "erasures", ["user_hash"])
    op.create_table(
        "backlog_announcements",
        sa.Column("after_batch", sa.Text(), nullable=False),
        sa.Column("backlog", sa.Integer(), nullable=False),
        sa.Column("noticed_at", UtcDateTime(), nullable=False),
        sa.Column("posted_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("after_batch", name=op.f("pk_backlog_announcements")),
    )
    op.create_table(
        "brigading_flags",
        sa.Column("dislike_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("num_users", sa.Integer(), nullable=False),
        sa.Column("num_opinions", sa.Integer(), nullable=False),
        sa.Column("p_value", sa.Float(), nullable=False),
        sa.Column("released_at", UtcDateTime()),
        sa.Column("note", sa.Text()),
        sa.CheckConstraint("starts_at <= ends_at", name=op.f("ck_brigading_flags_starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["dislike_id"], ["user_dislikes.dislike_id"], name=op.f("fk_brigading_flags_dislike_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_brigading_flags_item_id")),
        sa.PrimaryKeyConstraint("dislike_id", name=op.f("pk_brigading_flags")),
    )
    op.create_index(op.f("ix_brigading_flags_item_id_starts_at"), "brigading_flags", ["item_id", "starts_at"])


def downgrade() -> None:
    """Drops what was added, and with it what was recorded there."""
    for table in (
        "brigading_flags", "backlog_announcements", "erasures", "api_keys", "recommendation_exposures",
    ):  # fmt: skip
        op.drop_table(table)
    op.execute("DELETE FROM dislike_feedback_impact WHERE model_version_id IS NULL")
    with op.batch_alter_table("dislike_feedback_impact") as impact:
        impact.alter_column("model_version_id", existing_type=sa.Text(), nullable=False)
    op.execute("DELETE FROM recommendation_sets WHERE kind = 'adjusted'")
    for statement in NEW_COLUMNS:
        table, column = statement.split()[2], statement.split()[5]
        op.drop_column(table, column)
