"""Checks a table of text column by column and remembers, for each row, the first reason to refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from recsys.ingest.raw_table import MAX_REFUSED_SHOWN, RawTable, Refused, RefusedRow

PRINTABLE_ID = r"[^\x00-\x1f\x7f]{1,128}"  # at most 512 bytes, which every database can index
DIGITS = r"[0-9]{1,18}"
MISSING = ("nan", "NaN", "NAN", "<NA>", "NaT")  # as pandas, NumPy and their like write what they do not know
CONTROL_CHARACTERS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
FIRST_TIME = pd.Timestamp("1973-03-04", tz="UTC")  # rejects `20130228` and row numbers read as unix seconds
LAST_TIME = pd.Timestamp("2100-01-01", tz="UTC")  # rejects unix milliseconds
SHOWN_CHARACTERS = 60


class TableCheck:
    """One table under check. Each method checks a column of all rows at once and returns its values.

    Values of refused rows are whatever the conversion left there: use `kept` to drop them at the end.
    """

    def __init__(self, table: RawTable) -> None:
        self.table = table
        self._frame = table.frame
        self._is_refused = np.zeros(len(table.frame), dtype=bool)
        self._refused = Refused(table.refused.num_rows, list(table.refused.first))

    def refuse(self, mask: pd.Series, reason: str | pd.Series, column: str | None = None) -> None:
        """Refuses the rows of `mask` that are not refused yet.

        Args:
            mask: bool, one per row of the table.
            reason: one for all, or one per row (same index as the table).
            column: its value is quoted after the reason.
        """
        new = mask.to_numpy(dtype=bool) & ~self._is_refused
        self._is_refused |= new
        self._refused.num_rows += int(new.sum())
        for position in np.flatnonzero(new)[:MAX_REFUSED_SHOWN]:
            row = self._frame.iloc[position]
            why = reason if isinstance(reason, str) else reason.iloc[position]
            came = "" if column is None else f", came {_quoted(row[column])}"
            self._refused.first.append(RefusedRow(int(row["line"]), f"{why}{came}"))

    def text(self, column: str, *, pattern: str | None = None, meaning: str = "text") -> pd.Series:
        """A required text column; `pattern` must match all of it."""
        values = self._frame[column]
        self.refuse(values.isna(), f"{column} is missing")
        if pattern is not None:
            self.refuse(~values.str.fullmatch(pattern), f"{column} is not {meaning}", column)
        self.refuse(values.str.contains(CONTROL_CHARACTERS, na=False), f"{column} has control characters", column)
        return values

    def optional_text(self, column: str) -> pd.Series:
        """A text column that may be absent or empty: NA then."""
        if column not in self._frame:
            return pd.Series(pd.NA, index=self._frame.index, dtype="str")
        values = self._frame[column]
        self.refuse(values.str.contains(CONTROL_CHARACTERS, na=False), f"{column} has control characters", column)
        return values

    def number(
        self, column: str, low: float, high: float, *, is_required: bool = True, is_whole: bool = False
    ) -> pd.Series:
        """A number from `low` to `high` as float64; NaN where an optional one is missing."""
        text = self.optional_text(column)
        values = pd.to_numeric(text, errors="coerce").astype("float64")
        is_good = values.between(low, high)
        if is_whole:
            is_good &= values == values.round()
        if is_required:
            self.refuse(text.isna(), f"{column} is missing")
        what = "a whole number" if is_whole else "a number"
        limits = f" from {low:.10g} to {high:.10g}" if np.isfinite([low, high]).all() else ""
        self.refuse(~is_good & text.notna(), f"{column} is not {what}{limits}", column)
        return values

    def choice(self, column: str, choices: Sequence[str]) -> pd.Series:
        """An optional column that holds one of `choices`."""
        values = self.optional_text(column)
        self.refuse(values.notna() & ~values.isin(list(choices)), f"{column} is not {' | '.join(choices)}", column)
        return values

    def flag(self, column: str) -> pd.Series:
        """An optional column of `true` or `false`, whatever the letter case."""
        values = self.optional_text(column).str.lower()
        self.refuse(values.notna() & ~values.isin(["true", "false"]), f"{column} is not true or false", column)
        return values

    def unix_time(self, column: str) -> pd.Series:
        """A required column of unix seconds, as UTC to the microsecond."""
        return self._time(column, is_required=True, is_iso_allowed=False)

    def time(self, column: str, *, is_required: bool = True) -> pd.Series:
        """Unix seconds or ISO 8601 (without an offset: UTC), as UTC to the microsecond."""
        return self._time(column, is_required=is_required, is_iso_allowed=True)

    def _time(self, column: str, *, is_required: bool, is_iso_allowed: bool) -> pd.Series:
        text = self.optional_text(column)
        if is_required:
            self.refuse(text.isna(), f"{column} is missing")
        seconds = pd.to_numeric(text, errors="coerce").astype("float64")
        # Out of range is refused below; clipping first keeps the conversion itself from overflowing.
        microseconds = (seconds.clip(0, LAST_TIME.timestamp()) * 1e6).round()
        values = pd.to_datetime(microseconds, unit="us", utc=True).dt.as_unit("us")
        if is_iso_allowed:
            iso = pd.to_datetime(text.where(seconds.isna()), format="ISO8601", utc=True, errors="coerce")
            values = values.fillna(iso.dt.as_unit("us"))
        is_good = values.between(FIRST_TIME, LAST_TIME, inclusive="left")
        what = "a time in ISO 8601 or unix seconds" if is_iso_allowed else "unix seconds"
        self.refuse(~is_good & text.notna(), f"{column} is not {what} between March 1973 and 2100", column)
        return values

    def not_after(self, values: pd.Series, latest: datetime | None, column: str) -> None:
        """Refuses times of `values`, checked by `time`, that lie after `latest`; None: none is too late."""
        if latest is not None:
            late = values > pd.Timestamp(latest)
            self.refuse(late, f"{column} lies in the future, after {latest:%Y-%m-%d %H:%M} UTC", column)

    def named(self, column: str) -> pd.Series:
        """A required id. What stands for a missing value in other programs' files is nobody's id."""
        values = self.text(column, pattern=PRINTABLE_ID, meaning="1 to 128 printable characters")
        self.refuse(values.isin(MISSING), f"{column} is missing, written out", column)
        return values

    def drop_repeats(self, values: pd.DataFrame, key: Sequence[str], what: str) -> pd.DataFrame:
        """Keeps the first of equal rows and refuses a row that contradicts an earlier one with the same key.

        Args:
            values: checked columns, same index as the table.
            key: columns that identify a row.
            what: the key in words, for the reason.

        Returns:
            The kept rows: neither refused nor repeated, with their `line`.
        """
        good = values[~self._is_refused]
        is_later = good.duplicated(list(key), keep="first")
        is_contradiction = is_later & ~good.duplicated(keep="first")
        if is_contradiction.any():
            lines = self._frame.loc[good.index, "line"]
            first_lines = lines.groupby([good[name] for name in key], dropna=False).transform("first")
            reasons = (
                f"contradicts {self.table.line_name} " + first_lines.astype("str") + f": same {what}, other values"
            )
            mask = is_contradiction.reindex(self._frame.index, fill_value=False)
            self.refuse(mask, reasons.reindex(self._frame.index))
        kept = good[~is_later]
        return kept.assign(line=self._frame.loc[kept.index, "line"])  # of no rows, a whole column would make rows

    def refused(self) -> Refused:
        """All refused rows so far, the first ones in line order."""
        return Refused(self._refused.num_rows, sorted(self._refused.first)[:MAX_REFUSED_SHOWN])


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "...")
