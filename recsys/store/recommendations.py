"""Lists as users get them: which one is served, and what was shown. Every function works in the caller's transaction.

What is served belongs to the champion of the audit. Of the versions that have lists it is the one that became champion last,
by the sequence number of `model_promotions`, with its newest complete publication, by number. So a new champion's lists
are served from the commit on that completes its first publication, the lists of the champion before it until then, and a
version that is rolled back to has its lists at once. No time is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, or_, select

from recsys.records import RecommendationSet, SetKind
from recsys.store.list_content import PreparedList, entry_row, to_entries
from recsys.store.tables import (
    items,
    model_promotions,
    publications,
    recommendation_entries,
    recommendation_exposures,
    recommendation_sets,
)
from recsys.store.tombstones import erased_among


@dataclass(frozen=True)
class Publication:
    """One time that the lists of a version were published; a row of `publications`.

    `attempt`: which process writes it, the newest one. `completed_at`: None while it is written. `withdrawn_at`: its lists
    are no longer served.
    """

    publication_id: int
    model_version: str
    as_of: datetime
    attempt: int
    started_at: datetime
    completed_at: datetime | None = None
    withdrawn_at: datetime | None = None


@dataclass(frozen=True)
class ServedLists:
    """What a user may be served, from one snapshot.

    Attributes:
        publication: that everybody is served from.
        own: the user's list, None without one.
        strangers: for users without one of their own.
        is_erased: the user was erased: nothing about them may be kept.
    """

    publication: Publication
    own: RecommendationSet | None
    strangers: RecommendationSet | None
    is_erased: bool = False


def served_publication(connection: Connection) -> Publication | None:
    """The publication that is served; None as long as none is complete.

    Versions that were never champion come last: only a store whose lists were not published by the loop has such.
    """
    audit, table = model_promotions.c, publications.c
    newest = select(func.max(audit.sequence)).scalar_subquery()
    # A row before the newest one that is not complete made nobody champion; the newest does, see `nightly.champion_line`.
    made_champion = or_(audit.is_complete, audit.sequence == newest)
    champions = (
        select(audit.to_version, func.max(audit.sequence).label("sequence"))
        .where(made_champion)
        .group_by(audit.to_version)
        .subquery()
    )
    query = (
        select(publications)
        .join_from(publications, champions, champions.c.to_version == table.model_version, isouter=True)
        .where(table.completed_at.is_not(None), table.withdrawn_at.is_(None))
        .order_by(func.coalesce(champions.c.sequence, 0).desc(), table.publication_id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Publication(**row._mapping)


def served_lists(connection: Connection, user_id: str) -> ServedLists | None:
    """A user's list and the one for users without, both of the publication that is served; None without any."""
    publication = served_publication(connection)
    if publication is None:
        return None
    is_erased = bool(erased_among(connection, [user_id], holds=False))
    own, strangers = (published_list(connection, publication, whose) for whose in (user_id, None))
    return ServedLists(publication, own, strangers, is_erased)


def published_list(connection: Connection, publication: Publication, user_id: str | None) -> RecommendationSet | None:
    """A user's list in a complete publication; None: the one for users without one of their own.

    A list that did not change since an earlier publication is that one's row: it is as of this one's cut-off all the same.
    """
    table = recommendation_sets.c
    whose = table.user_id.is_(None) if user_id is None else table.user_id == user_id
    query = in_effect(publication.model_version).where(whose)
    row = connection.execute(query.order_by(table.publication_id.desc()).limit(1)).one_or_none()
    return None if row is None or row.is_gone else _to_set(connection, row, publication)


def in_effect(model_version: str) -> Select[Any]:
    """Lists of the complete publications of a version; of a user's the one of the newest publication counts."""
    table = recommendation_sets.c
    return (
        select(recommendation_sets)
        .join_from(recommendation_sets, publications, publications.c.publication_id == table.publication_id)
        .where(
            table.kind == SetKind.PUBLISHED, publications.c.model_version == model_version,
            publications.c.completed_at.is_not(None), publications.c.withdrawn_at.is_(None),
        )
    )  # fmt: skip


def count_lists(connection: Connection, model_version: str, as_of: datetime) -> int:
    """How many lists there are of a version whose newest publication has this cut-off; 0 if it has another."""
    table, of = recommendation_sets.c, publications.c
    newest = select(of.as_of).where(of.model_version == model_version, of.completed_at.is_not(None))
    if connection.scalars(newest.order_by(of.publication_id.desc()).limit(1)).one_or_none() != as_of:
        return 0
    query = in_effect(model_version).with_only_columns(table.user_id, table.is_gone).order_by(table.publication_id)
    newest_rows = {row.user_id: row for row in connection.execute(query)}
    return sum(not row.is_gone for row in newest_rows.values())


def newest_adjusted_set(
    connection: Connection, user_id: str, publication_id: int, after: datetime | None
) -> RecommendationSet | None:
    """The list that was last made for a user when it was served, from a publication, and `after` their last feedback."""
    table = recommendation_sets.c
    query = select(recommendation_sets).where(
        table.user_id == user_id, table.kind == SetKind.ADJUSTED, table.publication_id == publication_id
    )
    row = connection.execute(query.order_by(table.recommendation_set_id.desc()).limit(1)).one_or_none()
    return None if row is None or (after is not None and row.as_of <= after) else _to_set(connection, row)


def _to_set(connection: Connection, row: Row[Any], publication: Publication | None = None) -> RecommendationSet:
    entries = recommendation_entries
    of_set = select(entries).where(entries.c.recommendation_set_id == row.recommendation_set_id)
    return RecommendationSet(
        user_id=row.user_id, model_version=row.model_version, created_at=row.created_at,
        as_of=row.as_of if publication is None else publication.as_of,
        entries=to_entries(connection.execute(of_set.order_by(entries.c.rank)), row.explanations),
        recommendation_set_id=row.recommendation_set_id, kind=SetKind(row.kind), calibration=row.calibration,
        adjustment_power=row.adjustment_power,
        publication_id=row.publication_id if publication is None else publication.publication_id,
    )  # fmt: skip


def insert_set(connection: Connection, one: PreparedList) -> int | None:
    """Writes one list that was made when it was served, and returns its number.

    None: the user was erased, or an item went with somebody who was, since the list was computed. Nothing is written then.
    """
    user_id = one.given.user_id
    if user_id is not None and erased_among(connection, [user_id]):
        return None
    if not _hold_items(connection, {entry.item_id for entry in one.given.entries}):
        return None
    statement = insert(recommendation_sets).returning(recommendation_sets.c.recommendation_set_id)
    row = {**one.set_row(), "publication_id": one.given.publication_id}
    set_id = int(connection.scalars(statement, [row]).one())
    if one.given.entries:
        connection.execute(insert(recommendation_entries), [entry_row(set_id, entry) for entry in one.given.entries])
    return set_id


def _hold_items(connection: Connection, item_ids: set[str]) -> bool:
    """Keeps items in the catalog until the transaction ends; False if one is not there."""
    held = select(items.c.item_id).where(items.c.item_id.in_(item_ids)).order_by(items.c.item_id)
    return len(connection.execute(held.with_for_update(read=True, key_share=True)).all()) == len(item_ids)


def insert_exposure(connection: Connection, set_id: int, num_items: int, served_at: datetime) -> bool:
    """Notes that a user was shown the first entries of a list; False if the list was replaced and deleted meanwhile."""
    table, exposures = recommendation_sets.c, recommendation_exposures.c
    # Holds the row, so that it is not deleted before this is written.
    held = select(table.recommendation_set_id).where(table.recommendation_set_id == set_id)
    if connection.execute(held.with_for_update(read=True, key_share=True)).one_or_none() is None:
        return False
    values = {exposures.recommendation_set_id: set_id, exposures.num_items: num_items, exposures.served_at: served_at}
    connection.execute(insert(recommendation_exposures).values(values))
    return True
