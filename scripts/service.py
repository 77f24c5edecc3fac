"""One service as a child process in its own session, and the certain end of everything it started."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

# Every process of a stack inherits this variable: how they are found again, also when their parent is gone.
MARK = "RECSYS_STACK"
GRACE_S = 15.0


@dataclass(frozen=True)
class Service:
    """A command that runs until it is stopped.

    Attributes:
        name: what it is called, and its log file.
        command: program and arguments.
        log: file that takes its output.
    """

    name: str
    command: tuple[str, ...]
    log: Path

    def start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Starts it in a session of its own, so that Ctrl-C in the terminal reaches only us and we end it in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self.command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def tail(self, num_lines: int = 15) -> str:
        """The last lines of its log."""
        if not self.log.is_file():
            return "(no output)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-num_lines:])


def processes_of(stack: str) -> list[psutil.Process]:
    """All processes that carry the stack's mark, whoever their parent is now; not this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == stack and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return [process for process in found if process.pid != psutil.Process().pid]


def stop_all(roots: Iterable[subprocess.Popen[bytes]], stack: str) -> None:
    """Asks each service to end with SIGINT, waits, then ends whatever of the stack is left."""
    running = [root for root in roots if root.poll() is None]
    for root in running:
        root.send_signal(signal.SIGINT)
    psutil.wait_procs([psutil.Process(root.pid) for root in running if root.poll() is None], timeout=GRACE_S)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        left = processes_of(stack)
        for process in left:
            try:
                end(process)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=GRACE_S / 3)
    for root in running:
        root.wait()
