"""How much of the database the recommendation lists take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError

from recsys.store.tables import recommendation_entries, recommendation_sets

LISTS = (recommendation_sets.name, recommendation_entries.name)


@dataclass(frozen=True)
class ListsSize:
    """Number of lists, and bytes of their tables with indexes; None where the database cannot say."""

    num_lists: int
    num_bytes: int | None


def read_lists_size(connection: Connection) -> ListsSize:
    """Counts the lists and asks the database for their size."""
    num_lists = connection.execute(select(func.count()).select_from(recommendation_sets)).scalar_one()
    if connection.dialect.name == "postgresql":
        total = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
        return ListsSize(num_lists, sum(connection.scalars(total, {"name": name}).one() for name in LISTS))
    own = text("SELECT name FROM sqlite_master WHERE tbl_name IN :lists").bindparams(bindparam("lists", expanding=True))
    trees = connection.scalars(own, {"lists": LISTS}).all()  # the tables and their indexes
    size = text("SELECT sum(pgsize) FROM dbstat WHERE name = :tree")
    try:
        return ListsSize(num_lists, sum(connection.scalars(size, {"tree": tree}).one() or 0 for tree in trees))
    except DBAPIError:  # this SQLite was built without dbstat
        return ListsSize(num_lists, None)
