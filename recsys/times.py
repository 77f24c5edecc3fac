"""Times and lengths of time that people give: as a cut-off, in a form, on the command line. Standard library only.

Both are bounded, so that whatever is added to one or taken from it stays a time that Python, both databases and Parquet
can write.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recsys.errors import InputError
from recsys.foreign_text import shortened

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MAX_DAYS = 36_500.0  # a hundred years


def parse_time(given: datetime | str) -> datetime:
    """A time in UTC from one, or from ISO 8601 text with or without a zone; without, it is UTC.

    Raises:
        InputError: if it is neither, or not from 1970 to 2199.
    """
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InputError(
            f"Expected a day such as 2013-06-14 or a time such as 2013-06-14T02:00:00+00:00, got {_quoted(given)}."
        ) from error
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not EARLIEST <= zoned < LATEST:  # compared first: only times between have a UTC time in any zone
        raise InputError(f"Expected a time from 1970 to 2199, got {_quoted(given)}.")
    return zoned.astimezone(UTC)


def parse_zoned_time(given: datetime | str) -> datetime:
    """The same for what a step is given: the zone must be in it.

    Raises:
        InputError: if it is neither, has no zone, or is not from 1970 to 2199.
    """
    found = parse_time(given)
    if (datetime.fromisoformat(given) if isinstance(given, str) else given).tzinfo is None:
        raise InputError(f"Expected a time with a zone, such as 2013-06-14T00:00:00+00:00, got {_quoted(given)}.")
    return found


def days_long(days: float, name: str, *, may_be_zero: bool = True) -> timedelta:
    """A length of time.

    Raises:
        InputError: if it is not from 0 to 36,500 days, or is 0 and may not be.
    """
    if days == 0 and not may_be_zero:
        raise InputError("Expected days above 0, got 0.")
    if not 0 <= days <= MAX_DAYS:
        raise InputError(f"Expected {name} from 0 to {MAX_DAYS:,.0f} days, got {days:g}.")
    return timedelta(days=days)


def _quoted(given: datetime | str) -> str:
    return f"'{shortened(given)}'" if isinstance(given, str) else given.isoformat()
