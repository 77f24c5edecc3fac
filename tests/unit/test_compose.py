"""docker-compose.yaml against the official schema, and against what this project promises about it."""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / "docker" / "env.example").read_text(encoding="utf-8")
PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?(@sha256:[0-9a-f]{64})?$")
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<operator>:?[?-])?(?P<rest>[^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET_KEY")


def environment(service: str) -> dict[str, str]:
    return SERVICES[service].get("environment", {})


def test_it_is_valid_by_the_official_schema() -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(COMPOSE)] == []


def test_the_services_are_those_of_the_loop() -> None:
    assert set(SERVICES) == {"postgres", "migrate", "mlflow", "api", *AIRFLOW}
    assert all(environment(name)["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor" for name in AIRFLOW)


def test_images_are_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE))
    assert bases
    for image in images | bases:
        assert PINNED.match(image), image


def test_every_secret_must_be_given() -> None:
    variables = list(VARIABLE.finditer(TEXT))
    assert variables
    for found in variables:
        if SECRET.search(found["name"]):
            assert found["operator"] == ":?", f"{found[0]}: a secret has no default"
            assert found["rest"], f"{found[0]}: say where to look"
            assert re.search(rf"^{found['name']}=$", ENV_EXAMPLE, flags=re.MULTILINE), (
                f"{found['name']} is not explained"
            )
        else:
            assert found["operator"] in {":-", ":?"}, f"{found[0]}: neither default nor message"


def test_no_password_stands_in_the_file() -> None:
    for service in SERVICES:
        for name, value in environment(service).items():
            if SECRET.search(name):
                assert VARIABLE.fullmatch(value), f"{service}: {name}"
            for password in re.findall(r"://[^:/@]+:(.+?)@", value):
                assert VARIABLE.fullmatch(password), f"{service}: {name}"


def test_ports_are_published_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_that_stays_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        if name == "migrate":
            assert service["restart"] == "no"
            continue
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"]), name
        assert service["restart"] == "unless-stopped", name


def test_nothing_starts_before_what_it_needs() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed == "migrate" else "service_healthy"
            assert how["condition"] == expected, f"{name} needs {needed}"
    assert all("migrate" in SERVICES[name]["depends_on"] for name in AIRFLOW)
    assert "postgres" in SERVICES["migrate"]["depends_on"]
    assert "postgres" in SERVICES["mlflow"]["depends_on"]
    assert "migrate" in SERVICES["api"]["depends_on"]


def test_volumes_are_declared_and_used() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    for mount in mounts:
        if mount.startswith("."):
            assert (ROOT / mount.split(":")[0]).exists(), mount


def test_mlflow_accepts_requests_by_the_name_the_tasks_use() -> None:
    host = environment("airflow-scheduler")["MLFLOW_TRACKING_URI"].removeprefix("http://")
    (allowed,) = [part for part in SERVICES["mlflow"]["command"] if part.startswith("--allowed-hosts=")]
    assert host in allowed.removeprefix("--allowed-hosts=").split(",")


def test_links_for_people_do_not_use_names_that_only_containers_know() -> None:
    for service in ("api", "airflow-scheduler"):
        assert environment(service)["RECSYS_MLFLOW_PUBLIC_URL"] == "http://localhost:${MLFLOW_PORT:-5000}"


def test_the_api_may_tell_airflow_that_the_backlog_is_ready() -> None:
    users = dict(
        user.split(":")
        for user in environment("airflow-api-server")["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(",")
    )
    api, migrate = environment("api"), environment("migrate")
    assert users[api["RECSYS_AIRFLOW_USERNAME"]] == "op"
    assert api["RECSYS_AIRFLOW_URL"] == "http://airflow-api-server:8080"
    for name in ("RECSYS_AIRFLOW_USERNAME", "RECSYS_AIRFLOW_PASSWORD"):
        assert api[name] == migrate[name]
        assert {service for service in SERVICES if name in environment(service)} == {"api", "migrate"}
    script = SERVICES["migrate"]["command"][-1].split()[-1]
    assert any(mount.split(":")[1] == script for mount in SERVICES["migrate"]["volumes"])


def test_the_api_can_tell_who_asks_and_is_asked_by_other_machines() -> None:
    assert VARIABLE.fullmatch(environment("api")["RECSYS_JWT_SECRET"])
    assert "--host=0.0.0.0" in SERVICES["api"]["command"]


def test_whoever_uses_the_feedback_database_has_the_key_that_names_erased_users() -> None:
    assert COMPOSE["secrets"] == {"user_key": {"environment": "RECSYS_USER_KEY"}}
    assert re.search(r"^RECSYS_USER_KEY=$", ENV_EXAMPLE, flags=re.MULTILINE)
    for name, service in SERVICES.items():
        uses = "RECSYS_DATABASE_URL" in environment(name)
        assert service.get("secrets", []) == (["user_key"] if uses else []), name
        assert environment(name).get("RECSYS_USER_KEY_FILE") == ("/run/secrets/user_key" if uses else None), name


def test_alerts_are_optional_and_set_where_tasks_run() -> None:
    """The scheduler runs tasks and the callbacks of deadlines, the DAG processor those of tasks that died."""
    for service in AIRFLOW:
        assert environment(service)["RECSYS_ALERT_WEBHOOK_URL"] == "${RECSYS_ALERT_WEBHOOK_URL:-}", service
    assert re.search(r"^RECSYS_ALERT_WEBHOOK_URL=$", ENV_EXAMPLE, flags=re.MULTILINE)


def test_it_runs_the_same_commands_as_make_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from stack import Stack

    from recsys.settings import Settings

    places = re.compile(r"^(--host|--port|--artifacts-destination|--allowed-hosts)=")
    local = {
        service.name: [part for part in service.command[1:] if not places.match(part)]
        for service in Stack(Settings.under(tmp_path)).services()
    }
    contained = {name: [part for part in SERVICES[name]["command"][1:] if not places.match(part)] for name in local}
    assert contained == local
    assert {SERVICES[name]["command"][0] for name in local} == {Path(sys.executable).name.rstrip("0123456789.")}


def test_it_sets_what_make_up_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from airflow_environment import airflow_environment

    from recsys.settings import Settings

    local = {name for name in airflow_environment(Settings.under(tmp_path)) if name.startswith(("AIRFLOW", "MLFLOW"))}
    for service in AIRFLOW:
        assert local <= set(environment(service)), service


def test_the_image_holds_what_the_services_need() -> None:
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        part for line in re.findall(r"^COPY (.*)$", DOCKERFILE, flags=re.MULTILINE) for part in line.split()[1:-1]
    ]
    assert {"requirements.lock", "recsys", "sql", "dags", "plugins"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored, path
    assert "USER recsys" in DOCKERFILE, "nothing runs as root"
