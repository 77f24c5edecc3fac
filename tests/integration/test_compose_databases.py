"""What PostgreSQL's container runs when its volume is new, on a server of the test's own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from recsys.store import migrate
from tests.integration.serving.own_postgres import own_postgres

pytestmark = pytest.mark.postgres

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "create_databases.sh"
ROLES = ("recsys", "airflow", "mlflow")
PASSWORDS = {f"{role.upper()}_DB_PASSWORD": f"{role}sPassword0123" for role in ROLES}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """`host:port` of a server with a superuser `postgres` and nothing else."""
    with tempfile.TemporaryDirectory(prefix="recsys-compose-") as folder, own_postgres(Path(folder)) as own:
        with psycopg.connect(own.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        with psycopg.connect(own.url.replace("recsys@", "postgres@"), autocommit=True) as connection:
            connection.execute("ALTER ROLE recsys RENAME TO made_by_initdb")
        yield own.url.partition("@")[2].partition("/")[0]


def run(server: str, **environment: str) -> subprocess.CompletedProcess[str]:
    host, port = server.split(":")
    places = {"PGHOST": host, "PGPORT": port, "POSTGRES_USER": "postgres", **PASSWORDS, **environment}
    return subprocess.run(
        ["bash", str(SCRIPT)], env={**os.environ, **places}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("password", ["", "short", "no'good; DROP DATABASE postgres", "Ünïcödelettersänddigits1"])
def test_a_password_that_is_none_creates_nothing(server: str, password: str) -> None:
    refused = run(server, RECSYS_DB_PASSWORD=password)
    assert refused.returncode != 0
    assert "docker/env.example" in refused.stderr
    with psycopg.connect(f"postgresql://postgres@{server}/postgres") as connection:
        assert connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'recsys'").fetchall() == []


def test_each_role_owns_its_database_and_enters_no_other(server: str) -> None:
    done = run(server)
    assert done.returncode == 0, done.stderr
    for role in ROLES:
        with psycopg.connect(f"postgresql://{role}@{server}/{role}", autocommit=True) as connection:
            connection.execute("CREATE TABLE own (id int)")
            connection.execute("DROP TABLE own")
            rights = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            assert connection.execute(rights).fetchone() == (False, False, False)
        for other in {*ROLES, "postgres", "template1"} - {role}:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"postgresql://{role}@{server}/{other}")
    migrate(f"postgresql+psycopg://recsys@{server}/recsys")
