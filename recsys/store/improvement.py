"""Numbers behind the improvement metrics. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
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
from recsys.store.insights import last_recorded_at, look_back
from recsys.store.queries import load_query


def _rows(connection: Connection, query_name: str, moments: Sequence[str] = (), **params: datetime) -> list[Row[Any]]:
    """The rows of `sql/<query_name>.sql`; columns named in `moments` come back as such."""
    bound = [bindparam(name, type_=UtcDateTime) for name in params]
    query: Any = text(load_query(query_name)).bindparams(*bound)
    if moments:
        query = query.columns(**dict.fromkeys(moments, UtcDateTime))
    return list(connection.execute(query, params))


def improvement_numbers(connection: Connection, as_of: datetime, period: timedelta) -> ImprovementNumbers:
    """All of them as of a cut-off; the period is of so many of the newest days with feedback, see `look_back`.

    What is measured on the stream's clock, decisions by their cut-off too, is of this period. Lists are served by the wall
    clock: `version_feedback` has its own.
    """
    newest = last_recorded_at(connection, as_of) or as_of
    after = look_back(connection, as_of, period.days)
    return ImprovementNumbers(
        errors=error_summary(connection, as_of),
        versions=version_feedback(connection, as_of, period),
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


def version_feedback(connection: Connection, as_of: datetime, period: timedelta) -> list[VersionFeedback]:
    """See `sql/dislike_rates.sql`; the period ends with the list that was served last up to the cut-off."""
    (last,) = _rows(connection, "last_served_at", ("served_at",), recorded_through=as_of)
    if last.served_at is None:
        return []
    after = last.served_at - period
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
    """From when each dislike of a time became known here to the first champion that knows it, to the minute.

    Both ends are on the wall clock; see `sql/time_to_champion.sql`.
    """
    rows = _rows(connection, "time_to_champion", ("promoted_at",), recorded_after=after, recorded_through=as_of)
    measured = [row for row in rows if row.promoted_at is not None and row.is_measured]
    waits = [((row.promoted_at - _minute(row.known_in)).total_seconds(), row.num_dislikes) for row in measured]
    return WaitingTimes(
        waits,
        num_waiting=_count(row for row in rows if row.promoted_at is None),
        num_unmeasured=_count(row for row in rows if row.promoted_at is not None and not row.is_measured),
    )


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _count(rows: Iterable[Row[Any]]) -> int:
    return sum(row.num_dislikes for row in rows)


def loop_activity(connection: Connection, after: datetime, through: datetime) -> list[LoopActivity]:
    """See `sql/loop_activity.sql`."""
    rows = _rows(connection, "loop_activity", recorded_after=after, recorded_through=through)
    return [LoopActivity(row.step, row.verdict, row.num_decisions, row.num_used, int(row.num_examples)) for row in rows]
