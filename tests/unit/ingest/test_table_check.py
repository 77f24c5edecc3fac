"""Columns are checked in bulk; each refused row has its first reason and its line."""

from pathlib import Path

import pandas as pd
import pytest

from recsys.ingest.raw_table import RawTable, RefusedRow
from recsys.ingest.table_check import TableCheck


def table(**columns: list[str | None]) -> RawTable:
    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})
    frame["line"] = range(11, 11 + len(frame))
    return RawTable(Path("file.csv"), "a row", frame, len(frame))


def reasons(check: TableCheck) -> dict[int, str]:
    return {row.line: row.reason for row in check.refused().first}


def test_text_must_be_there_match_and_be_printable() -> None:
    check = TableCheck(table(name=["12", None, "x", "1\x002"]))
    check.text("name")
    assert list(reasons(check)) == [12, 14]
    check.text("name", pattern="[0-9]+", meaning="a number")
    assert reasons(check) == {
        12: "name is missing",
        13: "name is not a number, came 'x'",
        14: "name has control characters, came '1\\x002'",
    }


def test_number_limits_and_nonsense() -> None:
    values = ["0", "10", "10.5", "-1", "nan", "inf", "seven", None, "1e1", "0x1", "True"]
    check = TableCheck(table(rating=values))
    numbers = check.number("rating", 0, 10)
    assert sorted(reasons(check)) == [13, 14, 15, 16, 17, 18, 20, 21]
    assert reasons(check)[13] == "rating is not a number from 0 to 10, came '10.5'"
    assert reasons(check)[18] == "rating is missing"
    assert numbers[[0, 1, 8]].tolist() == [0, 10, 10]


def test_optional_whole_number() -> None:
    check = TableCheck(table(year=["1999", "1999.5", None]))
    numbers = check.number("year", 1870, 2100, is_required=False, is_whole=True)
    assert reasons(check) == {12: "year is not a whole number from 1870 to 2100, came '1999.5'"}
    assert numbers.isna().tolist() == [False, False, True]
    assert check.number("absent", 0, 1, is_required=False).isna().all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1362062307", "2013-02-28T14:38:27Z"),
        ("1362062307.25", "2013-02-28T14:38:27.25Z"),
        ("2013-02-28", "2013-02-28T00:00:00Z"),
        ("2013-02-28T14:38:27", "2013-02-28T14:38:27Z"),
        ("2013-02-28 14:38:27.123456789+02:00", "2013-02-28T12:38:27.123456Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    check = TableCheck(table(at=[text]))
    assert check.time("at")[0] == pd.Timestamp(expected)
    assert not reasons(check)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "20130228", "1362062307000", "-5", "inf", "nan", "2013-02-30", "28.02.2013", "1e300", "9999-01-01"],
)
def test_bad_times(text: str) -> None:
    check = TableCheck(table(at=[text, "1362062307"]))
    check.time("at")
    assert list(reasons(check)) == [11]
    assert f"came '{text}'" in reasons(check)[11]


def test_iso_times_are_refused_where_unix_seconds_are_the_format() -> None:
    check = TableCheck(table(at=["2013-02-28"]))
    check.unix_time("at")
    assert reasons(check) == {11: "at is not unix seconds between March 1973 and 2100, came '2013-02-28'"}


def test_a_row_has_only_its_first_reason_and_long_values_are_cut() -> None:
    check = TableCheck(table(a=["x" * 100], b=["y"]))
    check.number("a", 0, 1)
    check.number("b", 0, 1)
    assert check.refused().num_rows == 1
    assert len(reasons(check)[11]) < 120


def test_repeats_are_kept_once_and_contradictions_refused_against_the_first() -> None:
    check = TableCheck(table(key=["a", "b", "a", "a", "b", "c"], value=["1", "1", "1", "2", "3", "bad"]))
    values = pd.DataFrame({"key": check.text("key"), "value": check.number("value", 0, 9)})
    kept = check.drop_repeats(values, ["key"], "key")
    assert kept[["key", "value", "line"]].values.tolist() == [["a", 1.0, 11], ["b", 1.0, 12]]
    assert check.refused().num_rows == 3
    assert reasons(check) == {
        14: "contradicts line 11: same key, other values",
        15: "contradicts line 12: same key, other values",
        16: "value is not a number from 0 to 9, came 'bad'",
    }


def test_the_first_refused_rows_come_in_line_order() -> None:
    check = TableCheck(table(a=["1"] * 30 + ["x"] * 30, b=["x"] * 30 + ["1"] * 30))
    check.number("a", 0, 1)
    check.number("b", 0, 1)
    refused = check.refused()
    assert refused.num_rows == 60
    assert [row.line for row in refused.first] == list(range(11, 31))
    assert refused.first[0] == RefusedRow(11, "b is not a number from 0 to 1, came 'x'")
