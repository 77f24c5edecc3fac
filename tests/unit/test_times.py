"""Times that people give: what is taken, and that nothing that is taken overflows later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.times import EARLIEST, LATEST, MAX_DAYS, days_long, parse_time

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2013-06-14", datetime(2013, 6, 14, tzinfo=UTC)),
        ("2013-06-14T02:00:00+02:00", datetime(2013, 6, 14, tzinfo=UTC)),
        ("1970-01-01", EARLIEST),
        ("1969-12-31T23:00:00-01:00", EARLIEST),
        ("2199-12-31T23:59:59.999999", LATEST - timedelta(microseconds=1)),
        (datetime(2013, 6, 14, 2, tzinfo=timezone(2 * HOUR)), datetime(2013, 6, 14, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc(given: datetime | str, expected: datetime) -> None:
    found = parse_time(given)
    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31", "0001-01-01", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2200-01-01",
        "1969-12-31", "1970-01-01T00:00:00+14:00", "", "yesterday", "2013-02-30", "2013-06-14T25:00", "\x1b[2J" * 99,
    ],
)  # fmt: skip
def test_a_time_out_of_range_is_refused_with_what_is_taken(text: str) -> None:
    with pytest.raises(InputError, match=r"^Expected a (time from 1970 to 2199|day such as)") as refused:
        parse_time(text)
    assert len(str(refused.value)) < 500
    assert "\x1b" not in str(refused.value)


@given(st.datetimes(timezones=st.timezones() | st.none()) | st.text(max_size=40))
def test_whatever_is_taken_can_be_moved_by_as_many_days_as_are_taken(given: datetime | str) -> None:
    try:
        moment = parse_time(given)
    except InputError:
        return
    assert EARLIEST <= moment < LATEST
    for days in (0, 1, MAX_DAYS):
        assert moment - days_long(days, "x") <= moment <= moment + days_long(days, "x")


@pytest.mark.parametrize("days", [-1.0, MAX_DAYS + 1, 1e308, float("inf"), float("nan")])
def test_a_length_out_of_range_is_refused(days: float) -> None:
    with pytest.raises(InputError, match="Expected the age from 0 to 36,500 days"):
        days_long(days, "the age")
