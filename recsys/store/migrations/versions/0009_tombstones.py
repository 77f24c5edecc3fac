"""Erasure is a state: tombstones, users named by a keyed hash, and what still holds an erased user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import UtcDateTime
from recsys.store.user_key import UserKey, plain_hash

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# In place on both databases, with its constraint: SQLite would copy the table for anything else.
NEW_COLUMNS = (
    "ALTER TABLE erasures ADD COLUMN remaining JSON",
    "ALTER TABLE erasures ADD COLUMN completed_at {time}",
    "ALTER TABLE erasures ADD COLUMN lifted_at {time}",
    "ALTER TABLE erasures ADD COLUMN lifted_by TEXT"
    " CONSTRAINT ck_erasures_lifted_by_somebody CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))",
)
FEEDBACK = ("interactions", "user_dislikes", "user_exclusions")


def upgrade() -> None:
    """Names users by the key, and buries those who were erased and are not back.

    A user with feedback was active, or imported, after the erasure, when that was allowed: they are as any other. Of
    anybody else, lists and patterns that were written around the time of the erasure go.
    """
    connection = op.get_bind()
    time = UtcDateTime().compile(dialect=connection.dialect)
    for statement in NEW_COLUMNS:
        op.execute(statement.format(time=time))
    op.create_table(
        "tombstones",
        sa.Column("user_hash", sa.Text(), nullable=False),
        sa.Column("erasure_id", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasures.erasure_id"], name=op.f("fk_tombstones_erasure_id")),
        sa.PrimaryKeyConstraint("user_hash", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "user_keys",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("check_value", sa.Text(), nullable=False),
        sa.CheckConstraint("number = 1", name=op.f("ck_user_keys_there_is_one")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_user_keys")),
    )
    rows = connection.execute(sa.text("SELECT erasure_id, user_hash FROM erasures ORDER BY erasure_id")).all()
    if rows:
        key = connection.get_execution_options()["user_key_file"].make()
        _name_by_key(connection, key, rows)
        _bury(connection, key, {row.user_hash: row.erasure_id for row in rows})


def _name_by_key(connection: sa.Connection, key: UserKey, rows: Sequence[sa.Row[Any]]) -> None:
    connection.execute(sa.text("INSERT INTO user_keys VALUES (1, :value)"), {"value": key.check_value})
    change = sa.text("UPDATE erasures SET user_hash = :hash WHERE erasure_id = :number")
    connection.execute(change, [{"hash": key.keyed(row.user_hash), "number": row.erasure_id} for row in rows])


def _bury(connection: sa.Connection, key: UserKey, newest: dict[str, int]) -> None:
    """`newest`: SHA-256 of a user -> their last erasure."""
    present = {plain_hash(user_id) for table in FEEDBACK for user_id in _users(connection, table)}
    erased = [(digest, number) for digest, number in newest.items() if digest not in present]
    for digest, number in erased:
        connection.execute(
            sa.text(
                "INSERT INTO tombstones SELECT :hash, erasure_id, erased_at FROM erasures WHERE erasure_id = :number"
            ),
            {"hash": key.keyed(digest), "number": number},
        )
    digests = {digest for digest, _ in erased}
    for table in ("recommendation_sets", "dislike_patterns"):
        for user_id in _users(connection, table):
            if plain_hash(user_id) in digests:
                _delete(connection, table, user_id)


def _users(connection: sa.Connection, table: str) -> list[str]:
    query = sa.text(f"SELECT DISTINCT user_id FROM {table} WHERE user_id IS NOT NULL")
    return list(connection.scalars(query))


def _delete(connection: sa.Connection, table: str, user_id: str) -> None:
    if table == "recommendation_sets":  # SQLite enforces no foreign keys in a migration
        own = "(SELECT recommendation_set_id FROM recommendation_sets WHERE user_id = :user)"
        for child in ("recommendation_entries", "recommendation_exposures"):
            connection.execute(sa.text(f"DELETE FROM {child} WHERE recommendation_set_id IN {own}"), {"user": user_id})
    connection.execute(sa.text(f"DELETE FROM {table} WHERE user_id = :user"), {"user": user_id})


def downgrade() -> None:
    """Erased users may be written about again; they keep their keyed names."""
    op.drop_table("user_keys")
    op.drop_table("tombstones")
    with op.batch_alter_table("erasures") as batch:
        batch.drop_constraint(op.f("ck_erasures_lifted_by_somebody"), type_="check")
        for name in ("lifted_by", "lifted_at", "completed_at", "remaining"):
            batch.drop_column(name)
