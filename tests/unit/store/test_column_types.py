from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from recsys.store.column_types import EARLIEST, UtcDateTime
from recsys.store.json_text import from_json, to_json

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)
COLUMN, SQLITE, POSTGRES = UtcDateTime(), sqlite.dialect(), postgresql.dialect()


@given(MOMENTS)
def test_moments_come_back_in_utc(moment: datetime) -> None:
    for dialect in (SQLITE, POSTGRES):
        back = COLUMN.process_result_value(COLUMN.process_bind_param(moment, dialect), dialect)
        assert back == moment
        assert back.utcoffset() == timedelta(0)


@given(MOMENTS, MOMENTS)
def test_text_sorts_like_time(first: datetime, second: datetime) -> None:
    texts = [COLUMN.process_bind_param(moment, SQLITE) for moment in (first, second)]
    assert (texts[0] < texts[1]) == (first < second)
    assert {len(text) for text in texts} == {27}


def test_text_is_readable_and_says_its_zone() -> None:
    assert COLUMN.process_bind_param(datetime(2013, 6, 14, tzinfo=UTC), SQLITE) == "2013-06-14 00:00:00.000000Z"
    assert COLUMN.process_bind_param(EARLIEST, SQLITE) == "0001-01-01 00:00:00.000000Z"


def test_null_stays_null() -> None:
    assert COLUMN.process_bind_param(None, SQLITE) is None
    assert COLUMN.process_result_value(None, SQLITE) is None


def test_moments_without_zone_are_refused() -> None:
    for dialect in (SQLITE, POSTGRES):
        with pytest.raises(ValueError, match="with a time zone"):
            COLUMN.process_bind_param(datetime(2013, 6, 14), dialect)


def test_json_has_no_nan() -> None:
    assert to_json({"a": float("nan"), "b": [float("inf"), 1.5, {"c": (float("-inf"), "é")}]}) == (
        '{"a": null, "b": [null, 1.5, {"c": [null, "é"]}]}'
    )
    assert from_json(to_json({"b": 1, "a": [True, None]})) == {"b": 1, "a": [True, None]}
    with pytest.raises(TypeError):
        to_json({"a": object()})
