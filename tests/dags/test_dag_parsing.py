"""Reading a DAG file is cheap: Airflow does it over and over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "keras", "mlflow", "great_expectations", "pandas", "numpy", "duckdb", "sqlalchemy", "matplotlib")
MAX_SECONDS = 1.0
GROUND_FLOOR = ("recsys.errors", "recsys.config")  # a form is made from settings

# Everything that the SDK loads anyway, lazily or not, does not count against the DAG files.
# One process has it and forks for each file: none finds what another one has loaded.
PROBE = """
import json, os, sys, time
import airflow.sdk
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import (
    Asset, AssetOrTimeSchedule, BaseOperatorLink, CronTriggerTimetable, ExceptionRetryPolicy, Param, dag, setup, task,
    teardown,
)
@dag(schedule=None)
def empty():
    @task
    def nothing(): ...
    nothing()
empty()
before = set(sys.modules)
for name in sys.argv[1:]:
    if child := os.fork():
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{name} could not be loaded.")
        continue
    started = time.perf_counter()
    __import__(name)
    seconds = time.perf_counter() - started
    print(json.dumps({"name": name, "seconds": seconds, "modules": sorted(set(sys.modules) - before)}), flush=True)
    break
"""
FILES = (
    "feedback_retraining", "model_promotion", "recommendation_publishing", "feedback_monitoring", "champion_approval",
    "champion_rollback",
)  # fmt: skip


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """File -> how long loading it took and what it loaded."""
    folder = tmp_path_factory.mktemp("probe")
    environment = {
        **os.environ, "AIRFLOW_HOME": str(folder), "PYTHONPATH": os.pathsep.join(
            str(ROOT / source) for source in ("dags", "plugins", ".")
        ),
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *FILES], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    return {one["name"]: one for one in found}


@pytest.mark.parametrize("name", FILES)
def test_a_dag_file_loads_nothing_heavy_and_in_no_time(name: str, probed: dict[str, dict[str, Any]]) -> None:
    result = probed[name]
    loaded = {module.split(".")[0] for module in result["modules"]}
    assert name in loaded
    assert not loaded & set(HEAVY)
    own = {module for module in result["modules"] if module.startswith("recsys.")}
    assert all(module.startswith(GROUND_FLOOR) for module in own), own
    assert result["seconds"] < MAX_SECONDS
