"""Steps in processes of their own, which can be made to die, or to wait, at a named point."""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import RecsysError
from recsys.pipeline.night import NIGHT_STEPS
from recsys.pipeline.step_process import write_result
from recsys.settings import Settings
from tests.integration import small_stream
from tests.integration.command_line import copy_home
from tests.integration.forkserver import FORKSERVER

SECONDS = 240  # a machine that does much else is slow; on one that does not, no step takes 20


@dataclass(frozen=True)
class Point:
    """A moment in a process: before or after the n-th call of a function, such as `recsys.registry.registry:Registry.load`."""

    function: str
    when: str
    call: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.function.partition(':')[2]}" + (f" #{self.call}" if self.call > 1 else "")

    def reach(self, action: Callable[[], object]) -> None:
        """Makes this process do `action` when it gets there."""
        module, _, path = self.function.partition(":")
        *parents, name = path.split(".")
        owner = functools.reduce(getattr, parents, importlib.import_module(module))
        original, calls = getattr(owner, name), 0

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            is_here = calls == self.call
            if is_here and self.when == "before":
                action()
            result = original(*args, **kwargs)
            if is_here and self.when == "after":
                action()
            return result

        setattr(owner, name, watched)


@dataclass
class StepProcess:
    """A started step."""

    process: BaseProcess
    result: Path
    log: Path

    def wait(self) -> int:
        """Its exit code; the negative signal if it was killed."""
        self.process.join(SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            pytest.fail(f"Expected the step to end within {SECONDS} s; it wrote:\n{self._tail()}")
        return int(self.process.exitcode)

    def outcome(self) -> dict[str, Any]:
        """What it returned under `value`, or the type of its error under `error` with the `message`."""
        code = self.wait()
        assert code == 0, f"Expected the step to end by itself, got exit code {code}; it wrote:\n{self._tail()}"
        return dict(json.loads(self.result.read_text(encoding="utf-8")))

    def value(self) -> dict[str, Any]:
        """What it returned."""
        outcome = self.outcome()
        assert "error" not in outcome, outcome
        return dict(outcome["value"])

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]


class SecondNight:
    """Homes of an undisturbed second night, one from before each step, and a place to run its steps again.

    The stores hold absolute paths, so a copy only works where the original was: there is one home, and every test that
    restores it has it to itself.
    """

    def __init__(self, folder: Path, first_night: Path) -> None:
        self.settings = copy_home(first_night, folder / "home")
        self._copies, self._outcomes = folder / "before", folder / "outcomes"
        self._copies.mkdir()
        self._outcomes.mkdir()
        self._commands: list[subprocess.Popen[bytes]] = []
        recording = self._start(small_stream.record_second_night, self.settings, self._copies)
        self.results: dict[str, dict[str, Any]] = recording.value()

    def copy_before(self, step: str) -> Path:
        """The home as the undisturbed night had it before `step`, or at its `end`."""
        return self._copies / step

    def copy_after(self, step: str) -> Path:
        """The home as the undisturbed night had it after `step`."""
        following = (*NIGHT_STEPS, "end")[NIGHT_STEPS.index(step) + 1]
        return self.copy_before(following)

    def restore(self, copy: Path) -> None:
        """Makes the home what it was."""
        shutil.rmtree(self.settings.home, ignore_errors=True)
        shutil.copytree(copy, self.settings.home)

    def start(
        self,
        step: str,
        point: Point | None = None,
        action: Callable[[], object] | None = None,
        settings: Settings | None = None,
        **arguments: Any,
    ) -> StepProcess:
        """Starts a step of the night in a fresh process.

        Args:
            step: its name.
            point: where it does `action`.
            action: by default it dies of SIGKILL.
            settings: other places than the home's.
            **arguments: in place of those of the second night.
        """
        given = small_stream.arguments_of(step, self.results) | arguments
        return self._start(run_step, settings or self.settings, step, given, point, action or die)

    def command(self, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `recsys ARGUMENTS`, with all output in `log`."""
        environment = os.environ | self.settings.as_environment() | {"COLUMNS": "300"}  # no words broken over lines
        command = [sys.executable, "-m", "recsys", *arguments]
        with log.open("wb") as output:
            started = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self._commands.append(started)
        return started

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of any function, called in a process that is gone afterwards."""
        return self._start(function, *arguments).outcome()["value"]

    def _start(self, function: Callable[..., Any], *arguments: Any) -> StepProcess:
        number = len(list(self._outcomes.glob("*.log")))
        result, log = self._outcomes / f"{number:03d}.json", self._outcomes / f"{number:03d}.log"
        log.touch()
        process = FORKSERVER.Process(target=report, args=(result, log, function, *arguments))
        process.start()
        return StepProcess(process, result, log)

    def close(self) -> None:
        """Ends what a failed test left running."""
        for command in self._commands:
            command.kill()
            command.wait()


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Polls until the condition holds; fails if the process ends before, or after `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, f"It ended with {process.returncode} before the condition held."
        assert time.monotonic() < deadline, f"The condition did not hold within {SECONDS} s."
        time.sleep(0.01)  # between two looks


def die() -> None:
    """What `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def report(result: Path, log: Path, function: Callable[..., Any], *arguments: Any) -> None:
    """Runs in the child: calls the function, writes its outcome, and sends all output to `log`."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    try:
        value = function(*arguments)
    except RecsysError as error:
        write_result(result, error=error)
    else:
        write_result(result, value=value)


def run_step(
    settings: Settings, step: str, arguments: dict[str, Any], point: Point | None, action: Callable[[], object]
) -> dict[str, Any]:
    """Runs in the child: one step of the loop."""
    from recsys import pipeline

    settings.use()
    if point is not None:
        point.reach(action)
    return pipeline.STEPS[step](**arguments)
