"""Reading a DAG file is cheap: Airflow does it over and over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("tensorflow", "keras", "mlflow", "great_expectations", "pandas", "numpy", "duckdb", "sqlalchemy", "matplotlib")
MAX_SECONDS = 1.0

# Everything that the SDK loads anyway, lazily or not, does not count against the DAG files.
PROBE = """
import json, sys, time
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
started = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps({"seconds": time.perf_counter() - started, "modules": sorted(set(sys.modules) - before)}))
"""


@pytest.mark.parametrize(
    "name",
    [
        "feedback_retraining",
        "model_promotion",
        "recommendation_publishing",
        "feedback_monitoring",
        "champion_approval",
        "champion_rollback",
    ],
)
def test_a_dag_file_loads_nothing_heavy_and_in_no_time(name: str, tmp_path: Path) -> None:
    environment = {
        **os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(
            str(ROOT / folder) for folder in ("dags", "plugins", ".")
        ),
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, name], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    loaded = {module.split(".")[0] for module in result["modules"]}
    assert name in loaded
    assert not loaded & set(HEAVY)
    assert not {module for module in result["modules"] if module.startswith("recsys.")} - {"recsys.errors"}
    assert result["seconds"] < MAX_SECONDS
