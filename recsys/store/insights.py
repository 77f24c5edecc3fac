"""What dislikes are about: the backlog's evidence, reasons, features against exposure, patterns.

Every function works in the caller's transaction. Films are counted by the database; what they have in common is added up
here, from the catalog, since neither database can unfold JSON in a way that the other one knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, column, delete, func, insert, or_, select, text

from recsys.feedback.adjustments import ItemFeatures
from recsys.feedback.lifts import Basis, Comparison, ItemCount, basis_of, compare
from recsys.feedback.patterns import DislikeCount, DislikeSummary, Pattern, Severity
from recsys.feedback.triggers import BacklogEvidence
from recsys.records import BatchStatus
from recsys.store.backlog import in_backlog
from recsys.store.catalog import chunks, read_items
from recsys.store.column_types import EARLIEST, UtcDateTime
from recsys.store.queries import load_query
from recsys.store.tables import dislike_patterns, negative_training_examples, training_batches, user_dislikes
from recsys.store.tombstones import erased_among

USERS_PER_QUERY = 500  # a user may have thousands of opinions
MOMENT = timedelta(microseconds=1)


def _rows(connection: Connection, query_name: str, **params: Any) -> Sequence[Row[Any]]:
    """The rows of `sql/<query_name>.sql`. Times are bound as such, lists as the values of an IN."""
    bound: list[BindParameter[Any]] = [
        bindparam(name, type_=UtcDateTime) if isinstance(value, datetime) else bindparam(name, expanding=True)
        for name, value in params.items()
        if isinstance(value, datetime | list)
    ]
    return connection.execute(text(load_query(query_name)).bindparams(*bound), params).all()


def last_recorded_at(connection: Connection, through: datetime) -> datetime | None:
    """When the newest interaction or dislike up to a cut-off was recorded; None while there is nothing."""
    query = text(load_query("last_recorded_at")).bindparams(bindparam("recorded_through", type_=UtcDateTime))
    found = connection.execute(query.columns(column("recorded_at", UtcDateTime)), {"recorded_through": through})
    moment: datetime | None = found.scalar_one()
    return moment


def look_back(connection: Connection, as_of: datetime, days: int) -> datetime:
    """The time after which lie the newest so many UTC days with feedback up to a cut-off; the cut-off without any.

    Days without feedback do not count: a stream that was imported may have ended years ago, and one click today must not
    leave a look at the last 90 days with nothing but that click.
    """
    begin = as_of
    for _ in range(days):
        newest = last_recorded_at(connection, begin)
        if newest is None:
            break
        begin = datetime.combine(newest.date(), time.min, UTC) - MOMENT
    return begin


# The backlog, for the triggers


def backlog_evidence(connection: Connection, as_of: datetime) -> BacklogEvidence:
    """Size, prediction error and features of the backlog; features against what users met since the last batch."""
    examples = negative_training_examples.c
    waiting = in_backlog(as_of)
    numbers = select(
        func.count(), func.count(examples.error), func.avg(examples.error), func.min(examples.recorded_at)
    ).where(waiting)
    num_examples, num_tracked, mean_error, first = connection.execute(numbers).one()
    by_item = select(
        examples.item_id,
        func.count(examples.user_id.distinct()).label("num_dislikes"),
        func.min(examples.user_id).label("first_user_id"),
        func.max(examples.user_id).label("last_user_id"),
    ).where(waiting)
    disliked = connection.execute(by_item.group_by(examples.item_id)).all()
    after = _last_batch(connection, as_of)
    if first is not None:  # given back by a failed run, or imported late: older than the last batch
        after = min(after, first - MOMENT)
    comparison = _compare(connection, disliked, after, as_of)
    # Rounded: databases add in different orders, and a mean of 0.6 must not be above a threshold of 0.6.
    error = None if mean_error is None else round(float(mean_error), 9)
    return BacklogEvidence(num_examples, num_tracked, error, comparison)


def _last_batch(connection: Connection, as_of: datetime) -> datetime:
    table = training_batches.c
    query = select(func.max(table.as_of)).where(table.status != BatchStatus.RELEASED, table.as_of <= as_of)
    moment: datetime | None = connection.execute(query).scalar_one()
    return moment or EARLIEST


def _compare(connection: Connection, disliked: Iterable[Row[Any]], after: datetime, through: datetime) -> Comparison:
    """Dislikes by film against what users met in a time."""
    bounds = {"recorded_after": after, "recorded_through": through}
    shown, opinions = (_rows(connection, name, **bounds) for name in ("shown_items", "opinion_items"))
    basis = basis_of(sum(row.num_met for row in shown), sum(row.num_met for row in opinions))
    met = shown if basis is Basis.EXPOSURES else opinions
    counts = {row.item_id: ItemCount(row.item_id, num_met=int(row.num_met)) for row in met}
    for row in disliked:
        known = counts.get(row.item_id, ItemCount(row.item_id))
        counts[row.item_id] = replace(
            known, num_dislikes=int(row.num_dislikes), first_user_id=row.first_user_id, last_user_id=row.last_user_id
        )
    return compare(counts.values(), _features(connection, counts), basis)


def _features(connection: Connection, item_ids: Iterable[str]) -> dict[str, ItemFeatures]:
    found = read_items(connection, item_ids).items()
    return {item_id: ItemFeatures(item.genres, item.cast, item.franchise) for item_id, item in found}


# Reasons, trend and features, for the patterns


def dislike_summary(connection: Connection, user_id: str | None, as_of: datetime, recent_days: int) -> DislikeSummary:
    """Reasons of all dislikes that hold, and how many there were lately; of one user or of all.

    "Lately" is the newest days with feedback, see `look_back`; "before" as many days with feedback before them.
    """
    recent_after = look_back(connection, as_of, recent_days)
    before_after = look_back(connection, recent_after, recent_days)
    table = user_dislikes.c
    held = (table.recorded_at <= as_of) & or_(table.retracted_at.is_(None), table.retracted_at > as_of)
    if user_id is not None:
        held &= table.user_id == user_id
    query = select(table.reason, func.count().label("num_dislikes")).where(held).group_by(table.reason)
    reasons = sorted(connection.execute(query), key=lambda row: (-row.num_dislikes, row.reason))

    def count(after: datetime, until: datetime) -> DislikeCount:
        within = (table.recorded_at > after) & (table.recorded_at <= until)
        found = connection.execute(select(func.count(), func.avg(table.predicted_score)).where(held, within)).one()
        return DislikeCount(found[0], None if found[1] is None else float(found[1]))

    return DislikeSummary(
        {row.reason: row.num_dislikes for row in reasons},
        recent=count(recent_after, as_of),
        before=count(before_after, recent_after),
    )


def overall_comparison(connection: Connection, as_of: datetime, days: int) -> Comparison:
    """Dislikes of the newest days with feedback, see `look_back`, against what users met then."""
    after = look_back(connection, as_of, days)
    opinions = _rows(connection, "opinion_items", recorded_after=after, recorded_through=as_of)
    return _compare(connection, [row for row in opinions if row.num_dislikes], after, as_of)


def user_comparisons(connection: Connection, user_ids: Sequence[str], as_of: datetime) -> dict[str, Comparison]:
    """Each user's dislikes against what they were shown, or gave an opinion on; of all time."""
    compared: dict[str, Comparison] = {}
    for ids in chunks(user_ids, USERS_PER_QUERY):
        opinions = _rows(connection, "user_opinion_items", user_ids=ids, recorded_through=as_of)
        shown = _rows(connection, "user_shown_items", user_ids=ids, recorded_through=as_of)
        features = _features(connection, {row.item_id for row in [*opinions, *shown]})
        opinions_of, shown_to = _by_user(opinions), _by_user(shown)
        for user_id in ids:
            compared[user_id] = _compare_user(opinions_of.get(user_id, []), shown_to.get(user_id, []), features)
    return compared


def _by_user(rows: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.user_id, []).append(row)
    return found


def _compare_user(opinions: list[Row[Any]], shown: list[Row[Any]], features: Mapping[str, ItemFeatures]) -> Comparison:
    disliked = {row.item_id for row in opinions if row.is_disliked}
    basis = basis_of(sum(row.num_met for row in shown), len(opinions))
    judged, given = {row.item_id: 1 for row in opinions}, {row.item_id: int(row.num_met) for row in shown}
    met = given if basis is Basis.EXPOSURES else judged
    items = [ItemCount(item_id, int(item_id in disliked), met.get(item_id, 0)) for item_id in {*met, *disliked}]
    return compare(items, features, basis)


# Patterns


def users_with_new_dislikes(connection: Connection, as_of: datetime, min_dislikes: int) -> list[str]:
    """Users with a dislike since the measurement before, and so many in all; most new ones first."""
    table = dislike_patterns.c
    before = connection.execute(select(func.max(table.as_of)).where(table.as_of < as_of)).scalar_one()
    rows = _rows(
        connection, "users_with_new_dislikes", recorded_after=before or EARLIEST, recorded_through=as_of,
        min_dislikes=min_dislikes,
    )  # fmt: skip
    return [row.user_id for row in rows]


def replace_patterns(connection: Connection, as_of: datetime, patterns: Sequence[Pattern]) -> int:
    """Makes `patterns` the ones of a cut-off, in place of those that an earlier try left; returns how many.

    Those of users who were erased while they were measured are left out.
    """
    erased = erased_among(connection, {one.user_id for one in patterns if one.user_id is not None})
    connection.execute(delete(dislike_patterns).where(dislike_patterns.c.as_of == as_of))
    rows = [
        {
            "user_id": one.user_id, "pattern_type": one.pattern_type, "pattern_value": one.pattern_value,
            "frequency": one.frequency, "lift": one.lift, "severity": str(one.severity),
            "identified_at": one.identified_at, "as_of": as_of,
        }
        for one in patterns
        if one.user_id not in erased
    ]  # fmt: skip
    if rows:
        connection.execute(insert(dislike_patterns), rows)
    return len(rows)


def newest_patterns(connection: Connection, user_id: str | None, as_of: datetime) -> list[Pattern]:
    """The patterns of one user, or over all (None), of the last measurement up to a cut-off."""
    table = dislike_patterns.c
    whose = table.user_id.is_(None) if user_id is None else table.user_id == user_id
    newest = select(func.max(table.as_of)).where(whose, table.as_of <= as_of).scalar_subquery()
    query = select(dislike_patterns).where(whose, table.as_of == newest).order_by(table.pattern_id)
    return [
        Pattern(
            row.user_id, row.pattern_type, row.pattern_value, row.frequency, row.lift, Severity(row.severity),
            row.identified_at,
        )
        for row in connection.execute(query)
    ]  # fmt: skip
