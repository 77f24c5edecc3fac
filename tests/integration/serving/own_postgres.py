"""A PostgreSQL server of a test's own, that may be killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs() -> Path:
    """The folder of initdb and postgres; `scripts/test_postgres.sh` looks in the same places and installs them."""
    patterns = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")
    found = [folder for pattern in patterns for folder in Path("/").glob(pattern) if (folder / "initdb").is_file()]
    on_path = shutil.which("initdb")
    found += [Path(on_path).parent] if on_path else []
    assert found, "Expected PostgreSQL's programs: run the tests with `make test`."
    return max(found, key=lambda folder: [int(part) if part.isdigit() else 0 for part in folder.parts])


class OwnPostgres:
    """Starts, dies and comes back on the same port. Commits wait for the disk, as on a real server."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._port = free_port()
        self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self.url = f"postgresql://recsys@127.0.0.1:{self._port}/postgres"
        if self._owner:
            shutil.chown(folder, "postgres")
        options = ["--username=recsys", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = self._start_program("initdb", f"--pgdata={self._data}", *options)
        assert made.wait(60) == 0, self._log.read_text()

    def _start_program(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [str(programs() / name), *arguments],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._owner,
            )  # fmt: skip

    def start(self) -> None:
        """Starts it, and returns when it takes connections."""
        options = ["-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._data), "-c", "max_connections=40"]
        self._server = self._start_program("postgres", "-D", str(self._data), *options)
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._server.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)  # between two attempts to connect

    def kill(self) -> None:
        """SIGKILL for the server and everything it started, at once."""
        postmaster = psutil.Process(self._server.pid)
        postmaster.suspend()  # it must not restart what is killed
        children = postmaster.children(recursive=True)
        for process in (postmaster, *children):
            process.kill()
        self._server.wait()
        psutil.wait_procs(children, timeout=20)


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """Runs until the block ends."""
    server = OwnPostgres(folder)
    server.start()
    try:
        yield server
    finally:
        if server._server.poll() is None:
            server.kill()
