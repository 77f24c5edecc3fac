"""Airflow reads its environment when it is imported, so it is set when this file is: a home in a temporary folder."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="recsys-dags-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
sys.path.insert(0, str(ROOT / "scripts"))

from airflow_environment import airflow_environment  # noqa: E402 - found by the line above

ENVIRONMENT = airflow_environment(Settings.under(HOME))
# Only Airflow's own: the other tests choose their places themselves.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name.startswith("AIRFLOW")})


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own database, in the temporary home."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env={**os.environ, **ENVIRONMENT}, check=True,
        capture_output=True,
    )  # fmt: skip


def read_dags() -> Any:
    """The project's DAGs as Airflow reads them. Each run needs its own: `dag.test()` leaves its form in the DAG."""
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(dag_folder=str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    """The DAGs, to look at."""
    return read_dags()


@pytest.fixture
def run() -> Callable[..., tuple[str, dict[str, str]]]:
    """Runs a DAG in this process for a night; returns the run's state and those of its tasks."""

    def run_dag(dag_id: str, night: datetime, **form: Any) -> tuple[str, dict[str, str]]:
        dag = read_dags().dags[dag_id]
        dag.deadline = None  # Airflow 3.3: a run that dag.test() started ends in an error where there is one
        try:
            finished = dag.test(run_after=night, logical_date=None, run_conf=form)
        finally:
            for name in [name for name in os.environ if name.startswith("AIRFLOW_CTX_")]:
                del os.environ[name]  # it says to later tests of this process that Airflow runs them
        return str(finished.state), {ti.task_id: str(ti.state) for ti in finished.get_task_instances()}

    return run_dag
