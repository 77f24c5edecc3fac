"""`make up` in a home folder of its own, on free ports of this machine."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
UP = ROOT / "scripts" / "up.py"
START_TIMEOUT_S = 120.0
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
                [sys.executable, str(UP), *self.arguments()],
                env=self.environment,
                stdout=output,
                stderr=output,
                umask=0,
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

    def password(self) -> str:
        """Of the user admin, as it was printed."""
        return self.output.read_text().split("password ")[1].split()[0]

    def mlflow_login(self) -> tuple[str, str]:
        """Name and password of MLflow's server, as they were printed."""
        (line,) = [line for line in self.output.read_text().splitlines() if line.startswith("MLflow ")]
        words = line.replace(",", "").split()
        return words[words.index("user") + 1], words[words.index("password") + 1]

    def ask_mlflow(self, path: str, *, logs_in: bool = True) -> tuple[int, str]:
        credentials = base64.b64encode(":".join(self.mlflow_login()).encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"} if logs_in else {}
        try:
            with OPENER.open(urllib.request.Request(self.mlflow + path, headers=headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def log_in(self) -> str:
        status, text = self.get("/auth/token", body={"username": "admin", "password": self.password()})
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
