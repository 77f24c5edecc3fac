"""Every entry point on a home, each started with umask 0: nothing that it makes can be opened by another user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from recsys.settings import RegistryLogin, Settings
from tests.integration.command_line import SECONDS, Finished, copy_home, quick
from tests.integration.conftest import Champion, find_free_port, wait_until_healthy
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, NOW, SECOND_AS_OF

pytestmark = pytest.mark.slow

AS_OF = FIRST_AS_OF.isoformat()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
RATINGS = "user_id,item_id,occurred_at,label\nu001,f01,2024-03-02T00:00:00Z,like\n"


def run(settings: Settings, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, **settings.as_environment(), **environment}, umask=0, check=False,
        capture_output=True, text=True, timeout=SECONDS, cwd=settings.home.parent,
    )  # fmt: skip


def recsys(settings: Settings, *arguments: str) -> Finished:
    done = quick(settings, *arguments, umask=0)
    assert done.code == 0, done.err
    return done


def wide(folder: Path) -> dict[str, str]:
    """What group or others may do anything with, the folder itself included."""
    found = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    return {str(path): oct(path.stat().st_mode) for path in found if path.stat().st_mode & 0o077}


@pytest.fixture(scope="module")
def settings(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of these tests' own, with a champion."""
    return copy_home(champion.settings.home, tmp_path_factory.mktemp("private") / "home")


def test_a_night_leaves_only_private_files(champion: Champion) -> None:
    """Its commands were started with umask 0, and it is as they left it."""
    home = champion.settings.home
    made = {path.name for path in home.rglob("*")}
    assert {"feedback.db", "mlflow.db", "training_set", "data_docs", "evidence", "model.keras", "MLmodel"} <= made
    assert wide(home) == {}


@pytest.mark.parametrize(
    "command",
    [
        ("dislike", "u001", "f01"),
        ("recommend", "u001"),
        ("patterns", "--as-of", AS_OF),
        ("models", "check"),
        ("storage",),
        ("run", "--as-of", SECOND_AS_OF.isoformat(), "--threshold", "100000"),
        ("step", "measure_feedback", "--arguments", json.dumps({"as_of": AS_OF, "now": NOW.isoformat()})),
        ("replay", "--from", "2024-03-29", "--to", "2024-03-29", "--family", FAMILY, "--no-publish"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_makes_only_private_files(settings: Settings, command: tuple[str, ...]) -> None:
    recsys(settings, *command)
    assert wide(settings.home) == {}


def test_what_a_command_exports_is_private_too(settings: Settings, tmp_path: Path) -> None:
    recsys(settings, "drift", "--as-of", SECOND_AS_OF.isoformat(), "--report", str(tmp_path / "drift.html"))
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(RATINGS)
    recsys(settings, "import", "interactions", str(ratings))
    assert (tmp_path / "drift.html").stat().st_mode & 0o777 == 0o600
    assert wide(settings.home) == {}


def test_a_task_of_airflow_makes_only_private_files(tmp_path: Path) -> None:
    """It calls the step in a process that Airflow started, with whatever umask that has."""
    settings = Settings.under(tmp_path / "home")
    recsys(settings, "db", "upgrade")
    assert wide(settings.home) == {}
    body = f"from recsys import pipeline; pipeline.check_backlog('night', '{AS_OF}', '{AS_OF}'); open('{settings.home}/x', 'w')"
    done = run(settings, ("-c", body))
    assert done.returncode == 0, done.stderr
    assert (settings.home / "x").exists()
    assert wide(settings.home) == {}


def test_the_services_make_only_private_files(settings: Settings) -> None:
    port, login = find_free_port(), RegistryLogin("admin", "secret")
    files, store = f"--artifacts-destination={settings.mlflow_artifacts.as_uri()}", settings.home / "own" / "mlflow.db"
    store.parent.mkdir(mode=0o700)
    api = ("recsys", "serve", "--host=127.0.0.1", f"--port={port}", "--workers=2")
    mlflow = (
        "mlflow", "server", "--app-name=recsys", "--host=127.0.0.1", f"--port={port}", "--workers=1", files,
        f"--backend-store-uri=sqlite:///{store}",
    )  # fmt: skip
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", **login.as_environment()}
    for command, health in ((api, "readyz"), (mlflow, "health")):
        log = settings.home / f"{command[0]}.log"
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env={**os.environ, **settings.as_environment(), **own}, umask=0,
                stdout=output, stderr=output, cwd=settings.home,
            )  # fmt: skip
        try:
            wait_until_healthy(process, f"http://127.0.0.1:{port}", str(log), path=health)
        finally:
            process.terminate()
            process.wait()
        assert wide(settings.home) == {}, command


def test_a_wide_old_home_is_mended_when_a_command_or_a_service_starts(tmp_path: Path) -> None:
    settings = Settings.under(tmp_path / "home")
    recsys(settings, "db", "upgrade")
    (settings.artifacts / "night").mkdir(parents=True)
    (settings.artifacts / "night" / "per_user.parquet").write_text("tastes")
    for path in (settings.home, *settings.home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    first, second = recsys(settings, "status"), recsys(settings, "status")
    assert "other users of this machine could open files" in first.err
    assert len(first.err.strip().splitlines()) == 1
    assert second.err == ""
    assert wide(settings.home) == {}
