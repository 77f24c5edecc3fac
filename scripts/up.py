"""Airflow, MLflow and the feedback API on this machine, without Docker: `make up`, `make down`.

Starts the commands that docker-compose.yaml runs in containers, waits until they are healthy, prints where they are,
and stops them on Ctrl-C. Everything they write is under `RECSYS_HOME` (default `var/`).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from service import processes_of, stop_all
from stack import Stack, StackError

from recsys.files.atomic import write_file
from recsys.files.private import keep_private
from recsys.settings import Settings

DOWN_TIMEOUT_S = 120.0


class Record:
    """`up.json` in the home folder: who runs the stack and where it is; and the lock that makes it the only one.

    The lock belongs to the process that holds it, so a killed one leaves nothing to clear by hand.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "up.json"
        self._lock = home / "up.lock"

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Yields whether this process is the one that runs the stack."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                self._path.unlink(missing_ok=True)

    def write(self, **entry: Any) -> None:
        """Says who runs the stack; with a `summary` once it is ready."""
        write_file(self._path, json.dumps({"pid": os.getpid(), **entry}))

    def read(self) -> dict[str, Any]:
        """The entry; empty if nobody wrote one yet."""
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}


def up(stack: Stack, record: Record) -> int:
    """Runs the stack until Ctrl-C, or until one of its services ends."""
    with record.held() as is_ours:
        if not is_ours:
            print(record.read().get("summary", "It is being started already."), "`make down` stops it.", sep="\n")
            return 0
        for received in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(received, signal.default_int_handler)
        record.write()
        services: list[subprocess.Popen[bytes]] = []
        try:
            stop_all([], stack.name)  # what is left of one that was killed
            stack.start(services)
            record.write(summary=stack.summary())
            print(stack.summary(), "Ctrl-C (or `make down`) stops it.", sep="\n", flush=True)
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            raise StackError(stack.what_ended(services))
        except KeyboardInterrupt:
            return 0
        except StackError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            for received in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(received, signal.SIG_IGN)
            print("Stopping ...", flush=True)
            stop_all(services, stack.name)


def up_detached(stack: Stack, record: Record, arguments: list[str]) -> int:
    """Starts `up` in the background and returns when it is ready."""
    log = stack.logs / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        runner = subprocess.Popen(
            [sys.executable, __file__, "up", *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    while runner.poll() is None and "summary" not in record.read():
        time.sleep(0.5)
    print(log.read_text(encoding="utf-8").strip())
    return runner.poll() or 0


def down(stack: Stack, record: Record) -> int:
    """Stops the stack of this home folder, also the remains of one whose runner was killed."""
    with record.held() as is_ours:
        if is_ours:
            left = processes_of(stack.name)
            stop_all([], stack.name)
            print(f"Stopped {len(left)} processes that were left." if left else "Nothing is running.")
            return 0
    try:
        runner = psutil.Process(record.read()["pid"])
        runner.send_signal(signal.SIGINT)
        runner.wait(timeout=DOWN_TIMEOUT_S)
    except (KeyError, psutil.NoSuchProcess):
        pass  # it ended, or began, just now
    except psutil.TimeoutExpired:
        print(
            f"Expected process {runner.pid} to stop within {DOWN_TIMEOUT_S:.0f} s: see {stack.logs}.", file=sys.stderr
        )
        return 1
    print("Stopped.")
    return 0


def main(arguments: list[str]) -> int:
    """Parses the command line and runs it."""
    parser = argparse.ArgumentParser(prog="up.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start, and run until Ctrl-C")
    starting.add_argument("--airflow-port", type=int, default=8080)
    starting.add_argument("--mlflow-port", type=int, default=5000)
    starting.add_argument("--api-port", type=int, default=8000)
    starting.add_argument("--detach", action="store_true", help="run in the background")
    commands.add_parser("down", help="stop what runs")
    given = parser.parse_args(arguments)
    settings = Settings.from_environment()
    keep_private(settings.home, looks_inside=True)  # also what the services write that this starts
    record = Record(settings.home)
    if given.command == "down":
        return down(Stack(settings), record)
    ports = {"airflow_port": given.airflow_port, "mlflow_port": given.mlflow_port, "api_port": given.api_port}
    stack = Stack(settings, **ports)
    if given.detach:
        named = [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
        return up_detached(stack, record, named)
    return up(stack, record)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
