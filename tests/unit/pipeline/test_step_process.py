"""Steps in fresh processes: what they return, raise, or leave behind when they are killed.

`run_step` starts `python -m recsys step ...`; here a small module of that name on the path stands in for the command line,
so that it can be made to fail in any way. The real one is in tests/integration.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

import recsys
from recsys import errors
from recsys.errors import RecsysError, TerminalError, TransientError
from recsys.pipeline.step_process import run_step, write_result

COMMAND_LINE = """
import json, os, signal, sys
from pathlib import Path

sys.path.insert(0, os.environ["REAL_PACKAGE"])
del sys.modules["recsys"]
from recsys import errors
from recsys.pipeline import step_process

_, command, name, _, arguments, _, result = sys.argv
assert command == "step"
given = json.loads(arguments)
if name == "echo":
    step_process.write_result(Path(result), value={"given": given, "pid": os.getpid()})
elif name == "fail":
    kind = getattr(errors, given["kind"])
    step_process.write_result(Path(result), error=kind.__new__(kind, given["message"]))
    sys.exit(1)
elif name == "die":
    os.kill(os.getpid(), getattr(signal, given["signal"]))
elif name == "die_while_writing":
    Path.rename = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
    step_process.write_result(Path(result), value={"half": "written"})
else:
    sys.exit(given["code"])
"""


@pytest.fixture(autouse=True)
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "path" / "recsys"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(COMMAND_LINE)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("REAL_PACKAGE", str(Path(recsys.__file__).parents[1]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path / "path")


def all_errors(kind: type[RecsysError] = RecsysError) -> list[type[RecsysError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in all_errors(child))]


def test_the_result_of_another_process_comes_back() -> None:
    now = datetime(2024, 3, 1, tzinfo=UTC)
    result = run_step("echo", batch_id="b", now=now, threshold=3, reason=None, text="Größe \u2028 “x”")
    assert result["given"] == {
        "batch_id": "b", "now": "2024-03-01 00:00:00+00:00", "threshold": 3, "reason": None, "text": "Größe \u2028 “x”",
    }  # fmt: skip
    assert datetime.fromisoformat(result["given"]["now"]) == now
    assert result["pid"] != os.getpid()


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_comes_back_with_its_type_and_message(kind: type[RecsysError]) -> None:
    message = "Expected a, got “b”:\n  do c."
    with pytest.raises(RecsysError) as caught:
        run_step("fail", kind=kind.__name__, message=message)
    assert type(caught.value) is kind
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT"])
def test_a_killed_process_may_be_tried_again(name: str) -> None:
    with pytest.raises(TransientError, match=f"signal {getattr(signal, name).value}.*Run it again"):
        run_step("die", signal=name)


def test_half_a_result_is_no_result() -> None:
    with pytest.raises(TransientError, match="signal 9"):
        run_step("die_while_writing")


def test_what_nobody_foresaw_is_not_tried_again() -> None:
    with pytest.raises(TerminalError, match=r"Expected step exit to end with a result.* code 1.*correct that first"):
        run_step("exit", code=1)


def test_a_result_that_could_not_be_written_is_tried_again() -> None:
    with pytest.raises(TransientError, match="could not write it"):
        run_step("exit", code=75)


def test_no_folder_for_the_result_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/dev/null/here"])  # what a full disk leaves
    with pytest.raises(TransientError, match=r"Expected room.*Free space"):
        run_step("echo")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    run_step("echo")
    with pytest.raises(TransientError):
        run_step("die", signal="SIGKILL")
    assert [path.name for path in tmp_path.iterdir()] == ["path"]


def test_a_result_file_is_written_at_once(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_result(file, value={"as_of": datetime(2024, 3, 1, tzinfo=UTC)})
    assert json.loads(file.read_text()) == {"value": {"as_of": "2024-03-01 00:00:00+00:00"}}
    write_result(file, error=errors.ConflictError("taken"))
    assert json.loads(file.read_text()) == {"error": "ConflictError", "message": "taken"}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["result.json"]


def test_what_a_step_in_a_process_of_its_own_found_is_in_the_log_here(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "recsys.steps"):
        result = run_step("echo", num_users=3)
    assert caplog.messages == ["given num users: 3", f"pid: {result['pid']:,}"]
