"""What the feedback service may do in Airflow: asked of Airflow's own API, route by route."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recsys.serving.backlog_ready import BACKLOG_READY_URI
from tests.dags.conftest import ENVIRONMENT, HOME

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PASSWORDS = {"admin": "an admin's", "feedback-service": "a service's"}
# What says nothing about anything but Airflow itself: everybody may ask that, without a login, too.
OPEN = re.compile(
    r"/api/v2/(monitor/health|version)|/health|/docs.*|/redoc|/openapi.json|/auth/.*|/\{rest_of_path:path\}"
)
ENDS_THE_LOGIN = "/api/v2/auth/"
SUCCEEDS = {
    "GET /api/v2/assets",
    "GET /api/v2/assets/{asset_id}/queuedEvents",
    "GET /api/v2/assets/aliases",
    "GET /api/v2/assets/events",
    "GET /ui/auth/me",
    "GET /ui/auth/menus",
    "GET /ui/config",  # what any page of Airflow is drawn with: its name, colours, time zone
    "GET /ui/partitioned_dag_runs",  # of the DAGs that it may read: none
    "POST /ui/auth/token",  # another one for itself
}
# Airflow looks at what is asked for before it asks whether it is allowed: what is not there, or makes no sense. The tests below
# send bodies that make sense to those that would change something.
ASKS_LATER = {
    "GET /api/v2/assets/{asset_id}",
    "GET /api/v2/assets/{asset_id}/state-store",
    "GET /api/v2/assets/{asset_id}/state-store/{key:path}",
    "GET /api/v2/assets/aliases/{asset_alias_id}",
    "GET /api/v2/backfills/{backfill_id}",
    "GET /api/v2/connections/enqueue-test",
    "PATCH /api/v2/connections",
    "PATCH /api/v2/dags/{dag_id}/dagRuns",
    "PATCH /api/v2/pools",
    "PATCH /api/v2/variables",
    "POST /api/v2/assets/events",
    "POST /api/v2/assets/{asset_id}/materialize",
    "POST /api/v2/connections/enqueue-test",
    "POST /api/v2/dags/{dag_id}/clearDagRuns",
    "PUT /api/v2/backfills/{backfill_id}/cancel",
    "PUT /api/v2/backfills/{backfill_id}/pause",
    "PUT /api/v2/backfills/{backfill_id}/unpause",
    "PUT /api/v2/parseDagFile/{file_token}",
}


def create(entity: dict[str, Any]) -> dict[str, Any]:
    """Body of a request for several entities at once."""
    return {"actions": [{"action": "create", "entities": [entity]}]}


@pytest.fixture(scope="module")
def airflow(airflow_database: None) -> TestClient:
    """Airflow's API as it is served, on a database that knows the DAGs and their assets."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "reserialize"], env={**os.environ, **ENVIRONMENT}, check=True,
        capture_output=True,
    )  # fmt: skip
    (HOME / "airflow" / "simple_auth_manager_passwords.json.generated").write_text(json.dumps(PASSWORDS))
    from airflow.api_fastapi.app import create_app

    return TestClient(create_app(apps="core"), base_url="http://127.0.0.1:8080", follow_redirects=False)


def log_in(airflow: TestClient, user: str) -> dict[str, str]:
    token = airflow.post("/auth/token", json={"username": user, "password": PASSWORDS[user]}).json()["access_token"]
    airflow.cookies.clear()
    return {"Authorization": f"Bearer {token}"}


def asset_id(airflow: TestClient, headers: dict[str, str], uri: str) -> int:
    found = airflow.get("/api/v2/assets", params={"uri_pattern": uri}, headers=headers).json()["assets"]
    return int(next(asset["id"] for asset in found if asset["uri"] == uri))


def routes(listed: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in listed:
        path = prefix + getattr(route, "path", "")
        yield from ((method, path) for method in getattr(route, "methods", None) or ())
        yield from routes(getattr(route, "routes", None) or (), path)


def test_it_posts_asset_events_and_everything_else_is_refused(airflow: TestClient) -> None:
    headers = log_in(airflow, "feedback-service")
    asked = [(method, path) for method, path in sorted(set(routes(airflow.app.routes))) if method != "HEAD"]
    assert {("POST", "/api/v2/connections"), ("PATCH", "/api/v2/dags/{dag_id}"), ("GET", "/ui/dags")} <= set(asked)
    answered: dict[str, int] = {}
    for method, path in asked:
        if path.startswith(ENDS_THE_LOGIN) or OPEN.fullmatch(path) or path.endswith("/{_:path}"):
            continue
        url = re.sub(r"\{[^}]*\}", "999", path)
        answer = airflow.request(method, url, headers=headers, json=None if method == "GET" else {})
        answered[f"{method} {path}"] = answer.status_code
    assert {route for route, status in answered.items() if status < 400} == SUCCEEDS
    checked_later = {route for route, status in answered.items() if status >= 400 and status != 403}
    assert {route: answered[route] for route in checked_later - ASKS_LATER} == {}
    found = asset_id(airflow, headers, BACKLOG_READY_URI)
    event = {"asset_id": found, "extra": {"backlog": 25}}
    assert airflow.post("/api/v2/assets/events", headers=headers, json=event).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v2/dags/champion_rollback/dagRuns", {"logical_date": None, "conf": {"reason": "because"}}),
        ("PATCH", "/api/v2/dags/feedback_retraining", {"is_paused": True}),
        ("POST", "/api/v2/connections", {"connection_id": "x", "conn_type": "http"}),
        ("POST", "/api/v2/variables", {"key": "x", "value": "y"}),
        ("POST", "/api/v2/pools", {"name": "x", "slots": 1}),
        ("PATCH", "/api/v2/connections", create({"connection_id": "y", "conn_type": "http"})),
        ("PATCH", "/api/v2/variables", create({"key": "z", "value": "y"})),
        ("PATCH", "/api/v2/pools", create({"name": "y", "slots": 1})),
        ("GET", "/api/v2/dags", None),
        ("GET", "/feedback/", None),
    ],
)
def test_what_an_attacker_with_its_password_would_do_is_refused_to_it_alone(
    airflow: TestClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    refused = airflow.request(method, path, headers=log_in(airflow, "feedback-service"), json=body)
    assert refused.status_code == 403
    assert airflow.request(method, path, headers=log_in(airflow, "admin"), json=body).status_code < 300


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v2/dags/champion_rollback/clearDagRuns", {"dag_runs": [{"dag_run_id": "x"}], "dry_run": False}),
        (
            "PATCH",
            "/api/v2/dags/champion_rollback/dagRuns",
            {"actions": [{"action": "delete", "entities": [{"dag_id": "champion_rollback", "dag_run_id": "x"}]}]},
        ),
        ("POST", "/api/v2/connections/enqueue-test", {"connection_id": "x", "conn_type": "http", "executor": None}),
    ],
)
def test_runs_that_are_there_and_connections_are_out_of_its_reach(
    airflow: TestClient, method: str, path: str, body: dict[str, Any]
) -> None:
    assert airflow.request(method, path, headers=log_in(airflow, "feedback-service"), json=body).status_code == 403


def test_it_cannot_start_what_makes_an_asset(airflow: TestClient) -> None:
    """To `materialize` an asset is to trigger the DAG that makes it."""
    headers, admin = log_in(airflow, "feedback-service"), log_in(airflow, "admin")
    listed = airflow.get("/api/v2/assets", headers=admin).json()["assets"]
    made = [asset["id"] for asset in listed if len({task["dag_id"] for task in asset["producing_tasks"]}) == 1]
    assert made
    for one in made:
        assert airflow.post(f"/api/v2/assets/{one}/materialize", headers=headers, json={}).status_code == 403
