"""The schema's migrations, and the check that a database has them.

A new migration: change `tables.py`, write `migrations/versions/NNNN_<what>.py` by hand after the last one, and set
`SCHEMA_REVISION`. The tests compare the tables with the migrated schema on both databases.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import Connection, Engine, column, event, inspect, select, table, text

from recsys.errors import TerminalError
from recsys.store.database_errors import database_errors, parse_url, shown
from recsys.store.engine import make_engine, reading, rewrite_once, writing
from recsys.store.tables import SCHEMA_REVISION
from recsys.store.tombstones import key_of

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
MIGRATION_LOCK = 7_216_001  # any number, the same in every process


def migrate(database_url: str) -> None:
    """Brings the schema to the newest revision; creates a SQLite file and its folder. Does nothing if it is there.

    Everything happens in one transaction: a process that is interrupted leaves the schema as it was, and of two
    processes at once the second waits and finds nothing to do. SQLite enforces foreign keys at the end only: some changes
    of a table are a new table, and dropping the old one must not drop what refers to it.

    Afterwards a SQLite file that deleted rows before there was `secure_delete` is written anew, once: pages that it no
    longer uses may hold them. It takes as long as copying the file.

    Raises:
        TerminalError: if the database cannot be used, or is newer than this code.
        TransientError: if it cannot be reached now.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        _make_folder(Path(str(url.database)))
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    try:
        with database_errors(url), writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATION_LOCK})
            revision = _revision(connection)
            if revision is not None and revision > SCHEMA_REVISION:
                raise TerminalError(
                    f"Expected a schema up to revision {SCHEMA_REVISION} in {shown(url)}, found {revision}, made by a "
                    "newer version: install that version."
                )
            if revision != SCHEMA_REVISION:
                _upgrade(connection)
        with database_errors(url):
            rewrite_once(engine, is_new=revision is None)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(stdout=sys.stderr)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise TerminalError(
                f"Expected each reference between tables to hold after the migration, but {len(broken)} do not, such as "
                f"{tuple(broken[0])}: nothing was changed. Report it with this message."
            )


def _make_folder(path: Path) -> None:
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TerminalError(
            f"Expected to create the folder {path.absolute().parent} for the feedback database, but: {error.strerror}. "
            "Make it writable, or set RECSYS_HOME or RECSYS_DATABASE_URL to another location."
        ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(select(column("version_num")).select_from(table("alembic_version"))).scalar()
    return found


def _may_exist(path: Path) -> bool:
    """False if there is certainly no such file; a folder that this user may not look into is left to the driver to refuse."""
    try:
        return path.exists()
    except PermissionError:
        return True


def require_schema(engine: Engine) -> None:
    """Checks that the database is there and has the newest schema, and the key that it names erased users with.

    Raises:
        TerminalError: if not, saying which command to run.
    """
    url = engine.url
    # Connecting would create an empty file.
    if url.get_backend_name() == "sqlite" and not _may_exist(Path(str(url.database))):
        raise TerminalError(f"Expected a feedback database at {shown(url)}, found none: run `recsys db upgrade`.")
    with database_errors(url), reading(engine) as connection:
        revision = _revision(connection)
        if revision == SCHEMA_REVISION:
            key_of(connection)
    if revision != SCHEMA_REVISION:
        known = revision is None or revision < SCHEMA_REVISION
        raise TerminalError(
            f"Expected schema revision {SCHEMA_REVISION} in {shown(url)}, found {revision or 'none'}: "
            + ("run `recsys db upgrade`." if known else "a newer version made it, install that version.")
        )
