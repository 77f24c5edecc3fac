"""What `make up` runs: MLflow, Airflow's four services and the feedback API; their start in order and their health."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_environment import AIRFLOW_FOLDER, LOCAL, ROOT, SERVICE_USER, airflow_environment, stored_secret
from local_key import ensure_local_key, local_key_file
from service import MARK, Service

from recsys.errors import TerminalError
from recsys.pipeline.champion.aliases import require_registry
from recsys.pipeline.context import Context
from recsys.registry.local_store import require_own_home
from recsys.settings import RegistryLogin, Settings

START_TIMEOUT_S = 180.0
POLL_S = 0.5
# No proxy: everything asked here is on this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StackError(Exception):
    """The stack cannot start or go on; the message says what to do."""


class Stack:
    """The services of one home folder.

    Attributes:
        name: marks its processes.
        logs: folder of their output.
    """

    def __init__(
        self, settings: Settings, airflow_port: int = 8080, mlflow_port: int = 5000, api_port: int = 8000
    ) -> None:
        """Plans the services; starts nothing.

        Args:
            settings: of the deployment. With `MLFLOW_TRACKING_URI` naming a server, that one is used and none is started.
            airflow_port: for Airflow's UI and API.
            mlflow_port: for MLflow.
            api_port: for the feedback API.
        """
        self._has_own_mlflow = not settings.tracking_uri.startswith(("http://", "https://"))
        self._mlflow_url = f"http://{LOCAL}:{mlflow_port}" if self._has_own_mlflow else settings.tracking_uri
        self._store_uri = settings.tracking_uri
        self._settings = replace(settings, tracking_uri=self._mlflow_url)
        self._ports = {"Airflow": airflow_port, "API": api_port}
        self._ports |= {"MLflow": mlflow_port} if self._has_own_mlflow else {}
        self._airflow_url, self._api_url = f"http://{LOCAL}:{airflow_port}", f"http://{LOCAL}:{api_port}"
        self.name = str(settings.home)
        self.logs = settings.home / "logs"

    def environment(self) -> dict[str, str]:
        """The environment of every service."""
        airflow = airflow_environment(self._settings, port=self._ports["Airflow"])
        own = {
            MARK: self.name,
            # A process that renames itself must not overwrite its environment, by which `stop_all` finds it.
            "SPT_NOENV": "1",
            "MLFLOW_BACKEND_STORE_URI": self._store_uri,  # not an argument: it may hold a password
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        return {**os.environ, **airflow, **own, **self._login().as_environment()}

    def _login(self) -> RegistryLogin:
        """What MLflow asks for: our own server a password that is made once, another one what the environment says."""
        if not self._has_own_mlflow:
            return RegistryLogin.from_environment()
        return RegistryLogin("admin", stored_secret(self._settings.home / "mlflow_password", num_bytes=16))

    def announcing(self) -> dict[str, str]:
        """What lets the feedback API notify Airflow that the backlog is ready."""
        secret = stored_secret(self._settings.home / AIRFLOW_FOLDER / "service_secret")
        named = {"URL": self._airflow_url, "USERNAME": SERVICE_USER, "PASSWORD": secret}
        return {f"RECSYS_AIRFLOW_{name}": value for name, value in named.items()}

    def services(self) -> list[Service]:
        """MLflow, if it is ours, Airflow's services and the API; the same commands as in docker-compose.yaml."""
        commands = {
            "airflow-api-server": ("airflow", "api-server"),
            "airflow-scheduler": ("airflow", "scheduler", "--skip-serve-logs"),
            "airflow-dag-processor": ("airflow", "dag-processor"),
            # No task of ours defers, but Airflow's front page has a red cross where none runs.
            "airflow-triggerer": ("airflow", "triggerer", "--skip-serve-logs"),
            "api": ("recsys", "serve", f"--host={LOCAL}", f"--port={self._ports['API']}"),
        }
        if self._has_own_mlflow:
            artifacts = self._settings.mlflow_artifacts
            artifacts.mkdir(parents=True, exist_ok=True)
            commands["mlflow"] = (
                "mlflow", "server", "--app-name=recsys", f"--host={LOCAL}", f"--port={self._ports['MLflow']}", "--workers=1",
                f"--artifacts-destination={artifacts.as_uri()}",
            )  # fmt: skip
        return [
            Service(name, (sys.executable, "-m", *command), self.logs / f"{name}.log")
            for name, command in commands.items()
        ]

    def start(self, running: list[subprocess.Popen[bytes]]) -> None:
        """Migrates both databases, starts the services and waits until they are healthy.

        Args:
            running: takes each service's process as soon as it exists, so that a failed start can be undone.

        Raises:
            StackError: if the folder was moved and not repaired, the file with the versions is gone, a port is taken, a
                migration fails, or a service ends or is not healthy in time.
        """
        self._require_own_home()
        for name, port in self._ports.items():
            _require_free(name, port)
        environment = self.environment()
        _run("recsys db upgrade", ("-m", "recsys", "db", "upgrade"), environment)
        self._require_versions()
        _run("airflow db migrate", ("-m", "airflow", "db", "migrate"), environment)
        with_password = environment | self.announcing()
        _run("add Airflow user", (str(ROOT / "docker" / "add_airflow_user.py"),), with_password)
        ensure_local_key(self._settings)
        # Only the API gets the password.
        running += [
            service.start(with_password if service.name == "api" else environment) for service in self.services()
        ]
        self._wait(running, f"the feedback API at {self._api_url}", self._is_api_ready)
        self._wait(running, f"MLflow at {self._mlflow_url}", lambda: _ask(f"{self._mlflow_url}/health") is not None)
        self._wait(running, f"Airflow at {self._airflow_url}", self._is_airflow_healthy)
        self._wait(running, "Airflow to read the DAGs", self._has_dags)

    def _require_own_home(self) -> None:
        """The server would go on writing to where the folder was."""
        if not self._store_uri.startswith("sqlite:///"):
            return
        try:
            require_own_home(Path(self._store_uri.removeprefix("sqlite:///")), self._settings.mlflow_artifacts)
        except TerminalError as error:
            raise StackError(str(error)) from error

    def _require_versions(self) -> None:
        """Where the file with the versions is gone or damaged, the server would make an empty one."""
        try:
            with Context.open(replace(self._settings, tracking_uri=self._store_uri)) as context:
                require_registry(context)
        except TerminalError as error:
            raise StackError(str(error)) from error

    def summary(self) -> str:
        """Where everything is, and how to log in."""
        login = self._login()
        return "\n".join(
            [
                f"Airflow   {self._airflow_url}   user admin, password {self._password()}",
                f"Feedback  {self._airflow_url}/feedback/   (after logging in)",
                f"MLflow    {self._mlflow_url}   user {login.username}, password {login.password}"
                if self._has_own_mlflow
                else f"MLflow    {self._mlflow_url}",
                f"API       {self._api_url}   documentation {self._api_url}/docs",
                f"          curl {self._api_url}/api/dislike -H 'X-User-ID: 7' -H 'Content-Type: application/json' \\",
                f"            -H \"Authorization: Bearer $(cat '{local_key_file(self._settings)}')\" \\",
                """            -d '{"movie_title": "The Room", "reason": "poor_quality"}'""",
                f"Logs      {self.logs}",
            ]
        )

    def what_ended(self, running: list[subprocess.Popen[bytes]]) -> str:
        """Names the services that are not running any more, with the end of their logs."""
        ended = [
            f"Expected {service.name} to keep running, but it ended with code {process.returncode}. "
            f"The end of {service.log}:\n{service.tail()}"
            for service, process in zip(self.services(), running, strict=True)
            if process.poll() is not None
        ]
        return "\n".join(ended)

    def _wait(self, running: list[subprocess.Popen[bytes]], what: str, is_ready: Callable[[], bool]) -> None:
        print(f"Waiting for {what} ...", flush=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_ready():
            if ended := self.what_ended(running):
                raise StackError(ended)
            if time.monotonic() > deadline:
                raise StackError(f"Expected {what} within {START_TIMEOUT_S:.0f} s; it did not come. See {self.logs}.")
            time.sleep(POLL_S)

    def _is_api_ready(self) -> bool:
        return _ask(f"{self._api_url}/readyz") is not None

    def _is_airflow_healthy(self) -> bool:
        health = _ask(f"{self._airflow_url}/api/v2/monitor/health")
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return health is not None and all(health[part]["status"] == "healthy" for part in parts)

    def _has_dags(self) -> bool:
        login = {"username": "admin", "password": self._password()}
        token = _ask(f"{self._airflow_url}/auth/token", body=login)
        if token is None:
            return False
        listed = _ask(f"{self._airflow_url}/api/v2/dags", token=token["access_token"])
        broken = _ask(f"{self._airflow_url}/api/v2/importErrors", token=token["access_token"])
        if broken is not None and broken["import_errors"]:
            raise StackError("\n".join(f"{e['filename']}:\n{e['stack_trace']}" for e in broken["import_errors"]))
        return listed is not None and {dag["dag_id"] for dag in listed["dags"]} >= dag_ids()

    def _password(self) -> str:
        path = self._settings.home / AIRFLOW_FOLDER / "simple_auth_manager_passwords.json.generated"
        return str(json.loads(path.read_text(encoding="utf-8"))["admin"])


def dag_ids() -> set[str]:
    """The DAGs of this project: a DAG's file has its name."""
    return {path.stem for path in (ROOT / "dags").glob("*.py") if "\n@dag(" in path.read_text(encoding="utf-8")}


def _require_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError as error:
            raise StackError(
                f"Expected port {port} to be free for {name}, but it is not ({error.strerror}). Stop what uses it, or "
                f"take another one: make up {name.upper()}_PORT={port + 1}"
            ) from error


def _run(what: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
    print(f"{what} ...", flush=True)
    done = subprocess.run(
        [sys.executable, *command], env=environment, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != 0:
        raise StackError(f"Expected `{what}` to succeed, but it ended with {done.returncode}:\n{done.stdout}")


def _ask(url: str, *, body: dict[str, str] | None = None, token: str | None = None) -> Any:
    """The answer's JSON, or its text, or None when there is none yet."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=json.dumps(body).encode() if body else None, headers=headers)
    try:
        with OPENER.open(request, timeout=10) as answer:
            text = answer.read().decode("utf-8")
    except (urllib.error.URLError, OSError):
        return None
    return json.loads(text) if text.startswith(("{", "[")) else text
