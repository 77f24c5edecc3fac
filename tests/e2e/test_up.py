"""`make up`: the real stack on free ports of this machine, from its start to its certain end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
UP = ROOT / "scripts" / "up.py"
DAGS = {
    "feedback_retraining", "model_promotion", "recommendation_publishing", "feedback_monitoring", "champion_approval",
    "champion_rollback",
}  # fmt: skip
START_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 90.0
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningStack:
    """A `make up` in a home folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = {"airflow": free_port(), "mlflow": free_port(), "api": free_port()}
        self.airflow, self.mlflow, self.api = (f"http://127.0.0.1:{port}" for port in self.ports.values())
        self.output = home / "output.txt"
        own = {"RECSYS_HOME": str(home), "RECSYS_DATABASE_URL": "", "MLFLOW_TRACKING_URI": ""}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.environment = {**inherited, **own, "PYTHONUNBUFFERED": "1"}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(UP), *self.arguments()], env=self.environment, stdout=output, stderr=output
            )

    def arguments(self) -> list[str]:
        return ["up", *(f"--{name}-port={port}" for name, port in self.ports.items())]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while "Ctrl-C" not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.5)

    def get(self, path: str, *, token: str = "", cookie: str = "", body: Any = None) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Cookie": f"_token={cookie}"} if cookie else {}
        data = None if body is None else json.dumps(body).encode()
        try:
            with OPENER.open(urllib.request.Request(self.airflow + path, data, headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get_json(self, path: str, token: str, body: Any = None) -> Any:
        status, text = self.get(path, token=token, body=body)
        assert status < 300, text
        return json.loads(text)

    def dislike(self, user_id: str, movie_id: int) -> dict[str, Any]:
        """Posts a dislike to the feedback API with the key that `make up` keeps."""
        key = (self.home / "api_key").read_text().strip()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}", "X-User-ID": user_id}
        body = json.dumps({"movie_id": movie_id, "reason": "not_interested"}).encode()
        with OPENER.open(urllib.request.Request(f"{self.api}/api/dislike", body, headers), timeout=30) as answer:
            assert answer.status == 201
            return dict(json.loads(answer.read()))

    def log_in(self) -> str:
        password = self.output.read_text().split("password ")[1].split()[0]
        status, text = self.get("/auth/token", body={"username": "admin", "password": password})
        assert status == 201, text
        return str(json.loads(text)["access_token"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def left(self) -> list[str]:
        """Command lines of processes that still belong to it."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("RECSYS_HOME") == str(self.home):
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


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
    assert {name: health[name]["status"] for name in ("metadatabase", "scheduler", "dag_processor")} == {
        "metadatabase": "healthy", "scheduler": "healthy", "dag_processor": "healthy",
    }  # fmt: skip


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


def test_what_it_keeps_is_private(stack: RunningStack) -> None:
    kept = [path for path in stack.home.rglob("*") if path.is_file() and path != stack.output]
    secret = {"jwt_secret", "service_secret", "api_key", "up.json", "feedback.db"}
    assert {path.name for path in kept} >= secret | {"mlflow.db"}
    assert [path for path in kept if path.name in secret and path.stat().st_mode & 0o077] == []
    key = (stack.home / "api_key").read_text().strip()
    assert [path for path in kept if path.name != "api_key" and key.encode() in path.read_bytes()] == []


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
