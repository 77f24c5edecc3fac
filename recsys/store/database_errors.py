"""What the database drivers raise, as the project's errors: which may be retried, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from recsys.errors import InputError, RecsysError, TerminalError, TransientError

MAX_SHOWN = 200  # characters of a driver's message about a value, which may quote it
EXAMPLES = "sqlite:////folder/feedback.db or postgresql://user:password@host/database"

# Part of the driver's message -> what to do; the first match wins. Messages, because neither driver gives a code for
# everything here: libpq has none for a connection that failed.
TERMINAL: tuple[tuple[str, str], ...] = (
    ("unable to open database file", "check that the folder exists and that this user may write in it"),
    ("readonly database", "give this user the right to write the file and its folder"),
    ("file is not a database", "this is no SQLite file: check RECSYS_DATABASE_URL, or move the file away"),
    ("disk image is malformed", "the file is damaged: restore it from a backup"),
    ("no such table", "run `recsys db upgrade`"),
    ("no such column", "run `recsys db upgrade`"),
    ("authentication failed", "check user and password in RECSYS_DATABASE_URL"),
    ("no password supplied", "put the password into RECSYS_DATABASE_URL"),
    ("no pg_hba.conf entry", "let the server accept this user from this host (pg_hba.conf)"),
    ("permission denied", "grant this user the rights on the database"),
    ("does not exist", "create it on the server, or check RECSYS_DATABASE_URL; for a table run `recsys db upgrade`"),
    ("read-only transaction", "point RECSYS_DATABASE_URL at the primary server, not at a replica"),
)
TRANSIENT: tuple[tuple[str, str], ...] = (
    ("database is locked", "another process has been writing for 30 s: try again when it is done"),
    ("lock timeout", "another process has been writing for 30 s: try again when it is done"),
    ("disk is full", "free space and try again; nothing half-written is kept"),
    ("No space left", "free space and try again; nothing half-written is kept"),
    (
        "disk I/O error",
        "the disk may be full: free space, or check the disk, and try again; nothing half-written is kept",
    ),
    ("could not extend file", "free space on the server and try again; nothing half-written is kept"),
    ("Connection refused", "start the database server, or check host and port in RECSYS_DATABASE_URL"),
)
# PostgreSQL's code for an error begins with its class: a value that is wrong (22), against a constraint (23), or larger than
# an index or a row may be (54). The same row is refused for ever, whoever asks.
VALUE_CLASSES = ("22", "23", "54")
# The connection (08), two transactions in each other's way (40), room, memory or connections (53), a lock (55), a server that
# stops or was asked to end the statement (57), its disk (58): gone on a later try.
TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58")
# The same of SQLite, by the name of its code without what follows a second underscore.
SQLITE_TRANSIENT = frozenset(
    {"BUSY", "LOCKED", "FULL", "IOERR", "NOMEM", "INTERRUPT", "PROTOCOL", "CANTOPEN", "SCHEMA"}
)


def shown(url: URL) -> str:
    """A URL fit for messages: without the password and without options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def parse_url(database_url: str) -> URL:
    """Reads a database URL; PostgreSQL always goes through psycopg 3.

    Raises:
        TerminalError: if it is no URL of a SQLite file or a PostgreSQL database. Its text is not shown, since it may
            hold a password.
    """
    try:
        url = make_url(database_url)
    except (exc.ArgumentError, ValueError) as error:
        raise TerminalError(
            f"Expected a database URL such as {EXAMPLES}, got one that cannot be read: correct RECSYS_DATABASE_URL."
        ) from error
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise TerminalError(
            f"Expected a database URL such as {EXAMPLES}, got the kind {url.drivername!r}: correct RECSYS_DATABASE_URL."
        )
    if url.database in {None, "", ":memory:"} or url.query:
        raise TerminalError(
            f"Expected the path of a SQLite file, such as sqlite:////folder/feedback.db, got {shown(url)}"
            f"{' with options' if url.query else ''}: correct RECSYS_DATABASE_URL."
        )
    return url


def translate(error: exc.SQLAlchemyError, url: URL) -> RecsysError:
    """The project's error for one of SQLAlchemy's."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    where = f"The feedback database {shown(url)}"
    # First, since their text quotes the refused value, which may hold anything.
    if _is_about_a_value(error):
        return InputError(f"{where} refused a value: {text[:MAX_SHOWN]}. Nothing was written; correct the value.")
    for part, advice in TERMINAL:
        if part in text:
            return TerminalError(f"{where} refused: {text}. What to do: {advice}.")
    for part, advice in TRANSIENT:
        if part in text:
            return TransientError(f"{where} is not available: {text}. What to do: {advice}.")
    if _is_transient(error):
        return TransientError(f"{where} is not available: {text}. What to do: try again; check that it runs.")
    return TerminalError(f"{where} failed: {text}. What to do: this is not expected, report it.")


def _is_about_a_value(error: exc.SQLAlchemyError) -> bool:
    """Whether the database refuses what one row holds: another row may pass."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, exc.IntegrityError | exc.DataError) or (code or "").startswith(VALUE_CLASSES)


def _is_transient(error: exc.SQLAlchemyError) -> bool:
    """Whether it may be gone on the next try. Without a code it is a connection that failed, or a full pool."""
    original = getattr(error, "orig", None)
    if state := getattr(original, "sqlstate", None):
        return str(state).startswith(TRANSIENT_CLASSES)
    if name := getattr(original, "sqlite_errorname", None):
        return str(name).split("_")[1] in SQLITE_TRANSIENT
    return isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError)


@contextlib.contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Turns what SQLAlchemy raises inside into the project's errors."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        if isinstance(error, exc.StatementError) and not isinstance(error, exc.DBAPIError):
            raise InputError(f"Expected values that the database can hold: {error.orig}") from error  # was never sent
        raise translate(error, url) from error
    except (OverflowError, UnicodeEncodeError) as error:  # a number beyond 64 bits, half a surrogate pair
        raise InputError(f"Expected values that the database can hold: {error}. Nothing was written.") from error
