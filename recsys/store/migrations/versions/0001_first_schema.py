"""The first schema: catalog, feedback, backlog, ledger, promotions, recommendations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import BigIntegerKey, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes all tables."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", BigIntegerKey, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("run_id", "step", name=op.f("uq_decisions_run_id_step")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_decisions_recorded_at"), "decisions", ["recorded_at"])
    op.create_table(
        "dislike_patterns",
        sa.Column("pattern_id", BigIntegerKey, nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("pattern_type", sa.Text(), nullable=False),
        sa.Column("pattern_value", sa.Text(), nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("identified_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("frequency >= 1", name=op.f("ck_dislike_patterns_frequency_is_a_count")),
        sa.PrimaryKeyConstraint("pattern_id", name=op.f("pk_dislike_patterns")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dislike_patterns_user_id_identified_at"), "dislike_patterns", ["user_id", "identified_at"])
    op.create_table(
        "items",
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_key", sa.Text(), nullable=False),
        sa.Column("genres", sa.JSON(), nullable=False),
        sa.Column("cast_members", sa.JSON(), nullable=False),
        sa.Column("franchise", sa.Text()),
        sa.Column("release_year", sa.Integer()),
        sa.Column("tmdb_id", sa.BigInteger()),
        sa.Column("imdb_id", sa.Text()),
        sa.Column("is_placeholder", sa.Boolean(), nullable=False),
        sa.CheckConstraint("item_id <> ''", name=op.f("ck_items_item_id_is_not_empty")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_items")),
    )
    op.create_index(op.f("ix_items_title_key"), "items", ["title_key"])
    op.create_index(op.f("ix_items_tmdb_id"), "items", ["tmdb_id"])
    op.create_table(
        "model_promotions",
        sa.Column("promotion_id", BigIntegerKey, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Text()),
        sa.Column("to_version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("completed_at", UtcDateTime()),
        sa.CheckConstraint(
            "is_complete = (completed_at IS NOT NULL)", name=op.f("ck_model_promotions_complete_promotions_say_when")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_model_promotions_sequence_starts_at_1")),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_model_promotions")),
        sa.UniqueConstraint("run_id", "to_version", name=op.f("uq_model_promotions_run_id_to_version")),
        sa.UniqueConstraint("sequence", name=op.f("uq_model_promotions_sequence")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "recommendation_sets",
        sa.Column("recommendation_set_id", BigIntegerKey, nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("recommendation_set_id", name=op.f("pk_recommendation_sets")),
        sa.UniqueConstraint(
            "model_version", "as_of", "user_id", name=op.f("uq_recommendation_sets_model_version_as_of_user_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_recommendation_sets_user_id_created_at"), "recommendation_sets", ["user_id", "created_at"])
    op.create_index(
        "uq_recommendation_sets_for_everybody_else",
        "recommendation_sets",
        ["model_version", "as_of"],
        unique=True,
        sqlite_where=sa.text("user_id IS NULL"),
        postgresql_where=sa.text("user_id IS NULL"),
    )
    op.create_table(
        "training_batches",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("fit_through", UtcDateTime(), nullable=False),
        sa.Column("champion_version", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("num_examples", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=False),
        sa.Column("lease_expires_at", UtcDateTime(), nullable=False),
        sa.Column("training_set_uri", sa.Text()),
        sa.Column("training_set_digest", sa.Text()),
        sa.Column("num_rows", sa.Integer()),
        sa.Column("data_docs_uri", sa.Text()),
        sa.Column("challenger_version", sa.Text()),
        sa.Column("refit_version", sa.Text()),
        sa.Column("evidence_uri", sa.Text()),
        sa.Column("settled_at", UtcDateTime()),
        sa.Column("taken_over_by", sa.Text()),
        sa.CheckConstraint("batch_id <> ''", name=op.f("ck_training_batches_batch_id_is_not_empty")),
        sa.CheckConstraint(
            "status <> 'used' OR challenger_version IS NOT NULL",
            name=op.f("ck_training_batches_used_batches_name_a_challenger"),
        ),
        sa.CheckConstraint(
            "status = 'claimed' OR settled_at IS NOT NULL", name=op.f("ck_training_batches_closed_batches_say_when")
        ),
        sa.CheckConstraint(
            "status IN ('claimed', 'used', 'released')", name=op.f("ck_training_batches_status_is_known")
        ),
        sa.CheckConstraint("fit_through <= as_of", name=op.f("ck_training_batches_fit_through_is_not_after_as_of")),
        sa.CheckConstraint("num_examples >= 0", name=op.f("ck_training_batches_num_examples_is_a_count")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_training_batches")),
        sa.UniqueConstraint("challenger_version", name=op.f("uq_training_batches_challenger_version")),
    )
    op.create_index(
        "uq_training_batches_one_is_open",
        "training_batches",
        ["status"],
        unique=True,
        sqlite_where=sa.text("status = 'claimed'"),
        postgresql_where=sa.text("status = 'claimed'"),
    )
    op.create_table(
        "interactions",
        sa.Column("interaction_id", BigIntegerKey, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("is_like", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("user_id <> ''", name=op.f("ck_interactions_user_id_is_not_empty")),
        sa.CheckConstraint("recorded_at >= occurred_at", name=op.f("ck_interactions_recorded_after_it_occurred")),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_interactions_item_id")),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_interactions")),
        sa.UniqueConstraint(
            "user_id", "item_id", "kind", "occurred_at", name=op.f("uq_interactions_user_id_item_id_kind_occurred_at")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_interactions_item_id"), "interactions", ["item_id"])
    op.create_index(op.f("ix_interactions_recorded_at"), "interactions", ["recorded_at"])
    op.create_table(
        "recommendation_entries",
        sa.Column("recommendation_set_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("contributions", sa.JSON(), nullable=False),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_recommendation_entries_rank_starts_at_1")),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_recommendation_entries_item_id")),
        sa.ForeignKeyConstraint(
            ["recommendation_set_id"],
            ["recommendation_sets.recommendation_set_id"],
            name=op.f("fk_recommendation_entries_recommendation_set_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recommendation_set_id", "rank", name=op.f("pk_recommendation_entries")),
        sa.UniqueConstraint(
            "recommendation_set_id", "item_id", name=op.f("uq_recommendation_entries_recommendation_set_id_item_id")
        ),
    )
    op.create_table(
        "user_dislikes",
        sa.Column("dislike_id", BigIntegerKey, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("movie_id", sa.BigInteger()),
        sa.Column("movie_title", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("recommendation_set_id", sa.BigInteger()),
        sa.Column("predicted_score", sa.Float()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("feedback_text", sa.Text()),
        sa.Column("genres", sa.JSON(), nullable=False),
        sa.Column("cast_members", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("retracted_at", UtcDateTime()),
        sa.CheckConstraint(
            "reason IN ('wrong_genre', 'poor_quality', 'not_interested', 'tired_of_franchise', 'already_watched', "
            "'unspecified')",
            name=op.f("ck_user_dislikes_reason_is_known"),
        ),
        sa.CheckConstraint("user_id <> ''", name=op.f("ck_user_dislikes_user_id_is_not_empty")),
        sa.CheckConstraint("predicted_score BETWEEN 0 AND 1", name=op.f("ck_user_dislikes_predicted_score_is_a_share")),
        sa.CheckConstraint("recorded_at >= created_at", name=op.f("ck_user_dislikes_recorded_after_it_occurred")),
        sa.CheckConstraint(
            "retracted_at >= recorded_at", name=op.f("ck_user_dislikes_retracted_after_it_was_recorded")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_user_dislikes_item_id")),
        sa.ForeignKeyConstraint(
            ["recommendation_set_id"],
            ["recommendation_sets.recommendation_set_id"],
            name=op.f("fk_user_dislikes_recommendation_set_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("dislike_id", name=op.f("pk_user_dislikes")),
        sa.UniqueConstraint("idempotency_key", "user_id", name=op.f("uq_user_dislikes_idempotency_key_user_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_user_dislikes_item_id"), "user_dislikes", ["item_id"])
    op.create_index(op.f("ix_user_dislikes_recommendation_set_id"), "user_dislikes", ["recommendation_set_id"])
    op.create_index(op.f("ix_user_dislikes_recorded_at"), "user_dislikes", ["recorded_at"])
    op.create_index(op.f("ix_user_dislikes_user_id_created_at"), "user_dislikes", ["user_id", "created_at"])
    op.create_table(
        "dislike_feedback_impact",
        sa.Column("impact_id", BigIntegerKey, nullable=False),
        sa.Column("dislike_id", sa.BigInteger(), nullable=False),
        sa.Column("model_version_id", sa.Text(), nullable=False),
        sa.Column("impact_type", sa.Text(), nullable=False),
        sa.Column("feature_affected", sa.Text(), nullable=False),
        sa.Column("adjustment_magnitude", sa.Float(), nullable=False),
        sa.Column("applied_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "adjustment_magnitude BETWEEN -1 AND 1",
            name=op.f("ck_dislike_feedback_impact_adjustment_magnitude_is_in_range"),
        ),
        sa.ForeignKeyConstraint(
            ["dislike_id"], ["user_dislikes.dislike_id"], name=op.f("fk_dislike_feedback_impact_dislike_id")
        ),
        sa.PrimaryKeyConstraint("impact_id", name=op.f("pk_dislike_feedback_impact")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dislike_feedback_impact_dislike_id"), "dislike_feedback_impact", ["dislike_id"])
    op.create_index(
        op.f("ix_dislike_feedback_impact_model_version_id"), "dislike_feedback_impact", ["model_version_id"]
    )
    op.create_table(
        "negative_training_examples",
        sa.Column("example_id", BigIntegerKey, nullable=False),
        sa.Column("dislike_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("movie_id", sa.BigInteger()),
        sa.Column("movie_title", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("actual_rating", sa.Float(), nullable=False),
        sa.Column("predicted_rating", sa.Float()),
        sa.Column("error", sa.Float()),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("used_in_training", sa.Boolean(), nullable=False),
        sa.Column("batch_id", sa.Text()),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "NOT used_in_training OR batch_id IS NOT NULL", name=op.f("ck_negative_training_examples_used_by_a_batch")
        ),
        sa.CheckConstraint(
            "weight > 0 AND weight <= 1", name=op.f("ck_negative_training_examples_weight_is_in_0_to_1")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["training_batches.batch_id"], name=op.f("fk_negative_training_examples_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["dislike_id"], ["user_dislikes.dislike_id"], name=op.f("fk_negative_training_examples_dislike_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_negative_training_examples_item_id")),
        sa.PrimaryKeyConstraint("example_id", name=op.f("pk_negative_training_examples")),
        sa.UniqueConstraint("dislike_id", name=op.f("uq_negative_training_examples_dislike_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_negative_training_examples_backlog",
        "negative_training_examples",
        ["recorded_at"],
        unique=False,
        sqlite_where=sa.text("batch_id IS NULL"),
        postgresql_where=sa.text("batch_id IS NULL"),
    )
    op.create_index(op.f("ix_negative_training_examples_batch_id"), "negative_training_examples", ["batch_id"])
    op.create_index(op.f("ix_negative_training_examples_item_id"), "negative_training_examples", ["item_id"])


def downgrade() -> None:
    """Drops all tables, and with them everything that was recorded."""
    for table in (
        "dislike_feedback_impact",
        "negative_training_examples",
        "user_dislikes",
        "recommendation_entries",
        "interactions",
        "training_batches",
        "recommendation_sets",
        "model_promotions",
        "items",
        "dislike_patterns",
        "decisions",
    ):
        op.drop_table(table)
