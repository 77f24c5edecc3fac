"""The list of reasons stands in the code only: `recsys.records.Dislike` refuses any other before a store sees it."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NAME = "ck_user_dislikes_reason_is_known"
CHECK = "reason IN ('wrong_genre', 'poor_quality', 'not_interested', 'tired_of_franchise', 'already_watched', 'unspecified')"
IN_TABLE = re.compile(rf"(,\s*|\s+)CONSTRAINT {NAME} CHECK \(reason IN \([^)]*\)\)")
COLUMN = "reason TEXT NOT NULL"


def upgrade() -> None:
    """Drops the check; on SQLite without copying the table, in the way that its documentation of ALTER TABLE gives."""
    if op.get_bind().dialect.name == "sqlite":
        _define(IN_TABLE.sub("", _definition()))
    else:
        op.drop_constraint(op.f(NAME), "user_dislikes", type_="check")


def downgrade() -> None:
    """Puts it back; fails, and changes nothing, once there is a dislike for another reason."""
    if op.get_bind().dialect.name != "sqlite":
        op.create_check_constraint(op.f(NAME), "user_dislikes", CHECK)
        return
    others = op.get_bind().execute(sa.text(f"SELECT count(*) FROM user_dislikes WHERE NOT ({CHECK})")).scalar_one()
    if others:
        raise RuntimeError(f"Expected dislikes for the reasons of revision 0011 only, found {others} for others.")
    _define(_definition().replace(COLUMN, f"{COLUMN} CONSTRAINT {NAME} CHECK ({CHECK})"))


def _definition() -> str:
    query = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'user_dislikes'")
    return str(op.get_bind().execute(query).scalar_one())


def _define(definition: str) -> None:
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    change = sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'user_dislikes'")
    connection.execute(change, {"sql": definition})
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
