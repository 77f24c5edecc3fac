"""How a version answers to feature adjustments, with every list of it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column in place: SQLite would copy the table for anything else."""
    op.execute(
        "ALTER TABLE recommendation_sets ADD COLUMN adjustment_power FLOAT NOT NULL DEFAULT 1"
        " CONSTRAINT ck_recommendation_sets_adjustment_power_is_positive CHECK (adjustment_power > 0)"
    )


def downgrade() -> None:
    """Drops the column; lists are then adjusted as of a version that was fitted with power 1."""
    op.drop_column("recommendation_sets", "adjustment_power")
