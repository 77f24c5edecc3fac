"""Moves the home folder, or adopts one that was moved by other means: what is in it names the new path afterwards.

    journal in the old folder -> the folder gets its new name -> paths in it are rewritten -> journal removed

A new name on the same file system is one step; onto another one the folder is copied first, and the old one is removed
when the copy is whole. The journal says where the folder came from, so a killed move is finished by running it again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recsys.errors import ConflictError, InputError
from recsys.files.atomic import whole_folder
from recsys.home.rewriting import Rewritten, rewrite_paths
from recsys.registry.local_store import MLFLOW_FILE, recorded_home
from recsys.settings import Settings
from recsys.store import FeedbackStore

JOURNAL = "moving.json"


@dataclass(frozen=True)
class Moved:
    """What a move did, or would do.

    Attributes:
        old: where the folder was.
        new: where it is.
        rewritten: what mentioned the old path.
    """

    old: Path
    new: Path
    rewritten: Rewritten


def move_home(old: Path, new: Path, *, writes: bool = True) -> Moved:
    """Moves a home folder; a move that was killed is finished.

    Args:
        old: a home folder that nothing uses: see `require_unused`.
        new: where it goes; there must be nothing yet.
        writes: False changes nothing and counts what would change.

    Raises:
        InputError: if there is nothing to move, or something at `new`.
    """
    if _begun(new) == old:
        return _finish(old, new, writes)
    _require_movable(old, new)
    if not writes:
        return Moved(old, new, rewrite_paths(old, old, new, old / MLFLOW_FILE, JOURNAL, writes=False))
    new.parent.mkdir(parents=True, exist_ok=True)
    (old / JOURNAL).write_text(json.dumps({"from": str(old), "to": str(new)}), encoding="utf-8")
    try:
        old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            (old / JOURNAL).unlink()
            raise
        with whole_folder(new) as building:  # another file system
            shutil.copytree(old, building, symlinks=True, dirs_exist_ok=True)
    return _finish(old, new, writes)


def _require_movable(old: Path, new: Path) -> None:
    if not old.is_dir():
        raise InputError(f"Expected a home folder to move, found none at {old}: set RECSYS_HOME to where it is.")
    if new.exists() or new.is_relative_to(old):
        inside = "it is inside the folder that moves" if new.is_relative_to(old) else "something is there"
        raise InputError(f"Expected a new path for {old}, got {new}: {inside}. Name another one; nothing was moved.")


def _begun(new: Path) -> Path | None:
    """Where a folder came from whose move is not finished."""
    journal = new / JOURNAL
    if not journal.is_file():
        return None
    entry = json.loads(journal.read_text(encoding="utf-8"))
    return Path(entry["from"]) if Path(entry["to"]) == new else None


def _finish(old: Path, new: Path, writes: bool) -> Moved:
    rewritten = rewrite_paths(new, old, new, new / MLFLOW_FILE, JOURNAL, writes=writes)
    if writes:
        if (old / JOURNAL).is_file():  # it was copied; the copy is whole
            for entry in sorted(old.iterdir(), key=lambda entry: entry.name == JOURNAL):  # the journal last
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            old.rmdir()
        (new / JOURNAL).unlink(missing_ok=True)
    return Moved(old, new, rewritten)


def repair_home(home: Path, old: Path | None = None, *, writes: bool = True) -> Moved:
    """Makes a folder that was moved or copied by other means name its own path.

    Args:
        home: where it is now.
        old: where it was; None: where its MLflow store says that it was made.
        writes: False only counts.

    Raises:
        InputError: if nobody knows where it was.
    """
    was = old or _begun(home) or recorded_home(home / MLFLOW_FILE)
    if was is None:
        raise InputError(
            f"Expected {home / MLFLOW_FILE} to say where the folder was, but it does not: name it with --from OLD_FOLDER."
        )
    return _finish(was, home, writes) if _begun(home) == was else _repaired(home, was, writes)


def _repaired(home: Path, was: Path, writes: bool) -> Moved:
    rewritten = (
        Rewritten() if was == home else rewrite_paths(home, was, home, home / MLFLOW_FILE, JOURNAL, writes=writes)
    )
    return Moved(was, home, rewritten)


@contextlib.contextmanager
def unused(home: Path, settings: Settings, now: datetime) -> Iterator[None]:
    """Holds the lock of `make up` while a folder moves, so that nothing can be started in between.

    Raises:
        ConflictError: if the services of `make up` run, or a run holds a batch.
    """
    with contextlib.ExitStack() as stack:
        if (lock := home / "up.lock").is_file():
            file = stack.enter_context(lock.open("r+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(
                    f"Expected {home} to be unused, but `make up` runs services on it: run `make down` first. Nothing was "
                    "moved."
                ) from error
        _require_no_run(home, settings, now)
        yield


def _require_no_run(home: Path, settings: Settings, now: datetime) -> None:
    if is_under(settings.database_url, home) and not database_file(settings.database_url).is_file():
        return
    with FeedbackStore.open(settings.database_url) as store:
        batch = store.backlog.find_open_batch()
    if batch is not None and batch.lease_expires_at > now:
        raise ConflictError(
            f"Expected no run to be under way, but {batch.batch_id} holds a batch since {batch.claimed_at.isoformat()}: "
            f"wait until it ends; if it died, run `recsys release {batch.batch_id}`. Nothing was moved."
        )


def database_file(url: str) -> Path:
    """File of a SQLite URL; an empty path for any other."""
    return Path(url.removeprefix("sqlite:///").partition("?")[0]) if url.startswith("sqlite:///") else Path()


def is_under(url: str, home: Path) -> bool:
    """Whether a database URL names a SQLite file in the folder, which moves with it."""
    return url.startswith("sqlite:///") and database_file(url).is_relative_to(home)
