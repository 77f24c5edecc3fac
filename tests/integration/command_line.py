"""Commands as a person types them, in processes of their own, and everything that a home holds, to compare."""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from recsys.home.moving import repair_home
from recsys.settings import Settings
from tests.integration.forkserver import FORKSERVER

SECONDS = 120
LEDGER = "feedback.db: decisions"
# SQLite's own files beside an open database, and its counters
PASSING = ("-wal", "-shm", "-journal")
COUNTERS = "sqlite_sequence"


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What it said on stderr, in one line without the frame."""
        return _words(self.err)

    def says(self, words: str) -> bool:
        """Whether stderr has these words, wherever its lines were broken."""
        return words.replace(" ", "") in self.message.replace(" ", "")

    def shows(self, words: str) -> bool:
        """The same of stdout."""
        return words.replace(" ", "") in _words(self.out).replace(" ", "")


def _words(text: str) -> str:
    return " ".join(text.translate(dict.fromkeys(map(ord, "│╭╮╰╯─┃━"), " ")).split())


def start(settings: Settings, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts `recsys ARGUMENTS` on these places."""
    command = [sys.executable, "-m", "recsys", *arguments]
    env = {**os.environ, "COLUMNS": "150", "TERM": "dumb", **settings.as_environment(), **environment}
    return subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Waits for a started command."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Finished(process.returncode, out, err)


def recsys(settings: Settings, *arguments: str, **environment: str) -> Finished:
    """Runs `recsys ARGUMENTS` on these places."""
    return finish(start(settings, *arguments, **environment))


def quick(settings: Settings, *arguments: str, umask: int | None = None, **environment: str) -> Finished:
    """The same in a process that has the libraries already: a fraction of the time. It may begin with an umask of its own."""
    places = {**os.environ, "TERM": "dumb", **settings.as_environment(), **environment}
    with tempfile.TemporaryDirectory() as folder:
        out, err, code = (Path(folder) / name for name in ("out", "err", "code"))
        process = FORKSERVER.Process(target=_main, args=(arguments, places, str(out), str(err), str(code), umask))
        process.start()
        process.join(SECONDS)
        assert process.exitcode is not None, f"Expected {arguments} to end within {SECONDS} s."
        # Now and then the forkserver loses the status of a child (Python then says 255).
        ended = int(code.read_text(encoding="ascii")) if code.exists() else process.exitcode
        return Finished(ended, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _main(
    arguments: tuple[str, ...], environment: dict[str, str], out: str, err: str, code: str, umask: int | None = None
) -> None:
    """What `python -m recsys ARGUMENTS` does, in the child."""
    if umask is not None:
        os.umask(umask)
    for descriptor, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["recsys", *arguments]
    try:
        runpy.run_module("recsys", run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, int):
            Path(code).write_text(str(ended.code), encoding="ascii")
        raise


def copy_home(source: Path, target: Path) -> Settings:
    """A copy that names its own path everywhere, so that writing to it leaves the original alone.

    SQLite copies its databases itself: their files beside them come and go while other tests read the original.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.db", *(f"*{ending}" for ending in PASSING)))
    for database in sorted(source.rglob("*.db")):
        with (
            closing(sqlite3.connect(database)) as original,
            closing(sqlite3.connect(target / database.relative_to(source))) as copy,
        ):
            original.backup(copy)
    repair_home(target)
    return Settings.under(target)


def copy_database(home: Path, folder: Path) -> Path:
    """The feedback database of a home that nobody uses, and the key that it names erased users with, in another folder."""
    for name in ("feedback.db", "user.key"):
        shutil.copy(home / name, folder)
    return folder / "feedback.db"


def state(home: Path) -> dict[str, str]:
    """Digest of every table of every database and of every other file below `home`; folders are there, too."""
    found: dict[str, str] = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_dir():
            found[name] = "folder"
        elif path.read_bytes().startswith(b"SQLite format 3"):
            found |= {f"{name}: {table}": digest for table, digest in _tables(path).items()}
        elif not name.endswith(PASSING):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _tables(file: Path) -> dict[str, str]:
    found = {}
    with closing(sqlite3.connect(file)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name != COUNTERS:
                rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
                found[name] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
    return found
