"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite gives row ids only to a column declared INTEGER, which is 64 bits wide there anyway.
BigIntegerKey = BigInteger().with_variant(Integer, "sqlite")

EARLIEST = datetime.min.replace(tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in, an aware UTC datetime out.

    PostgreSQL keeps a `timestamptz`. SQLite has no such type and keeps text of fixed width, such as
    `2013-06-14 00:00:00.000000Z`: its order as text is the order in time, to the microsecond, and the zone is written.

    Raises:
        ValueError: for a datetime without a zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, else a timestamp with time zone."""
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"Expected a datetime with a time zone, got {value!r}: say which zone is meant.")
        moment = value.astimezone(UTC)
        if dialect.name != "sqlite":
            return moment
        # strftime would write the year 1 as "1", which breaks the order.
        return f"{moment.replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the text, or from whatever zone the session has, to UTC."""
        if value is None:
            return None
        moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)
