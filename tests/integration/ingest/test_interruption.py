"""An import that dies is finished by the same command, with the content of one clean run."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from recsys.ingest import ImportOptions, import_movietweetings
from recsys.store import FeedbackStore
from recsys.store.tables import metadata

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "data" / "movietweetings"
NUM_ROWS = 400
BATCHES = ImportOptions(rows_per_batch=100)
TABLES = ("items", "interactions", "user_dislikes", "negative_training_examples")
# Of one run's making: numbers that the database gives out, columns that refer to them, and when the run was.
OWN_COLUMNS = {"interaction_id", "dislike_id", "example_id", "imported_at"}

# Dies just before the n-th commit: a transaction is open, and everything before it is stored.
DYING_IMPORT = """
import os, signal, sys
import typer
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from recsys.cli.imports import run_import
from recsys.ingest import ImportOptions, import_movietweetings

folder, num_commits, sign = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
left = [num_commits]
# Tests started in the background of a shell ignore Ctrl-C, and so would this process.
signal.signal(signal.SIGINT, signal.default_int_handler)

@event.listens_for(Engine, "commit")
def die(connection):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), sign)

try:
    run_import(import_movietweetings, folder, ImportOptions(rows_per_batch=100))
except typer.Exit as stop:
    sys.exit(stop.exit_code)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (SHIPPED / "ratings.dat").open(encoding="utf-8") as file:
        ratings = list(islice(file, NUM_ROWS))
    named = {row.split("::")[1] for row in ratings}
    movies = (SHIPPED / "movies.dat").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "ratings.dat").write_text("".join(ratings), encoding="utf-8")
    kept = [row for row in movies if row.split("::")[0] in named]
    (tmp_path / "movies.dat").write_text("".join(kept), encoding="utf-8")
    return tmp_path


def content(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that an import writes, without the numbers that the database gave out."""
    engine = create_engine(database_url)
    rows = {}
    with engine.connect() as connection:
        for name in TABLES:
            columns = [column for column in metadata.tables[name].columns if column.name not in OWN_COLUMNS]
            rows[name] = sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)
    engine.dispose()
    return rows


def run_dying_import(database_url: str, folder: Path, num_commits: int, sign: signal.Signals) -> int:
    command = [sys.executable, "-c", DYING_IMPORT, str(folder), str(num_commits), str(sign.value)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECSYS_DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, check=False, capture_output=True, timeout=120).returncode


@pytest.fixture
def clean_content(folder: Path, sqlite_template: Path, tmp_path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What one undisturbed import leaves behind; on SQLite, whatever the interrupted one runs on."""
    database_url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'clean.db')}"
    with FeedbackStore.open(database_url) as store:
        assert import_movietweetings(store, folder, BATCHES).num_new == NUM_ROWS
    return content(database_url)


@pytest.mark.parametrize("num_commits", [3, 8, 12])
def test_killed_and_run_again(
    database_url: str, folder: Path, clean_content: dict[str, list[tuple[object, ...]]], num_commits: int
) -> None:
    assert run_dying_import(database_url, folder, num_commits, signal.SIGKILL) == -signal.SIGKILL
    interrupted = content(database_url)
    assert interrupted != clean_content
    assert len(interrupted["user_dislikes"]) == len(interrupted["negative_training_examples"])
    with FeedbackStore.open(database_url) as store:
        finished = import_movietweetings(store, folder, BATCHES)
        stored = len(interrupted["interactions"]) + len(interrupted["user_dislikes"])
        assert stored + finished.num_new == NUM_ROWS
        assert content(database_url) == clean_content
        assert import_movietweetings(store, folder, BATCHES).num_new == 0


def test_ctrl_c_stops_with_a_message_and_keeps_whole_batches(
    database_url: str, folder: Path, clean_content: dict[str, list[tuple[object, ...]]]
) -> None:
    assert run_dying_import(database_url, folder, 9, signal.SIGINT) == 130
    interrupted = content(database_url)
    assert interrupted != clean_content
    assert len(interrupted["user_dislikes"]) == len(interrupted["negative_training_examples"])
    assert run_dying_import(database_url, folder, 1_000, signal.SIGINT) == 0
    assert content(database_url) == clean_content
