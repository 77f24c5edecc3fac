"""Deleting lists that nobody was ever shown. What an exposure or a dislike refers to stays.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, or_, select, update

from recsys.records import SetKind
from recsys.store.recommendations import served_publication
from recsys.store.tables import publications, recommendation_exposures, recommendation_sets, user_dislikes

PAGES_PER_STEP = 256  # 1 MiB


def withdraw(connection: Connection, kept_versions: Collection[str], now: datetime) -> None:
    """Takes the lists of all other versions out of service, but for those that are served; the first time counts."""
    served = served_publication(connection)
    table = publications.c
    kept = {*kept_versions, *(() if served is None else (served.model_version,))}
    chosen = update(publications).where(
        table.model_version.not_in(kept), table.completed_at.is_not(None), table.withdrawn_at.is_(None)
    )
    connection.execute(chosen.values(withdrawn_at=now))


def interrupt(connection: Connection, started_before: datetime) -> None:
    """Keeps whoever still writes such an old publication from going on, since what it wrote may be deleted."""
    table = publications.c
    old = update(publications).where(table.completed_at.is_(None), table.started_at < started_before)
    connection.execute(old.values(attempt=table.attempt + 1))


def unseen_lists(
    connection: Connection, kept_versions: Collection[str] | None = None, made_before: datetime | None = None
) -> list[int]:
    """Lists that are not served any more and that nobody was shown, by number.

    Args:
        connection: in a transaction.
        kept_versions: lists of others are not served, withdrawn or not; None: only those that were withdrawn.
        made_before: only lists that are older; then also what dead processes left.
    """
    table, of = recommendation_sets.c, publications.c
    not_kept = false() if kept_versions is None else of.model_version.not_in(list(kept_versions))
    is_over = of.completed_at.is_not(None) & or_(of.withdrawn_at.is_not(None), not_kept, _is_replaced())
    query = (
        select(table.recommendation_set_id)
        .join_from(recommendation_sets, publications, isouter=True)
        .where(~_is_referred_to())
        .order_by(table.recommendation_set_id)
    )
    if made_before is None:
        query = query.where(table.kind == SetKind.PUBLISHED, is_over)
    else:
        is_left = or_(table.kind == SetKind.ADJUSTED, of.completed_at.is_(None) & (of.started_at < made_before))
        query = query.where(
            or_(and_(table.kind == SetKind.PUBLISHED, is_over), is_left), table.created_at < made_before
        )
    return list(connection.scalars(query))


def _is_replaced() -> ColumnElement[bool]:
    """Whether a later complete publication of the version has another row for the user."""
    later_set, later = recommendation_sets.alias("later_set"), publications.alias("later")
    table = recommendation_sets.c
    return exists(
        select(later_set.c.recommendation_set_id)
        .join_from(later_set, later, later.c.publication_id == later_set.c.publication_id)
        .where(
            later_set.c.user_id.is_not_distinct_from(table.user_id), later_set.c.kind == SetKind.PUBLISHED,
            later_set.c.publication_id > table.publication_id, later.c.model_version == table.model_version,
            later.c.completed_at.is_not(None), later.c.withdrawn_at.is_(None),
        )
        .correlate(recommendation_sets)
    )  # fmt: skip


def _is_referred_to() -> ColumnElement[bool]:
    number = recommendation_sets.c.recommendation_set_id
    return or_(
        exists().where(recommendation_exposures.c.recommendation_set_id == number),
        exists().where(user_dislikes.c.recommendation_set_id == number),
    )


def delete_unseen(connection: Connection, set_ids: Sequence[int]) -> int:
    """Deletes those of some lists that still nobody was shown; returns how many."""
    table = recommendation_sets.c
    chosen = table.recommendation_set_id.in_(set_ids)
    # Whoever is about to note that one was shown holds its row: this waits, and then sees the note.
    connection.execute(
        select(table.recommendation_set_id).where(chosen).order_by(table.recommendation_set_id).with_for_update()
    )
    return int(connection.execute(delete(recommendation_sets).where(chosen, ~_is_referred_to())).rowcount)


def give_pages_back(connection: Connection) -> bool:
    """Shortens a SQLite file by some of its unused pages; returns whether there are more. PostgreSQL does so by itself."""
    if connection.dialect.name != "sqlite":
        return False
    pragma = connection.exec_driver_sql
    before = int(pragma("PRAGMA freelist_count").scalar_one())
    driver: Any = connection.connection.driver_connection
    # A page is freed for each of its rows, which have no columns: SQLAlchemy takes that for no rows at all.
    driver.execute(f"PRAGMA incremental_vacuum({PAGES_PER_STEP})").fetchall()
    left = int(pragma("PRAGMA freelist_count").scalar_one())
    return 0 < left < before  # a file that was made without auto_vacuum keeps its pages, and uses them again
