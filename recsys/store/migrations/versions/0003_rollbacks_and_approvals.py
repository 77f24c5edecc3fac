"""How a version became champion, and who let it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns in place: SQLite would copy the table for anything else."""
    op.execute(
        "ALTER TABLE model_promotions ADD COLUMN kind TEXT NOT NULL DEFAULT 'promotion'"
        " CONSTRAINT ck_model_promotions_kind_is_known CHECK (kind IN ('promotion', 'rollback'))"
    )
    op.add_column("model_promotions", sa.Column("approved_by", sa.Text()))
    op.add_column("model_promotions", sa.Column("approved_at", UtcDateTime()))


def downgrade() -> None:
    """Drops the columns; a rollback then looks like a promotion."""
    for name in ("approved_at", "approved_by", "kind"):
        op.drop_column("model_promotions", name)
