"""Moves a stream in time by whole days, so that what was recorded years ago can be lived through now.

A shift belongs to a file and is kept in the store. The same file again is moved alike, so that its rows are recognised; it
cannot be changed, since rows that are stored never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import pandas as pd

from recsys.errors import InputError
from recsys.ingest.parsed import Parsed
from recsys.ingest.table_check import FIRST_TIME, LAST_TIME
from recsys.store.stream_shifts import StreamShift

NOTHING_WRITTEN = "Nothing was written. What to do:"
YEARS = range(1900, 2200)  # in which every shift of a stream has a date
MAX_DAYS = 100_000  # beyond what any two times that an import takes lie apart


@dataclass(frozen=True)
class ShiftRequest:
    """What a person asked for, at most one of both; neither: what is kept for the file, else nothing moves.

    Attributes:
        ends_on: UTC day that the day of the last recorded event becomes.
        days: added to all times; may be negative.
    """

    ends_on: date | None = None
    days: int | None = None

    def __post_init__(self) -> None:
        if self.ends_on is not None and self.days is not None:
            raise InputError(
                "A stream can be moved in one way only.\nexpected: --ends-on or --shift-days\n"
                f"came: --ends-on {self.ends_on} and --shift-days {self.days}\nWhat to do: leave one of them out."
            )
        if self.ends_on is not None and self.ends_on.year not in YEARS:
            raise InputError(
                f"--ends-on is out of range.\nexpected: a day of the years {YEARS[0]} to {YEARS[-1]}\n"
                f"came: {self.ends_on}\nWhat to do: name the day on which the stream is to end, such as yesterday."
            )
        if abs(self.days or 0) > MAX_DAYS:
            raise InputError(
                f"--shift-days is out of range.\nexpected: from {-MAX_DAYS} to {MAX_DAYS}\ncame: {self.days}\n"
                "What to do: give the number of days, or the last day with --ends-on."
            )

    def days_for(self, parsed: Parsed) -> int | None:
        """Whole days that these events would move by; None: nothing was asked for."""
        if self.ends_on is None or parsed.feedback.empty:
            return self.days
        last: pd.Timestamp = parsed.feedback["recorded_at"].max()
        return (self.ends_on - last.date()).days


def choose_days(
    source: str, file_name: str, asked: int | None, kept: Sequence[StreamShift], *, has_feedback: bool
) -> int:
    """By how many days a file is to be moved.

    Args:
        source: the format.
        file_name: of the file or folder.
        asked: what a person asked for; None: nothing.
        kept: the store's shifts.
        has_feedback: whether the store holds any.

    Raises:
        InputError: if that would tear a stream apart: another shift than the one that is kept, or any shift in a store that
            holds other feedback.
    """
    others = [one for one in kept if one.source == source and one.file_name != file_name]
    own = next((one.shift_days for one in kept if (one.source, one.file_name) == (source, file_name)), None)
    if own is not None and (asked in {None, own} or has_feedback):
        return _require_same(file_name, asked, own)
    if asked is None:
        return _require_told(source, file_name, others)
    if asked and has_feedback and asked not in {one.shift_days for one in others}:
        raise InputError(
            f"{file_name} cannot be moved in time here.\nexpected: a store without other feedback, since a shift moves a "
            f"whole stream\ncame: a shift of {asked:,} days, and a store that holds feedback\n{NOTHING_WRITTEN} import it "
            "without --ends-on and --shift-days, or into an empty store (RECSYS_HOME=FOLDER)."
        )
    return asked


def _require_same(file_name: str, asked: int | None, own: int) -> int:
    if asked not in {None, own}:
        raise InputError(
            f"{file_name} was moved by {own:,} days when it was first imported.\nexpected: the same shift again, or no "
            f"option, which means the same\ncame: a shift of {asked:,} days\n{NOTHING_WRITTEN} leave --ends-on and "
            "--shift-days out, or import into an empty store (RECSYS_HOME=FOLDER)."
        )
    return own


def _require_told(source: str, file_name: str, others: Sequence[StreamShift]) -> int:
    if others:
        other = others[0]
        raise InputError(
            f"Another file of the source {source} was moved in time: {other.file_name}, by {other.shift_days:,} days.\n"
            f"expected: --shift-days {other.shift_days} if {file_name} belongs to the same stream, --shift-days 0 if its "
            f"times are right\ncame: neither\n{NOTHING_WRITTEN} say which."
        )
    return 0


def move(parsed: Parsed, days: int, latest: datetime) -> Parsed:
    """The same events so many days later.

    Raises:
        InputError: if one of them would lie outside the times that an import takes, or after `latest`.
    """
    if not days or parsed.feedback.empty:
        return parsed
    moved = {name: parsed.feedback[name] + pd.Timedelta(days=days) for name in ("occurred_at", "recorded_at")}
    first, last = moved["occurred_at"].min(), moved["recorded_at"].max()
    if first < FIRST_TIME or last >= LAST_TIME:
        raise InputError(
            f"A shift of {days:,} days leads out of the times that are taken.\nexpected: events between March 1973 and "
            f"2100\ncame: {first:%Y-%m-%d} to {last:%Y-%m-%d}\n{NOTHING_WRITTEN} choose a smaller shift."
        )
    if last > latest:
        raise InputError(
            f"A shift of {days:,} days leads into the future.\nexpected: no event after {latest:%Y-%m-%d %H:%M} UTC\n"
            f"came: {last:%Y-%m-%d %H:%M}\n{NOTHING_WRITTEN} let the stream end today, or earlier."
        )
    return replace(parsed, feedback=parsed.feedback.assign(**moved))
