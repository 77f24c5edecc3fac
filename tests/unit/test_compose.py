"""docker-compose.yaml against the official schema, and against what this project promises about it."""

from __future__ import annotations

import json
import re
import subprocess
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
TAGGED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?$")
PINNED = re.compile(TAGGED.pattern.removesuffix("$") + r"@sha256:[0-9a-f]{64}$")
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
    ours = SERVICES["api"]["image"]
    assert TAGGED.match(ours)
    for image in (images - {ours}) | bases:
        assert PINNED.match(image), image


def test_uv_is_pinned_by_hash_wherever_it_is_installed() -> None:
    (first, *hashes) = (ROOT / "requirements-uv.lock").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", first)
    assert hashes
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    for text in (DOCKERFILE, (ROOT / "Makefile").read_text(encoding="utf-8")):
        installs = re.findall(r"-m pip install.*", text)
        assert installs
        assert all("--require-hashes -r requirements-uv.lock" in install for install in installs)


def test_every_service_has_limits_and_its_log_is_rotated() -> None:
    for name, service in SERVICES.items():
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service), name
        assert service["logging"]["driver"] == "json-file", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name


def test_each_service_has_a_role_of_its_own_and_the_superuser_serves_none() -> None:
    roles = {
        name: {
            (found["role"], found["password"], found["database"])
            for value in environment(name).values()
            for found in re.finditer(
                r"://(?P<role>\w+):\$\{(?P<password>\w+):\?[^}]*\}@postgres/(?P<database>\w+)", str(value)
            )
        }
        for name in SERVICES
    }
    own = {role: (role, f"{role.upper()}_DB_PASSWORD", role) for role in ("recsys", "airflow", "mlflow")}
    assert roles.pop("postgres") == set()
    assert roles.pop("mlflow") == {own["mlflow"]}
    assert roles.pop("api") == {own["recsys"]}
    assert all(found == {own["recsys"], own["airflow"]} for found in roles.values())
    assert [name for name in SERVICES if "POSTGRES_PASSWORD" in environment(name)] == ["postgres"]
    assert all("{POSTGRES_PASSWORD" not in str(environment(name)) for name in SERVICES if name != "postgres")


def test_mlflow_asks_for_the_login_that_the_others_send() -> None:
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    asked = [environment("mlflow")[name] for name in names]
    assert "--app-name=recsys" in SERVICES["mlflow"]["command"]
    assert VARIABLE.fullmatch(asked[1])
    for service in ("api", "migrate", *AIRFLOW):
        assert [environment(service)[name] for name in names] == asked, service
    holding = {name for name, service in SERVICES.items() if "mlflow" in str(service.get("volumes", []))}
    assert holding == {"mlflow"}, "the folder of the models is that service's own"


def test_what_services_write_in_a_container_is_private(tmp_path: Path) -> None:
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, flags=re.MULTILINE)
    command = [*json.loads(entrypoint), "sh", "-c", 'mkdir "$1" && touch "$1/a file"', "-", "a folder"]
    subprocess.run(command, cwd=tmp_path, umask=0, check=True)
    made = [tmp_path / "a folder", tmp_path / "a folder" / "a file"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o600]
    assert all("entrypoint" not in service for service in SERVICES.values())
    assert re.search(r"--mode 0700 /var/lib/recsys /var/lib/airflow /var/lib/mlflow$", DOCKERFILE, flags=re.MULTILINE)


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
    assert users[api["RECSYS_AIRFLOW_USERNAME"]] == "asset_events"
    assert environment("airflow-api-server")["AIRFLOW__CORE__AUTH_MANAGER"] == "service_role.ServiceRoleAuthManager"
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
    assert {"requirements.lock", "requirements-uv.lock", "recsys", "sql", "dags", "plugins"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored, path
    assert "USER recsys" in DOCKERFILE, "nothing runs as root"
