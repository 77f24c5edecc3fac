"""docker/add_airflow_user.py gives the service its password and leaves the others theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "add_airflow_user.py"


def add(home: Path, password: str) -> None:
    given = {"AIRFLOW_HOME": str(home), "RECSYS_AIRFLOW_USERNAME": "service", "RECSYS_AIRFLOW_PASSWORD": password}
    subprocess.run([sys.executable, str(SCRIPT)], env=os.environ | given, check=True)


def test_others_keep_their_passwords_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "simple_auth_manager_passwords.json.generated"
    add(tmp_path, "first")
    assert json.loads(path.read_text()) == {"service": "first"}
    path.write_text(json.dumps({"admin": "a", "service": "first"}))
    before = path.stat().st_ino
    add(tmp_path, "first")
    assert path.stat().st_ino == before  # nothing to do, nothing written
    add(tmp_path, "second")
    assert json.loads(path.read_text()) == {"admin": "a", "service": "second"}
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "simple_auth_manager_passwords.json.generated"
    path.touch()
    add(tmp_path, "first")
    assert json.loads(path.read_text()) == {"service": "first"}
