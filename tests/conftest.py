"""Databases for the tests: everything that touches the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from sqlalchemy import make_url
from xdist.scheduler.loadfile import LoadFileScheduling

from recsys.files.private import UMASK
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate

os.umask(
    UMASK
)  # what a test makes in this process is a home as commands leave it; test_private_home.py begins with none
POSTGRES_URL = "RECSYS_TEST_POSTGRES_URL"
# No deadline per example: on a busy machine a slow one says nothing about the code.
settings.register_profile("recsys", deadline=None)
settings.load_profile("recsys")
SHARING_FOLDERS = ("dags", "second_night")
LONG_FOLDERS = ("training",)


class ByFile(LoadFileScheduling):
    """One worker runs all tests of a file, and of a folder that shares what takes long to make."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        return str(path.parent if path.parent.name in SHARING_FOLDERS else path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """In place of xdist's own, where `--dist loadfile` is asked for."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that at the end no worker waits for the other."""
    items.sort(key=lambda item: item.path.parent.name not in LONG_FOLDERS)


@dataclass(frozen=True)
class PostgresServer:
    """A server where the tests may make databases."""

    admin_url: str
    template: str

    def url_of(self, name: str) -> str:
        url = make_url(self.admin_url).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def create(self, template: str | None = None) -> str:
        name = f"recsys_test_{uuid.uuid4().hex[:16]}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self.run(statement.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        return name

    def drop(self, name: str) -> None:
        self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def run(self, statement: sql.Composed) -> None:
        admin_database = make_url(self.admin_url).database or "postgres"
        with psycopg.connect(self.url_of(admin_database), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that `make test` starts, with a migrated template to copy databases from."""
    admin_url = os.environ.get(POSTGRES_URL)
    if not admin_url:
        pytest.fail(
            f"Expected the URL of a PostgreSQL server in {POSTGRES_URL}, found none: start it with `make test`, or with "
            "`scripts/test_postgres.sh run -- pytest ...`. These tests are never skipped.",
            pytrace=False,
        )
    server = PostgresServer(admin_url, "")
    template = server.create()
    try:
        migrate(server.url_of(template))
        yield PostgresServer(admin_url, template)
    finally:
        server.drop(template)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite-template") / "feedback.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def backend(request: pytest.FixtureRequest) -> str:
    """Kind of database: a test that uses it, or a fixture below, runs once per kind."""
    return str(request.param)


@pytest.fixture
def key_of_server(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a server's database is in this test's folder; that of a SQLite file is beside it anyway."""
    if backend == "postgresql":
        monkeypatch.setenv("RECSYS_USER_KEY_FILE", str(tmp_path / "user.key"))


@pytest.fixture
def empty_database_url(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest, key_of_server: None
) -> Iterator[str]:
    """A database without any table. On SQLite the file does not exist yet, nor does its folder."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty' / 'feedback.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest, key_of_server: None) -> Iterator[str]:
    """A migrated database without rows."""
    if backend == "sqlite":
        path = tmp_path / "feedback.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(server.template)
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def store(database_url: str) -> Iterator[FeedbackStore]:
    """An open store on a migrated database without rows."""
    with FeedbackStore.open(database_url) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Places under a folder of this test's own, with embedded stores."""
    return Settings.under(tmp_path / "home")
