"""Runs one step in a fresh process: `python -m recsys step NAME`, the same entry that a container would use.

TensorFlow hangs in a process that was forked after it ran, and its memory should not outlive a step; so the steps that
use it never run in the scheduler's own process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from recsys import errors
from recsys.files.atomic import write_file

TRY_AGAIN = 75  # exit code of the command line for errors that pass


def run_step(step: str, **arguments: Any) -> dict[str, Any]:
    """Runs `recsys.pipeline.<step>(**arguments)` in a fresh process and returns its result.

    Args:
        step: name of a step.
        arguments: its arguments; datetimes may be given as ISO 8601 strings.

    Raises:
        RecsysError: the same type and message that the step raised.
        TransientError: if the process was killed, so that nobody knows how far it came, or found the disk full. Steps are
            idempotent: run it again.
        TerminalError: if the process ended with anything else, such as an error that nobody foresaw.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="recsys-step-") as folder:
            outcome = _outcome_of(step, arguments, Path(folder) / "result.json")
    except OSError as error:
        if errors.is_disk_full(error):
            raise errors.TransientError(
                f"Expected room for the result of step {step}, but the disk is full ({error}). Free space and run it again."
            ) from error
        raise
    if "error" in outcome:
        kind = getattr(errors, outcome["error"], errors.TerminalError)
        raise kind(outcome["message"])
    from recsys.pipeline.facts import log_facts

    value = dict(outcome["value"])
    log_facts(step, value)  # here, where a task of Airflow writes its log
    return value


def _outcome_of(step: str, arguments: dict[str, Any], result: Path) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "recsys", "step", step,
        "--arguments", json.dumps(arguments, default=str),
        "--result", str(result),
    ]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=False)
    if not result.is_file():
        raise _without_result(step, done.returncode)
    outcome: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return outcome


def _without_result(step: str, code: int) -> errors.RecsysError:
    ended = f"Expected step {step} to end with a result, but its process "
    if code < 0:
        killed = f"was killed by signal {-code}. Its output is above. Run it again: steps are idempotent."
        return errors.TransientError(ended + killed)
    if code == TRY_AGAIN:
        return errors.TransientError(ended + "could not write it: see above. Free space and run it again.")
    return errors.TerminalError(ended + f"ended with code {code}. Its output above says why: correct that first.")


def write_result(path: Path, *, value: dict[str, Any] | None = None, error: BaseException | None = None) -> None:
    """Writes what `run_step` reads back; atomic, so a killed process leaves no half result."""
    outcome: dict[str, Any] = {"value": value}
    if error is not None:
        outcome = {"error": type(error).__name__, "message": str(error)}
    write_file(path, json.dumps(outcome, default=str))
