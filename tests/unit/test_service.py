"""The end of a stack reaches every process, also one that hid from its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

# A service that leaves a process behind: in a session of its own, deaf to everything but SIGKILL, its parent gone.
# The byte in the pipe says that the orphan is deaf already.
LEAVES_AN_ORPHAN = """
import os, signal, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() != 0:
        os._exit(0)
    os.write(writing, b".")
else:
    os.wait()
    os.read(reading, 1)
    os.write(1, b"ready")
time.sleep(600)
"""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import service

    monkeypatch.setattr(service, "GRACE_S", 3.0)
    return service


def start(service: ModuleType, folder: Path) -> subprocess.Popen[bytes]:
    leaving = service.Service("leaving", (sys.executable, "-c", LEAVES_AN_ORPHAN), folder / "leaving.log")
    process: subprocess.Popen[bytes] = leaving.start({**os.environ, service.MARK: str(folder)})
    while leaving.tail() != "ready":
        assert process.poll() is None, leaving.tail()
        psutil.wait_procs([psutil.Process(process.pid)], timeout=0.1)
    return process


def test_stopping_ends_the_service_and_its_orphan(service: ModuleType, tmp_path: Path) -> None:
    process = start(service, tmp_path)
    assert len(service.processes_of(str(tmp_path))) == 2
    service.stop_all([process], str(tmp_path))
    assert process.returncode is not None
    assert service.processes_of(str(tmp_path)) == []


def test_the_next_start_can_end_what_a_killed_runner_left(service: ModuleType, tmp_path: Path) -> None:
    process = start(service, tmp_path)
    process.kill()
    process.wait()
    assert len(service.processes_of(str(tmp_path))) == 1
    service.stop_all([], str(tmp_path))
    assert service.processes_of(str(tmp_path)) == []


def test_another_stack_s_processes_are_left_alone(service: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = start(service, tmp_path / "one"), start(service, tmp_path / "two")
    service.stop_all([one], str(tmp_path / "one"))
    assert two.poll() is None
    assert len(service.processes_of(str(tmp_path / "two"))) == 2
    service.stop_all([two], str(tmp_path / "two"))
