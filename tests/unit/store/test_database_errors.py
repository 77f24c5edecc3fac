import sqlite3

import pytest
from psycopg import errors
from sqlalchemy import exc

from recsys.errors import InputError, TerminalError, TransientError
from recsys.store.database_errors import parse_url, shown, translate


def of_sqlite(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words that name nothing")
    error.sqlite_errorname = name  # type: ignore[misc]
    return error


URL = parse_url("postgresql://me:secret@host:5432/feedback?password=hidden")


def test_passwords_are_never_shown() -> None:
    assert shown(URL) == "postgresql+psycopg://me:***@host:5432/feedback"


@pytest.mark.parametrize("name", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_goes_through_psycopg_3(name: str) -> None:
    assert parse_url(f"{name}://host/feedback").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["", "feedback.db", "mysql://me:secret@host/x", "sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=memory",
            "postgresql://me:secret@host:port/x"],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(TerminalError, match="RECSYS_DATABASE_URL") as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exc.OperationalError("", {}, Exception("connection failed: Connection refused")), TransientError),
        (exc.OperationalError("", {}, Exception("database is locked")), TransientError),
        (exc.OperationalError("", {}, Exception("database or disk is full")), TransientError),
        (exc.OperationalError("", {}, Exception("disk I/O error")), TransientError),
        (exc.OperationalError("", {}, Exception("server closed the connection unexpectedly")), TransientError),
        (exc.OperationalError("", {}, Exception("deadlock detected")), TransientError),
        (exc.TimeoutError("pool"), TransientError),
        (exc.OperationalError("", {}, Exception("unable to open database file")), TerminalError),
        (exc.OperationalError("", {}, Exception("no such table: items")), TerminalError),
        (exc.OperationalError("", {}, Exception('FATAL: password authentication failed for user "x"')), TerminalError),
        (exc.OperationalError("", {}, Exception('FATAL: database "x" does not exist')), TerminalError),
        (exc.ProgrammingError("", {}, Exception('relation "items" does not exist')), TerminalError),
        (exc.DatabaseError("", {}, Exception("file is not a database")), TerminalError),
        (exc.IntegrityError("", {}, Exception("Key (title)=(database is locked) exists")), InputError),
        (exc.DataError("", {}, Exception("integer out of range")), InputError),
        (exc.ProgrammingError("", {}, Exception("syntax error")), TerminalError),
        (exc.OperationalError("", {}, errors.ProgramLimitExceeded("index row size 3175")), InputError),
        (exc.OperationalError("", {}, errors.StatementTooComplex("stack depth")), InputError),
        (exc.OperationalError("", {}, errors.DeadlockDetected("deadlock")), TransientError),
        (exc.OperationalError("", {}, errors.SerializationFailure("conflict")), TransientError),
        (exc.OperationalError("", {}, errors.DiskFull("could not write")), TransientError),
        (exc.OperationalError("", {}, errors.TooManyConnections("sorry")), TransientError),
        (exc.OperationalError("", {}, errors.AdminShutdown("terminating connection")), TransientError),
        (exc.OperationalError("", {}, errors.QueryCanceled("lock timeout")), TransientError),
        (exc.NotSupportedError("", {}, errors.FeatureNotSupported("no")), TerminalError),
        (exc.OperationalError("", {}, of_sqlite("SQLITE_BUSY_SNAPSHOT")), TransientError),
        (exc.OperationalError("", {}, of_sqlite("SQLITE_IOERR_WRITE")), TransientError),
        (exc.OperationalError("", {}, of_sqlite("SQLITE_ERROR")), TerminalError),
    ],
)  # fmt: skip
def test_what_may_be_retried(error: exc.SQLAlchemyError, expected: type[Exception]) -> None:
    translated = translate(error, URL)
    assert type(translated) is expected
    assert "secret" not in str(translated)


def test_what_a_driver_quotes_of_a_value_stays_short() -> None:
    long = exc.IntegrityError("", {}, Exception(f"Key (title)=({'x' * 10_000}) exists"))
    assert len(str(translate(long, URL))) < 400
