"""When a row was imported, by how many days its stream was moved, and the cut-off that patterns were measured as of."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, Text

from recsys.store.column_types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds nullable columns, in place on both databases.

    Of rows that are there nobody knows when they were imported: they stay as if recorded here. Patterns were identified
    under their cut-off until now.
    """
    for table in ("interactions", "user_dislikes"):
        op.add_column(table, Column("imported_at", UtcDateTime()))
    op.add_column("dislike_patterns", Column("as_of", UtcDateTime()))
    op.execute("UPDATE dislike_patterns SET as_of = identified_at")
    op.create_index("ix_dislike_patterns_user_id_as_of", "dislike_patterns", ["user_id", "as_of"])
    op.drop_index("ix_dislike_patterns_user_id_identified_at", "dislike_patterns")
    op.create_table(
        "stream_shifts",
        Column("source", Text, nullable=False),
        Column("file_name", Text, nullable=False),
        Column("shift_days", Integer, nullable=False),
        Column("created_at", UtcDateTime(), nullable=False),
        PrimaryKeyConstraint("source", "file_name", name=op.f("pk_stream_shifts")),
        CheckConstraint("file_name <> ''", name=op.f("ck_stream_shifts_file_name_is_not_empty")),
    )


def downgrade() -> None:
    """Drops them; patterns keep the time at which they were identified."""
    op.drop_table("stream_shifts")
    op.create_index("ix_dislike_patterns_user_id_identified_at", "dislike_patterns", ["user_id", "identified_at"])
    op.drop_index("ix_dislike_patterns_user_id_as_of", "dislike_patterns")
    op.drop_column("dislike_patterns", "as_of")
    for table in ("user_dislikes", "interactions"):
        op.drop_column(table, "imported_at")
