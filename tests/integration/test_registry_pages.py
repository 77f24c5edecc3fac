"""MLflow's server as `make up` and the containers start it: behind a login; its page opens for model training."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import InputError, RecsysError
from recsys.registry.pages import LoginGate
from recsys.registry.registry import Registry
from recsys.settings import RegistryLogin
from tests.integration.conftest import find_free_port, wait_until_healthy

ROOT = Path(__file__).resolve().parents[2]
LOGIN = RegistryLogin("admin", "Pässword with: a colon")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow server --app-name=recsys`; the name is declared here, as installing the package does."""
    folder, port = tmp_path_factory.mktemp("pages"), find_free_port()
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"][
        "mlflow.app"
    ]
    metadata = folder / "installed" / "pages-0.dist-info"
    metadata.mkdir(parents=True)
    lines = ["[mlflow.app]", *(f"{name} = {value}" for name, value in named.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pages\nVersion: 0\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "mlflow", "server", "--app-name=recsys", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}", f"--artifacts-destination={folder / 'artifacts'}",
    ]  # fmt: skip
    path = os.pathsep.join([str(metadata.parent), str(ROOT), os.environ.get("PYTHONPATH", "")])
    own = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": path,
        "RECSYS_HOME": str(folder / "home"), **LOGIN.as_environment(),
    }  # fmt: skip
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=output, stderr=output)
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}", str(folder / "server.log"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def basic(login: RegistryLogin = LOGIN) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}


def status_of(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    body = None if method in {"GET", "HEAD"} else b"{}"
    try:
        with OPENER.open(urllib.request.Request(url, body, headers or {}, method=method), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


ROUTES = """
import json
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app

found = {(method, rule.rule) for rule in pages.url_map.iter_rules() for method in rule.methods}
found |= {(method, route.path) for route in app.routes for method in getattr(route, "methods", None) or ()}
print(json.dumps(sorted(found)))
"""


def test_no_route_answers_without_the_login(server: str) -> None:
    listed = subprocess.run([sys.executable, "-c", ROUTES], capture_output=True, text=True, check=True).stdout
    routes = [(method, re.sub(r"[<{][^>}]*[>}]", "1", path)) for method, path in json.loads(listed.splitlines()[-1])]
    assert len(routes) > 200
    assert {"/", "/graphql", "/version", "/api/2.0/mlflow/registered-models/alias"} <= {path for _, path in routes}
    artifacts = "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/recommender/model.keras"
    routes += [(method, artifacts) for method in ("GET", "PUT", "DELETE")]
    routes += [
        ("GET", path) for path in ("/health/", "/health/..", "//health", "/Health", "/static-files/manifest.json")
    ]
    answers = {(method, path): status_of(server + path, method) for method, path in routes}
    assert {route for route, status in answers.items() if status != 401} == {("GET", "/health"), ("HEAD", "/health")}


def test_a_wrong_login_is_none(server: str) -> None:
    (right,) = basic().values()
    wrong = [
        basic(RegistryLogin("admin", "wrong"))["Authorization"], basic(RegistryLogin("Admin", LOGIN.password))["Authorization"],
        right[:-1], right + "AAAA", right.replace("Basic", "Bearer"), "Basic", "Basic ", "Basic !", "x" * 4000, right[6:],
    ]  # fmt: skip
    for header in wrong:
        assert status_of(f"{server}/version", headers={"Authorization": header}) == 401, header
    assert status_of(f"{server}/version", headers={"Authorization": right}) == 200
    assert status_of(f"{server}/version", headers={"Authorization": right.replace("Basic", "basic")}) == 200


def test_two_logins_in_one_request_are_none(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    lines = ["GET /version HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
    lines += [f"Authorization: {basic()['Authorization']}", "Authorization: Basic eDp5"]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(100).split()[1] == b"401"


def test_a_websocket_is_closed_before_it_opens() -> None:
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def behind(*_: Any) -> None:
        sent.append("it came through")

    gate = LoginGate(behind, LOGIN)
    asyncio.run(gate({"type": "websocket", "path": "/health", "headers": []}, behind, send))
    assert sent == ["websocket.close"]


@pytest.mark.parametrize(
    "login", [RegistryLogin(), RegistryLogin("admin"), RegistryLogin("", "x"), RegistryLogin("a:b", "x")]
)
def test_without_a_login_it_does_not_start(login: RegistryLogin) -> None:
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD"):
        LoginGate(lambda *_: pytest.fail("it answered"), login)


def test_the_registry_sends_what_the_environment_says(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in LOGIN.as_environment().items():
        monkeypatch.setenv(name, value)
    registry = Registry(server, tmp_path)
    registry.ensure()
    assert registry.aliases.get_alias("champion") is None
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(RecsysError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        registry.aliases.get_alias("champion")
    with pytest.raises(RecsysError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        Registry(server, tmp_path).ensure()


def test_the_page_opens_for_model_training_unless_a_person_chose_otherwise(server: str) -> None:
    with OPENER.open(urllib.request.Request(server, headers=basic()), timeout=30) as answer:
        page, headers = answer.read().decode(), answer.headers
    head = page[page.index("<head>") : page.index("main.")]
    assert '"mlflow.workflowType_v1": "\\"machine_learning\\""' in head, "before MLflow's own script looks"
    assert "localStorage.getItem(name) === null" in head
    assert int(headers["Content-Length"]) == len(page.encode())
    assert "ETag" not in headers, "that of the page without it: a browser would keep the old one"
    assert '<div id="root"' in page


def test_everything_else_is_mlflow_s_own(server: str) -> None:
    manifest = urllib.request.Request(f"{server}/static-files/manifest.json", headers=basic())
    with OPENER.open(manifest, timeout=30) as answer:
        assert b"localStorage" not in answer.read()
    request = urllib.request.Request(server, headers={"Host": "evil.example", **basic()})
    with pytest.raises(urllib.error.HTTPError) as refused:
        OPENER.open(request, timeout=30)
    with refused.value:
        assert refused.value.code == 403
