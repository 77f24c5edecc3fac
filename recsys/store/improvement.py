"""Numbers behind the improvement metrics. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text

from recsys.feedback.improvement import (
    DailyMean,
    ErrorSummary,
    ImprovementNumbers,
    LoopActivity,
    VersionFeedback,
    WaitingTimes,
)
from recsys.store.column_types import UtcDateTime
from recsys.store.insights import last_recorded_at
from recsys.store.queries import load_query


def _rows(connection: Connection, query_name: str, moments: Sequence[str] = (), **params: datetime) -> list[Row[Any]]:
    """The rows of `sql/<query_name>.sql`; columns named in `moments` come back as such."""
    bound = [bindparam(name, type_=UtcDateTime) for name in params]
    query: Any = text(load_query(query_name)).bindparams(*bound)
    if moments:
        query = query.columns(**dict.fromkeys(moments, UtcDateTime))
    return list(connection.execute(query, params))


def improvement_numbers(connection: Connection, as_of: datetime, period: timedelta) -> ImprovementNumbers:
    """All of them as of a cut-off; the period is of whole UTC days, the last one that of the newest event."""
    newest = last_recorded_at(connection, as_of) or as_of
    first_day = (newest - period).date() + timedelta(days=1)
    after = datetime.combine(first_day, time.min, UTC) - timedelta(microseconds=1)
    return ImprovementNumbers(
        errors=error_summary(connection, as_of),
        versions=version_feedback(connection, after, as_of),
        after=after,
        newest=newest,
        daily_errors=_daily(connection, "daily_errors", after, as_of),
        daily_adjustments=_daily(connection, "daily_adjustments", after, as_of),
        waiting=waiting_times(connection, after, as_of),
        activity=loop_activity(connection, after, as_of),
    )


def error_summary(connection: Connection, as_of: datetime) -> ErrorSummary:
    """See `sql/error_summary.sql`."""
    (row,) = _rows(connection, "error_summary", recorded_through=as_of)
    return ErrorSummary(row.num_examples, row.mean_error, row.max_error, row.min_error, row.mean_score)


def _daily(connection: Connection, query_name: str, after: datetime, through: datetime) -> list[DailyMean]:
    rows = _rows(connection, query_name, recorded_after=after, recorded_through=through)
    return [DailyMean(date.fromisoformat(row.recorded_on), row.num_values, float(row.value_sum)) for row in rows]


def version_feedback(connection: Connection, after: datetime, as_of: datetime) -> list[VersionFeedback]:
    """See `sql/dislike_rates.sql`."""
    rows = _rows(
        connection, "dislike_rates", ("first_served_at", "last_served_at"), recorded_after=after, recorded_through=as_of
    )
    return [
        VersionFeedback(
            model_version=row.model_version,
            num_lists=int(row.num_lists),
            num_shown=int(row.num_shown),
            num_dislikes=int(row.num_dislikes),
            mean_error=float(row.score_sum) / int(row.num_scored) if row.num_scored else None,
            first_served_at=row.first_served_at,
            last_served_at=row.last_served_at,
        )
        for row in rows
    ]


def waiting_times(connection: Connection, after: datetime, as_of: datetime) -> WaitingTimes:
    """From each dislike recorded since then to the first promotion whose cut-off covers it, to the minute.

    A promotion is the first to know what was recorded between the furthest cut-off before it and its own.
    """
    waits: list[tuple[float, int]] = []
    known_through = after
    for champion in _rows(connection, "champion_cut_offs", ("promoted_at", "as_of"), recorded_through=as_of):
        if champion.as_of <= known_through:
            continue  # a rollback, or a promotion of what was known before
        for minute, count in _minutes(connection, known_through, min(champion.as_of, as_of), as_of):
            waits.append((max(0.0, (champion.promoted_at - minute).total_seconds()), count))
        known_through = champion.as_of
    waiting = sum(count for _, count in _minutes(connection, known_through, as_of, as_of))
    return WaitingTimes(waits, waiting)


def _minutes(connection: Connection, after: datetime, through: datetime, as_of: datetime) -> list[tuple[datetime, int]]:
    rows = _rows(connection, "dislike_minutes", recorded_after=after, recorded_through=through, as_of=as_of)
    return [(datetime.fromisoformat(row.recorded_in).replace(tzinfo=UTC), row.num_dislikes) for row in rows]


def loop_activity(connection: Connection, after: datetime, through: datetime) -> list[LoopActivity]:
    """See `sql/loop_activity.sql`."""
    rows = _rows(connection, "loop_activity", recorded_after=after, recorded_through=through)
    return [LoopActivity(row.step, row.verdict, row.num_decisions, row.num_used, int(row.num_examples)) for row in rows]
