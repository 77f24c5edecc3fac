"""Real services for the integration tests, started once per session on free ports of this machine."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from recsys.pipeline.context import Context
from recsys.registry.registry import Registry
from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.integration.audited_loop import AuditedLoop
from tests.integration.command_line import Finished, copy_home, quick
from tests.integration.forkserver import FORKSERVER
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, record_first_night, write_stream


@dataclass(frozen=True)
class Champion:
    """A home with a champion, and what the command that made it said."""

    settings: Settings
    night: Finished


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(
    server: subprocess.Popen[bytes], url: str, log: str, seconds: float = 120, path: str = "health"
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.poll() is None, f"Expected the server to start, it ended with {server.returncode}: see {log}"
        try:
            with urllib.request.urlopen(f"{url}/{path}", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)  # between two polls of the health page
    pytest.fail(f"Expected {url} to answer within {seconds} s: see {log}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real MLflow server with its own store; ended with the session."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    url, log = f"http://127.0.0.1:{(port := find_free_port())}", folder / "server.log"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | settings, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_healthy(server, url, str(log))
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too
        server.wait()


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Champion:
    """The small stream with a first champion and published lists, made by `recsys run`. Only to be looked at."""
    with shared_folder(tmp_path_factory, worker_id, "champion") as folder:
        settings, said = Settings.under(folder / "home"), folder / "night.json"
        if not said.exists():
            shutil.rmtree(settings.home, ignore_errors=True)  # of a worker that failed
            said.write_text(json.dumps(asdict(make_champion(settings))), encoding="utf-8")
    return Champion(settings, Finished(**json.loads(said.read_text(encoding="utf-8"))))


@contextmanager
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str, name: str) -> Iterator[Path]:
    """A folder that all workers share, one at a time: whichever needs what is in it first makes it for all."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared if worker_id == "master" else shared.parent) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def make_champion(settings: Settings) -> Finished:
    """A person's first night, started with umask 0; see `test_private_home.py`."""
    made = quick(settings, "db", "upgrade", umask=0)
    assert made.code == 0, made.err
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store)
    asked = ("run", "--as-of", FIRST_AS_OF.isoformat(), "--force", "first champion", "--family", FAMILY)
    night = quick(settings, *asked, umask=0)
    assert night.code == 0, night.err
    return night


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The small stream after its first night, whose clock stood at its cut-off: a home to copy and go on from."""
    with shared_folder(tmp_path_factory, worker_id, "first-night") as folder:
        home, is_made = folder / "home", folder / "is-made"
        if not is_made.exists():
            shutil.rmtree(home, ignore_errors=True)  # of a worker that failed
            process = FORKSERVER.Process(target=record_first_night, args=(Settings.under(home),))
            process.start()
            process.join()
            assert process.exitcode == 0, "See above."
            is_made.touch()
    return home


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A home that holds an MLflow store with our registered model and no version, to copy."""
    with shared_folder(tmp_path_factory, worker_id, "empty-registry") as folder:
        home, is_made = folder / "home", folder / "is-made"
        if not is_made.exists():
            shutil.rmtree(home, ignore_errors=True)  # of a worker that failed
            Registry(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}", home / "mlflow" / "artifacts").ensure()
            is_made.touch()
    return home


@pytest.fixture
def loop(
    sqlite_template: Path, empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AuditedLoop]:
    """Stores in which nothing was promoted yet, which the steps of this process find, too. See `AuditedLoop`.

    What differs between databases, the locks, is tested by processes in `second_night/test_two_runs_at_once.py`.
    """
    settings = copy_home(empty_registry, tmp_path / "home")
    shutil.copy(sqlite_template, settings.home / "feedback.db")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    with Context.open(settings) as context:
        yield AuditedLoop(context, tmp_path / "evidence")
