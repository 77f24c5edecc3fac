"""Connections to the feedback database.

SQLite runs with

- `journal_mode=WAL`: readers never wait for the writer;
- `synchronous=FULL`: a commit is on the disk when the call returns, so an acknowledged dislike survives a power cut
  (`NORMAL` would not promise that in WAL mode; the price is one fsync per transaction);
- `foreign_keys=ON`, which SQLite leaves off by default;
- `secure_delete=ON`: what is deleted is overwritten with zeros, where SQLite would only forget where it was;
- `auto_vacuum=INCREMENTAL`, for a file that is made: pages that deleted lists leave can be given back;
- `busy_timeout` of 30 s;
- `BEGIN IMMEDIATE` for every transaction that writes: it takes the write lock at once, where a plain `BEGIN` could fail
  in the middle with "database is locked", without waiting.

PostgreSQL runs through psycopg 3, with the session in UTC, reads in one snapshot (`REPEATABLE READ`), and the same
30 s of patience with locks.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from recsys.errors import TerminalError
from recsys.settings import user_key_file
from recsys.store.json_text import from_json, to_json
from recsys.store.user_key import KEY_OPTION, KeyFile

LOCK_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
WIPE_TIMEOUT_MS = 500
REWRITTEN = 1  # `user_version` of a SQLite file whose unused pages hold no old rows


def make_engine(url: URL) -> Engine:
    """An engine for a URL that `parse_url` made; connects when it is first used."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    options = f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT_S}s"
    try:
        return create_engine(
            url,
            json_serializer=to_json,
            json_deserializer=from_json,
            hide_parameters=True,  # they are what people typed; errors are logged
            execution_options={KEY_OPTION: KeyFile(user_key_file(None))},
            pool_pre_ping=True,  # a server that was restarted costs no failed call
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": options, "application_name": "recsys"},
        )
    except ModuleNotFoundError as error:
        raise TerminalError(
            "Expected the package psycopg for a PostgreSQL database, found none: install `recsys[postgres]`."
        ) from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        json_serializer=to_json,
        json_deserializer=from_json,
        hide_parameters=True,
        execution_options={KEY_OPTION: KeyFile(user_key_file(Path(str(url.database))))},
        connect_args={"timeout": LOCK_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the sqlite3 module must not begin transactions by its own rules
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # As long as nothing is in the file; later it would wait for whoever writes, and change nothing.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot of the database, however many queries run in it."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction: all of it is written at the end, or nothing."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def _sqlite_itself(engine: Engine) -> Iterator[Any]:
    """SQLite's own connection, for what cannot be done in a transaction; its errors come as SQLAlchemy's."""
    with engine.connect() as connection:
        try:
            yield connection.connection.driver_connection
        except sqlite3.OperationalError as error:
            raise OperationalError(None, None, error) from error


def wipe_log(engine: Engine) -> bool:
    """Empties SQLite's write-ahead log, which holds earlier versions of pages; outside every transaction.

    Returns:
        Whether it is empty: False while somebody reads what it holds, or writes. PostgreSQL's log is the server's.
    """
    if engine.dialect.name != "sqlite":
        return True
    with _sqlite_itself(engine) as connection:
        # It keeps writers waiting as long as it waits for readers.
        connection.execute(f"PRAGMA busy_timeout={WIPE_TIMEOUT_MS}")
        try:
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout={1_000 * LOCK_TIMEOUT_S}")
    return not is_busy


def rewrite_once(engine: Engine, *, is_new: bool) -> None:
    """Writes a SQLite file anew, if that was not done since there is `secure_delete`; a new one needs it not.

    The file says so itself, in its `user_version`. While somebody else uses it nothing can be rewritten: the error says that
    the database is locked, and the next call tries again.
    """
    if engine.dialect.name != "sqlite":
        return
    with _sqlite_itself(engine) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] >= REWRITTEN:
            return
        if not is_new:
            connection.execute("VACUUM")
        connection.execute(f"PRAGMA user_version={REWRITTEN}")
    wipe_log(engine)
