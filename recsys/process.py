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


def run_step(step: str, **arguments: Any) -> dict[str, Any]:
    """Runs `recsys.pipeline.<step>(**arguments)` in a fresh process and returns its result.

    Args:
        step: name of a step.
        arguments: its arguments; datetimes may be given as ISO 8601 strings.

    Raises:
        RecsysError: the same type and message that the step raised.
        TransientError: if the process was killed, so that nobody knows how far it came. Steps are idempotent: run it again.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-step-") as folder:
        result = Path(folder) / "result.json"
        command = [
            sys.executable, "-m", "recsys", "step", step,
            "--arguments", json.dumps(arguments, default=str),
            "--result", str(result),
        ]  # fmt: skip
        done = subprocess.run(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, check=False)
        if not result.is_file():
            raise errors.TransientError(
                f"Expected step {step} to end with a result, but its process ended with code {done.returncode} "
                "(a negative one is the signal that killed it). Its output is above. Run it again: steps are idempotent."
            )
        outcome = json.loads(result.read_text(encoding="utf-8"))
    if "error" in outcome:
        kind = getattr(errors, outcome["error"], errors.TerminalError)
        raise kind(outcome["message"])
    return dict(outcome["value"])


def write_result(path: Path, *, value: dict[str, Any] | None = None, error: BaseException | None = None) -> None:
    """Writes what `run_step` reads back; atomic, so a killed process leaves no half result."""
    outcome: dict[str, Any] = {"value": value}
    if error is not None:
        outcome = {"error": type(error).__name__, "message": str(error)}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(outcome, default=str), encoding="utf-8")
    partial.rename(path)
