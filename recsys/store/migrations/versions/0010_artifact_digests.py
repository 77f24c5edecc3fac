"""What bytes the files of runs and versions had when they were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of files that are there already nothing is known until `recsys models check --adopt` looks at them."""
    op.create_table(
        "artifact_digests",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('training_set', 'candidate', 'fit', 'evidence', 'version')",
            name=op.f("ck_artifact_digests_kind_is_known"),
        ),
        sa.PrimaryKeyConstraint("owner", "kind", "path", name=op.f("pk_artifact_digests")),
    )


def downgrade() -> None:
    """Drops them: files are used as they are again."""
    op.drop_table("artifact_digests")
