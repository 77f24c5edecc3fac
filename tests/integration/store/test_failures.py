"""Databases that are away, full, locked, foreign or forbidden: the right kind of error, and nothing half-written."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from recsys.errors import TerminalError, TransientError
from recsys.records import Dislike
from recsys.store import FeedbackStore, engine, migrate
from recsys.store.database import Database
from recsys.store.database_errors import database_errors, parse_url
from recsys.store.engine import make_engine, writing

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)
MANY = [Dislike("7", NOW, NOW, movie_id=n + 1, feedback_text="x" * 200) for n in range(2_000)]


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / "feedback.db"
    migrate(f"sqlite:///{path}")
    return path


def test_full_disk_may_be_retried(sqlite_file: Path) -> None:
    full = make_engine(parse_url(f"sqlite:///{sqlite_file}"))

    @event.listens_for(full, "connect")
    def no_room(connection: object, record: object) -> None:
        connection.execute("PRAGMA max_page_count=60")  # type: ignore[attr-defined]

    with FeedbackStore(Database(full)) as store:
        with pytest.raises(TransientError, match="free space"):
            store.feedback.record_dislikes(MANY)
        assert store.backlog.count_backlog(NOW) == 0
    with FeedbackStore.open(f"sqlite:///{sqlite_file}") as store:
        store.feedback.record_dislikes(MANY)
        assert store.backlog.count_backlog(NOW) == 2_000


def test_lock_that_is_held_too_long(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_S", 0.1)
    url = parse_url(f"sqlite:///{sqlite_file}")
    holder = make_engine(url)
    with FeedbackStore.open(f"sqlite:///{sqlite_file}") as store, writing(holder):
        with pytest.raises(TransientError, match="database is locked"):
            store.feedback.record_dislikes(MANY[:1])
        assert store.backlog.count_backlog(NOW) == 0
    holder.dispose()


@pytest.mark.postgres
def test_row_lock_that_is_held_too_long(
    postgres_server: object, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_S", 0.1)
    name = postgres_server.create(postgres_server.template)  # type: ignore[attr-defined]
    request.addfinalizer(lambda: postgres_server.drop(name))  # type: ignore[attr-defined]
    url = postgres_server.url_of(name)  # type: ignore[attr-defined]
    holder = make_engine(parse_url(url))
    with FeedbackStore.open(url) as store, writing(holder) as connection:
        connection.exec_driver_sql("LOCK TABLE user_dislikes")
        with pytest.raises(TransientError, match="lock timeout"):
            store.feedback.record_dislikes(MANY[:1])
    holder.dispose()


def test_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and nothing but notes. " * 50)
    for use in (migrate, FeedbackStore.open):
        with pytest.raises(TerminalError, match="not a database"):
            use(f"sqlite:///{path}")
    assert path.read_text().startswith("These are notes")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TerminalError, match="Expected to create the folder"):
        migrate(f"sqlite:///{tmp_path / 'file' / 'feedback.db'}")


def test_path_that_is_a_folder(tmp_path: Path) -> None:
    for use in (migrate, FeedbackStore.open):
        with pytest.raises(TerminalError, match="unable to open database file"):
            use(f"sqlite:///{tmp_path}")


def test_file_without_the_right_to_write(sqlite_file: Path) -> None:
    script = (
        "import os, sys\n"
        "from recsys.errors import TerminalError\n"
        "from recsys.store import FeedbackStore\n"
        "FeedbackStore.open(sys.argv[1]).close()\n"  # nobody may read root's Python: import everything first
        "if os.getuid() == 0: os.setuid(65534)\n"  # root may write anything
        "try: FeedbackStore.open(sys.argv[1]).upsert_items([])\n"
        "except TerminalError as error: print(error)\n"
    )
    os.chmod(sqlite_file, 0o444)
    os.chmod(sqlite_file.parent, 0o555)  # no place for the write-ahead log either
    for folder in list(sqlite_file.parents)[1:3]:
        os.chmod(folder, 0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{sqlite_file}"], capture_output=True, text=True, check=False
    )
    os.chmod(sqlite_file.parent, 0o755)
    assert "What to do" in done.stdout, done.stderr


@pytest.mark.postgres
@pytest.mark.parametrize("use", [migrate, FeedbackStore.open])
def test_postgres_that_is_away_may_be_retried(use: object) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound but not listening: refused for sure
        url = f"postgresql://me:secret@127.0.0.1:{probe.getsockname()[1]}/feedback"
        with pytest.raises(TransientError, match="start the database server") as raised:
            use(url)  # type: ignore[operator]
    assert "secret" not in str(raised.value)


@pytest.mark.postgres
def test_postgres_without_that_database(postgres_server: object) -> None:
    url = postgres_server.url_of("no_such_database")  # type: ignore[attr-defined]
    for use in (migrate, FeedbackStore.open):
        with pytest.raises(TerminalError, match="does not exist"):
            use(url)


@pytest.mark.postgres
def test_postgres_that_restarts_costs_no_call(postgres_server: object, request: pytest.FixtureRequest) -> None:
    name = postgres_server.create(postgres_server.template)  # type: ignore[attr-defined]
    request.addfinalizer(lambda: postgres_server.drop(name))  # type: ignore[attr-defined]
    url = postgres_server.url_of(name)  # type: ignore[attr-defined]
    with FeedbackStore.open(url) as store:
        store.catalog.all_items()
        killer = make_engine(parse_url(url))
        with killer.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{make_url(url).database}' AND pid <> pg_backend_pid()"
            )
        killer.dispose()
        assert store.catalog.all_items() == {}


@pytest.mark.postgres
def test_connection_lost_in_a_transaction_may_be_retried(
    postgres_server: object, request: pytest.FixtureRequest
) -> None:
    name = postgres_server.create(postgres_server.template)  # type: ignore[attr-defined]
    request.addfinalizer(lambda: postgres_server.drop(name))  # type: ignore[attr-defined]
    url = parse_url(postgres_server.url_of(name))  # type: ignore[attr-defined]
    lost = make_engine(url)
    with pytest.raises(TransientError), database_errors(url), writing(lost) as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    lost.dispose()
