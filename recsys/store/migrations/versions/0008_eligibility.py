"""When items may be recommended, how that changed, and what users want to see no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import BigIntegerKey, UtcDateTime

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

# Columns are added in place, with their constraints: SQLite would copy the table for anything else, and dropping the old
# one would delete what refers to it.
NEW_COLUMNS = (
    "ALTER TABLE items ADD COLUMN tags JSON",
    "ALTER TABLE items ADD COLUMN available_from {time}",
    "ALTER TABLE items ADD COLUMN available_until {time}"
    " CONSTRAINT ck_items_available_for_some_time CHECK (available_until > available_from)",
    "ALTER TABLE items ADD COLUMN is_hidden BOOLEAN NOT NULL DEFAULT {false}",
)


def upgrade() -> None:
    """Every item that is there stays visible and available at any time."""
    dialect = op.get_bind().dialect
    words = {"time": UtcDateTime().compile(dialect=dialect), "false": sa.false().compile(dialect=dialect)}
    for statement in NEW_COLUMNS:
        op.execute(statement.format(**words))
    op.create_table(
        "item_changes",
        sa.Column("change_id", BigIntegerKey, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.Column("available_from", UtcDateTime()),
        sa.Column("available_until", UtcDateTime()),
        sa.Column("tags", sa.JSON()),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_item_changes_item_id")),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_item_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_item_changes_item_id"), "item_changes", ["item_id"])
    op.create_table(
        "user_exclusions",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime()),
        sa.CheckConstraint("user_id <> ''", name=op.f("ck_user_exclusions_user_id_is_not_empty")),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_user_exclusions_item_id")),
        sa.PrimaryKeyConstraint("user_id", "item_id", name=op.f("pk_user_exclusions")),
    )
    op.create_index(op.f("ix_user_exclusions_item_id"), "user_exclusions", ["item_id"])


def downgrade() -> None:
    """Drops all of it: hidden items may be recommended again."""
    op.drop_table("user_exclusions")
    op.drop_table("item_changes")
    for name in ("is_hidden", "available_until", "available_from", "tags"):
        op.drop_column("items", name)
