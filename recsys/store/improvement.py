"""Numbers behind the improvement metrics. Every function works in the caller's transaction."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
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
    """From when each dislike of a time became known here to the first champion that knows it; see `sql/`.

    The wait lies between two times of the wall clock, the second of them after the run of the champion had claimed what was
    known then: so it is never negative.
    """
    bounds = {"recorded_after": after, "recorded_through": as_of}
    champions = _Champions(_rows(connection, "champion_cut_offs", ("as_of", "claimed_at", "promoted_at"), **bounds))
    waits: list[tuple[float, int]] = []
    num_waiting = num_unmeasured = 0
    for row in _rows(connection, "known_dislikes", ("recorded_at", "known_at"), **bounds):
        promoted_at = champions.first_that_knows(row.recorded_at, row.known_at)
        if promoted_at is None:
            num_waiting += row.num_dislikes
        elif not row.is_measured:
            num_unmeasured += row.num_dislikes
        else:
            waits.append(((promoted_at - row.known_at).total_seconds(), row.num_dislikes))
    return WaitingTimes(waits, num_waiting, num_unmeasured)


class _Champions:
    """Promotions in their order, to look up the first one that knows an event."""

    def __init__(self, rows: Sequence[Row[Any]]) -> None:
        self._cut_offs: list[datetime] = [row.as_of for row in rows]
        self._claims: list[datetime] = [row.claimed_at for row in rows]
        # A clock that was set back during a night must not make the promotion earlier than the claim.
        self._promoted: list[datetime] = [max(row.promoted_at, row.claimed_at) for row in rows]
        # The furthest so far: where it reaches a time is where the first promotion does.
        self._furthest_cut_offs = list(accumulate(self._cut_offs, max))
        self._furthest_claims = list(accumulate(self._claims, max))

    def first_that_knows(self, recorded_at: datetime, known_at: datetime) -> datetime | None:
        """When the first version was promoted whose cut-off covers it and whose run began when it was known here."""
        start = max(bisect_left(self._furthest_cut_offs, recorded_at), bisect_left(self._furthest_claims, known_at))
        for number in range(start, len(self._promoted)):
            if recorded_at <= self._cut_offs[number] and known_at <= self._claims[number]:
                return self._promoted[number]
        return None


def loop_activity(connection: Connection, after: datetime, through: datetime) -> list[LoopActivity]:
    """See `sql/loop_activity.sql`."""
    rows = _rows(connection, "loop_activity", recorded_after=after, recorded_through=through)
    return [LoopActivity(row.step, row.verdict, row.num_decisions, row.num_used, int(row.num_examples)) for row in rows]
