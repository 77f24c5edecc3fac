"""Titles are found by a digest: an index entry of a long title is more than PostgreSQL takes."""

from __future__ import annotations

import hashlib
from itertools import islice

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

CHUNK_SIZE = 5_000


def upgrade() -> None:
    """Adds the digest in place on both databases, fills it for the rows that are there, and moves the index to it."""
    op.execute("ALTER TABLE items ADD COLUMN title_hash TEXT NOT NULL DEFAULT ''")
    bind = op.get_bind()
    rows = iter(bind.execute(sa.text("SELECT item_id, title_key FROM items")).all())
    update = sa.text("UPDATE items SET title_hash = :digest WHERE item_id = :item_id")
    while chunk := list(islice(rows, CHUNK_SIZE)):
        bind.execute(
            update,
            [{"item_id": row.item_id, "digest": hashlib.sha256(row.title_key.encode()).hexdigest()} for row in chunk],
        )
    op.drop_index("ix_items_title_key", "items")
    op.create_index(op.f("ix_items_title_hash"), "items", ["title_hash"])


def downgrade() -> None:
    """Drops it. On PostgreSQL this fails, and changes nothing, once a title is longer than an index entry may be."""
    op.create_index(op.f("ix_items_title_key"), "items", ["title_key"])
    op.drop_index("ix_items_title_hash", "items")
    op.drop_column("items", "title_hash")
