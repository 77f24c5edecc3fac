"""Publications: what is served follows from the audit of champions, and lists take a fourth of the space."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from recsys.store.column_types import BigIntegerKey, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PUBLISHED = sa.text("kind = 'published'")
FOR_EVERYBODY_ELSE = sa.text("kind = 'published' AND user_id IS NULL")
SETS, ENTRIES, EXPOSURES = "recommendation_sets", "recommendation_entries", "recommendation_exposures"


def upgrade() -> None:
    """Each (version, cut-off) with lists becomes a complete publication; reasons and contributions move to their list.

    The tables of lists and entries are made anew, since SQLite cannot take a constraint away from one. `migrate` does not
    watch foreign keys meanwhile, so what refers to a list goes on doing so.
    """
    _make_publications()
    op.execute(
        "INSERT INTO publications (model_version, as_of, attempt, started_at, completed_at)"
        " SELECT model_version, as_of, 1, min(created_at), max(created_at) FROM recommendation_sets"
        " WHERE kind = 'published' GROUP BY model_version, as_of ORDER BY min(recommendation_set_id)"
    )
    if op.get_bind().dialect.name == "sqlite":
        _renew_sets()
        _renew_entries()
    else:
        _change_sets()
        _pack_explanations(ENTRIES)
        op.drop_constraint("uq_recommendation_entries_recommendation_set_id_item_id", ENTRIES)
        op.drop_column(ENTRIES, "reason")
        op.drop_column(ENTRIES, "contributions")
    op.create_index(op.f("ix_recommendation_sets_user_id_publication_id"), SETS, ["user_id", "publication_id"])
    op.create_index(
        "uq_recommendation_sets_one_per_publication_and_user", SETS, ["publication_id", "user_id"], unique=True,
        sqlite_where=PUBLISHED, postgresql_where=PUBLISHED,
    )  # fmt: skip
    op.create_index(
        "uq_recommendation_sets_for_everybody_else", SETS, ["publication_id"], unique=True,
        sqlite_where=FOR_EVERYBODY_ELSE, postgresql_where=FOR_EVERYBODY_ELSE,
    )  # fmt: skip


def _make_publications() -> None:
    op.create_table(
        "publications",
        sa.Column("publication_id", BigIntegerKey, nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("completed_at", UtcDateTime()),
        sa.Column("withdrawn_at", UtcDateTime()),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_publications_attempt_starts_at_1")),
        sa.PrimaryKeyConstraint("publication_id", name=op.f("pk_publications")),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("completed_at IS NULL")
    op.create_index(
        "uq_publications_one_is_open_per_version", "publications", ["model_version"], unique=True,
        sqlite_where=is_open, postgresql_where=is_open,
    )  # fmt: skip


def _publication_of(sets: str) -> str:
    return (
        f"(SELECT publication_id FROM publications WHERE {sets}.kind = 'published'"
        f" AND publications.model_version = {sets}.model_version AND publications.as_of = {sets}.as_of)"
    )


def _change_sets() -> None:
    op.drop_index("ix_recommendation_sets_user_id_created_at", SETS)
    op.drop_index("uq_recommendation_sets_for_everybody_else", SETS)
    op.drop_constraint("uq_recommendation_sets_model_version_as_of_user_id", SETS)
    op.add_column(SETS, sa.Column("publication_id", sa.BigInteger()))
    op.add_column(SETS, sa.Column("is_gone", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(SETS, sa.Column("digest", sa.LargeBinary()))
    op.add_column(SETS, sa.Column("explanations", sa.LargeBinary()))
    op.execute(f"UPDATE {SETS} SET publication_id = {_publication_of(SETS)}")
    op.create_foreign_key(
        op.f("fk_recommendation_sets_publication_id"), SETS, "publications", ["publication_id"], ["publication_id"]
    )
    op.create_check_constraint(
        op.f("ck_recommendation_sets_published_lists_name_a_publication"), SETS,
        "kind <> 'published' OR publication_id IS NOT NULL",
    )  # fmt: skip


def _renew_sets() -> None:
    op.create_table(
        "new_sets",
        sa.Column("recommendation_set_id", BigIntegerKey, nullable=False),
        sa.Column("publication_id", sa.BigInteger()),
        sa.Column("user_id", sa.Text()),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, server_default="published"),
        sa.Column("is_gone", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("calibration", sa.JSON()),
        sa.Column("adjustment_power", sa.Float(), nullable=False, server_default=sa.text("1")),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column("explanations", sa.LargeBinary()),
        sa.CheckConstraint("kind IN ('published', 'adjusted')", name=op.f("ck_recommendation_sets_kind_is_known")),
        sa.CheckConstraint("adjustment_power > 0", name=op.f("ck_recommendation_sets_adjustment_power_is_positive")),
        sa.CheckConstraint(
            "kind <> 'published' OR publication_id IS NOT NULL",
            name=op.f("ck_recommendation_sets_published_lists_name_a_publication"),
        ),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["publications.publication_id"], name=op.f("fk_recommendation_sets_publication_id")
        ),
        sa.PrimaryKeyConstraint("recommendation_set_id", name=op.f("pk_recommendation_sets")),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO new_sets SELECT recommendation_set_id, "
        f"{_publication_of('old')}, user_id, model_version, as_of, created_at, kind, 0, calibration, adjustment_power,"
        f" NULL, NULL FROM {SETS} AS old"
    )
    # Numbers that were given once are not given again: dislikes and clients know them.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'new_sets'")
    op.execute(f"INSERT INTO sqlite_sequence SELECT 'new_sets', seq FROM sqlite_sequence WHERE name = '{SETS}'")
    op.drop_table(SETS)
    op.rename_table("new_sets", SETS)


def _renew_entries() -> None:
    op.create_table(
        "new_entries",
        sa.Column("recommendation_set_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("predicted_score", sa.Float()),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_recommendation_entries_rank_starts_at_1")),
        sa.CheckConstraint(
            "predicted_score BETWEEN 0 AND 1", name=op.f("ck_recommendation_entries_predicted_score_is_a_share")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_recommendation_entries_item_id")),
        sa.ForeignKeyConstraint(
            ["recommendation_set_id"],
            ["recommendation_sets.recommendation_set_id"],
            name=op.f("fk_recommendation_entries_recommendation_set_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recommendation_set_id", "rank", name=op.f("pk_recommendation_entries")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO new_entries SELECT recommendation_set_id, rank, item_id, score, predicted_score"
        f" FROM {ENTRIES} ORDER BY recommendation_set_id, rank"
    )
    _pack_explanations(ENTRIES)
    op.drop_table(ENTRIES)
    op.rename_table("new_entries", ENTRIES)


def _pack_explanations(entries: str) -> None:
    """Writes `explanations`, as `store.list_content` does today."""
    bind = op.get_bind()
    query = sa.text(
        f"SELECT sets.recommendation_set_id, rank, reason, contributions FROM {SETS} AS sets LEFT JOIN {entries} AS entries"
        " ON entries.recommendation_set_id = sets.recommendation_set_id ORDER BY sets.recommendation_set_id, rank"
    )
    packed = _packed(bind.execute(query, execution_options={"yield_per": 10_000}))
    content = sa.bindparam("content", type_=sa.LargeBinary())
    statement = sa.text(f"UPDATE {SETS} SET explanations = :content WHERE recommendation_set_id = :number")
    if rows := list(packed):  # all are read before the first is written
        bind.execute(statement.bindparams(content), rows)


def _packed(found: Iterable[Any]) -> Iterator[dict[str, object]]:
    for number, own in groupby(found, key=lambda row: row[0]):
        explained = [
            [reason, json.loads(terms) if isinstance(terms, str) else terms]
            for _, rank, reason, terms in own
            if rank is not None
        ]
        yield {"number": number, "content": zlib.compress(json.dumps(explained, ensure_ascii=False).encode())}


def downgrade() -> None:
    """Makes the tables as they were, without lists: publish them again. Exposures go with them; dislikes stay."""
    for table in (EXPOSURES, ENTRIES):
        op.execute(f"DELETE FROM {table}")
    op.execute("UPDATE user_dislikes SET recommendation_set_id = NULL")
    op.execute(f"DELETE FROM {SETS}")
    if op.get_bind().dialect.name == "sqlite":
        for table, definition in FORMER.items():
            op.drop_table(table)
            op.execute(f"CREATE TABLE {table} ({definition})")
    else:
        op.add_column(ENTRIES, sa.Column("reason", sa.Text(), nullable=False))
        op.add_column(ENTRIES, sa.Column("contributions", sa.JSON(), nullable=False))
        op.create_unique_constraint(
            f"uq_{ENTRIES}_recommendation_set_id_item_id", ENTRIES, ["recommendation_set_id", "item_id"]
        )
        for column in ("publication_id", "is_gone", "digest", "explanations"):  # indexes and checks go with them
            op.drop_column(SETS, column)
        op.create_unique_constraint(
            f"uq_{SETS}_model_version_as_of_user_id", SETS, ["model_version", "as_of", "user_id"]
        )
    op.drop_table("publications")
    op.create_index(op.f("ix_recommendation_sets_user_id_created_at"), SETS, ["user_id", "created_at"])
    op.create_index(
        "uq_recommendation_sets_for_everybody_else", SETS, ["model_version", "as_of"], unique=True,
        sqlite_where=sa.text("user_id IS NULL"), postgresql_where=sa.text("user_id IS NULL"),
    )  # fmt: skip


# A column that 0002 or 0004 added has its constraint beside it, as there: they drop the column.
FORMER = {
    ENTRIES: """recommendation_set_id BIGINT NOT NULL, rank INTEGER NOT NULL, item_id TEXT NOT NULL, score FLOAT NOT NULL,
        reason TEXT NOT NULL, contributions JSON NOT NULL, predicted_score FLOAT
            CONSTRAINT ck_recommendation_entries_predicted_score_is_a_share CHECK (predicted_score BETWEEN 0 AND 1),
        CONSTRAINT pk_recommendation_entries PRIMARY KEY (recommendation_set_id, rank),
        CONSTRAINT ck_recommendation_entries_rank_starts_at_1 CHECK (rank >= 1),
        CONSTRAINT fk_recommendation_entries_item_id FOREIGN KEY(item_id) REFERENCES items (item_id),
        CONSTRAINT fk_recommendation_entries_recommendation_set_id FOREIGN KEY(recommendation_set_id)
            REFERENCES recommendation_sets (recommendation_set_id) ON DELETE CASCADE,
        CONSTRAINT uq_recommendation_entries_recommendation_set_id_item_id UNIQUE (recommendation_set_id, item_id)""",
    SETS: """recommendation_set_id INTEGER NOT NULL CONSTRAINT pk_recommendation_sets PRIMARY KEY AUTOINCREMENT,
        user_id TEXT, model_version TEXT NOT NULL, as_of VARCHAR(27) NOT NULL, created_at VARCHAR(27) NOT NULL,
        kind TEXT NOT NULL DEFAULT 'published'
            CONSTRAINT ck_recommendation_sets_kind_is_known CHECK (kind IN ('published', 'adjusted')),
        calibration JSON, adjustment_power FLOAT NOT NULL DEFAULT 1
            CONSTRAINT ck_recommendation_sets_adjustment_power_is_positive CHECK (adjustment_power > 0),
        CONSTRAINT uq_recommendation_sets_model_version_as_of_user_id UNIQUE (model_version, as_of, user_id)""",
}
