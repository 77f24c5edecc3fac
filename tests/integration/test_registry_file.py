"""A new embedded MLflow store is there as a whole or not at all."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from recsys.registry.registry import Registry
from tests.integration.forkserver import FORKSERVER
from tests.integration.step_processes import Point, die


def ensure(folder: Path, dies_at: Point | None = None) -> None:
    """Runs in a child."""
    if dies_at is not None:
        dies_at.reach(die)
    Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts").ensure()


def start(*arguments: object) -> BaseProcess:
    process = FORKSERVER.Process(target=ensure, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize(
    "point",
    [Point("mlflow.store.db.utils:_upgrade_db", "before"), Point("os:link", "before"), Point("os:link", "after")],
    ids=str,
)
def test_a_process_that_dies_while_making_it_leaves_nothing_that_is_used(tmp_path: Path, point: Point) -> None:
    killed = start(tmp_path, point)
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    for _ in range(2):  # the second finds the store, and clears up
        ensure(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_many_processes_may_make_it_at_once(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(4)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert connection.execute("SELECT count(*) FROM registered_models").fetchone() == (1,)


def test_looking_for_an_alias_makes_no_store(tmp_path: Path) -> None:
    assert Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts").aliases.get_alias("champion") is None
    assert list(tmp_path.iterdir()) == []
