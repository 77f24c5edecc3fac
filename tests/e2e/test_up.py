"""`make up`: the real stack on free ports of this machine, from its start to its certain end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running_stack import OPENER, UP, RunningStack, free_port

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAGS = {
    "feedback_retraining", "model_promotion", "recommendation_publishing", "feedback_monitoring", "champion_approval",
    "champion_rollback",
}  # fmt: skip
RUN_TIMEOUT_S = 90.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    started = RunningStack(tmp_path_factory.mktemp("stack"))
    try:
        started.wait_until_ready()
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


@pytest.fixture(scope="module")
def token(stack: RunningStack) -> str:
    return stack.log_in()


def test_all_services_are_healthy(stack: RunningStack) -> None:
    with OPENER.open(f"{stack.mlflow}/health", timeout=10) as answer:
        assert answer.read() == b"OK"
    with OPENER.open(f"{stack.api}/docs", timeout=10) as answer:
        assert "Feedback API" in answer.read().decode()
    status, text = stack.get("/api/v2/monitor/health")
    assert status == 200
    health = json.loads(text)
    assert {name: health[name]["status"] for name in health} == dict.fromkeys(
        ("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy"
    )


def test_the_dags_are_there_unpaused_and_none_has_started_by_itself(stack: RunningStack, token: str) -> None:
    assert stack.get_json("/api/v2/importErrors", token)["import_errors"] == []
    listed = {dag["dag_id"]: dag for dag in stack.get_json("/api/v2/dags", token)["dags"]}
    assert set(listed) == DAGS
    assert not any(dag["is_paused"] for dag in listed.values())
    assert stack.get_json("/api/v2/dags/~/dagRuns", token)["dag_runs"] == []


def test_the_status_page_needs_a_login(stack: RunningStack, token: str) -> None:
    status, text = stack.get("/feedback/")
    assert status == 401
    assert "Backlog" not in text
    assert stack.get("/feedback/", token="no.such.token")[0] in {401, 403}
    for credentials in ({"token": token}, {"cookie": token}):
        status, text = stack.get("/feedback/", **credentials)
        assert status == 200
        assert "0 new dislikes; retraining starts at 20" in text


def test_the_page_is_in_the_navigation(stack: RunningStack, token: str) -> None:
    (plugin,) = stack.get_json("/api/v2/plugins", token)["plugins"]
    (view,) = plugin["external_views"]
    assert (view["name"], view["href"], view["destination"]) == ("Feedback", "/feedback/", "nav")


def test_a_run_from_the_form_ends_green_and_says_why_it_did_nothing(stack: RunningStack, token: str) -> None:
    path = "/api/v2/dags/feedback_retraining/dagRuns"
    run = stack.get_json(path, token, body={"logical_date": None, "conf": {"threshold": 5}})
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while run["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, run
        time.sleep(1.0)
        run = stack.get_json(f"{path}/{run['dag_run_id']}", token)
    assert run["state"] == "success"
    tasks = stack.get_json(f"{path}/{run['dag_run_id']}/taskInstances", token)["task_instances"]
    assert {task["task_id"] for task in tasks if task["state"] == "success"} == {"check_backlog"}
    _, log = stack.get(f"{path}/{run['dag_run_id']}/taskInstances/claim_backlog/logs/1", token=token)
    assert "0 new dislikes, threshold 5" in log
    _, page = stack.get("/feedback/", token=token)
    assert run["dag_run_id"] in page.replace("&#43;", "+")


def test_a_form_that_makes_no_sense_is_refused(stack: RunningStack, token: str) -> None:
    body = {"logical_date": None, "conf": {"threshold": 0}}
    status, text = stack.get("/api/v2/dags/feedback_retraining/dagRuns", token=token, body=body)
    assert status == 400
    assert "threshold" in text


@pytest.mark.parametrize("run_id", ["it's", "a" * 300, "../../elsewhere", "line\n", "esc\x1b[31m"])
def test_an_id_of_a_run_that_makes_no_sense_is_refused(stack: RunningStack, token: str, run_id: str) -> None:
    body = {"logical_date": None, "dag_run_id": run_id, "conf": {}}
    status, text = stack.get("/api/v2/dags/feedback_retraining/dagRuns", token=token, body=body)
    assert status in {400, 422}
    assert "run_id" in text


def test_what_it_keeps_is_private(stack: RunningStack) -> None:
    """It was started with umask 0, and a run has been by now: also Airflow's own files and logs are closed."""
    everything = [path for path in stack.home.rglob("*") if path != stack.output and not path.is_symlink()]
    kept = [path for path in everything if path.is_file()]
    secret = {"jwt_secret", "service_secret", "api_key", "mlflow_password", "up.json", "feedback.db"}
    assert {path.name for path in kept} >= secret | {"mlflow.db", "airflow.db", "attempt=1.log"}
    assert {str(path): oct(path.stat().st_mode) for path in everything if path.stat().st_mode & 0o077} == {}
    key = (stack.home / "api_key").read_text().strip()
    assert [path for path in kept if path.name != "api_key" and key.encode() in path.read_bytes()] == []


def test_mlflow_asks_for_the_login_that_it_prints(stack: RunningStack) -> None:
    for path in ("/", "/version", "/api/2.0/mlflow/registered-models/search", "/static-files/manifest.json"):
        assert stack.ask_mlflow(path, logs_in=False)[0] == 401
        assert stack.ask_mlflow(path)[0] == 200
    assert stack.mlflow_login()[1] != stack.password()


def test_a_second_one_says_that_it_runs_already(stack: RunningStack) -> None:
    again = subprocess.run(
        [sys.executable, str(UP), *stack.arguments()],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0
    assert stack.airflow in again.stdout
    assert "make down" in again.stdout


@pytest.mark.parametrize("name", ["airflow", "mlflow", "api"])
def test_a_port_that_is_taken_is_named_with_a_way_out(stack: RunningStack, tmp_path: Path, name: str) -> None:
    ports = {"airflow": free_port(), "mlflow": free_port(), "api": free_port(), name: stack.ports[name]}
    taken = subprocess.run(
        [sys.executable, str(UP), "up", *(f"--{which}-port={port}" for which, port in ports.items())],
        env={**stack.environment, "RECSYS_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert taken.returncode == 1
    assert f"port {stack.ports[name]}" in taken.stderr
    assert f"{name.upper()}_PORT=" in taken.stderr
    assert not (tmp_path / "feedback.db").exists()


def test_the_example_that_it_prints_records_a_dislike(stack: RunningStack) -> None:
    example = stack.output.read_text().split("curl ")[1].split("Logs ")[0]
    expanded = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {example}"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.splitlines()
    url, *options = expanded
    given = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    (body,) = (value for option, value in given if option == "-d")
    with OPENER.open(urllib.request.Request(url, body.encode(), headers), timeout=30) as answer:
        assert (answer.status, json.loads(answer.read())["title"]) == (201, "The Room")


def test_dislikes_beyond_the_threshold_start_a_retraining(stack: RunningStack, token: str) -> None:
    for number in range(25):
        stack.dislike(f"user-{number}", 1000 + number % 7)
    deadline = time.monotonic() + RUN_TIMEOUT_S
    events: list[dict[str, Any]] = []
    while not any(event["created_dagruns"] for event in events):
        assert time.monotonic() < deadline, (events, (stack.home / "logs" / "api.log").read_text())
        time.sleep(0.5)  # between two looks at Airflow
        status, text = stack.get("/api/v2/assets/events", token=token)
        if status < 500:  # while it makes the run, Airflow on SQLite may fail to list it
            assert status == 200, text
            events = json.loads(text)["asset_events"]
    (event,) = events  # once per backlog
    assert event["uri"] == "recsys://feedback/backlog-ready"
    assert event["extra"]["backlog"] >= 20
    (created,) = event["created_dagruns"]
    runs = stack.get_json("/api/v2/dags/feedback_retraining/dagRuns", token)["dag_runs"]
    assert [run["dag_run_id"] for run in runs if run["run_type"] == "asset_triggered"] == [created["run_id"]]


def test_ctrl_c_leaves_no_process(stack: RunningStack) -> None:
    assert len(stack.left()) > 5
    assert stack.stop() == 0
    assert stack.left() == []
    assert not (stack.home / "up.json").exists()
    idle = subprocess.run(
        [sys.executable, str(UP), "down"], env=stack.environment, capture_output=True, text=True, check=True
    )
    assert "Nothing is running" in idle.stdout
