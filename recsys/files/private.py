"""What this system writes is for its own user: files 0600, folders 0700, whatever umask it was started with.

People's tastes, their ids and the passwords of `make up` lie under the home folder. So every entry point calls `keep_private`
first: the command line (and with it `recsys serve` and the steps that Airflow's tasks start), each step, `make up` and the
MLflow server. From then on the process and its children create nothing that another user of the machine can open, also what
`--report` and `--out` write: whoever wants to share a file changes its mode. What an older version left open is mended.

Standard library only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
OF_OTHERS = 0o077  # what group and others may do with a file
# Of a folder that holds other things, too, only these are ours.
OWN_NAMES = (
    "feedback.db*", "mlflow", "artifacts", "airflow", "airflow-inprocess", "logs", "replay*", "demo*", "up.json", "up.lock",
    "api_key", "mlflow_password", "user.key",
)  # fmt: skip
log = logging.getLogger("recsys")


def keep_private(home: Path, *, looks_inside: bool = False) -> int:
    """Makes this process and its children write private files, and mends what others can open under the home folder.

    As long as nobody else can enter the home folder, nobody can open anything in it: then one look at the folder is all that
    it costs. A service looks at every file once, when it starts.

    Args:
        home: the home folder; it need not exist.
        looks_inside: also when the folder itself is private.

    Returns:
        How many files and folders were mended. One line in the log says so if a file was among them.
    """
    os.umask(UMASK)
    try:
        is_open = bool(home.stat().st_mode & OF_OTHERS)
    except OSError:
        return 0  # there is none yet, or it is not ours to look into
    if not (is_open or looks_inside):
        return 0
    mended = list(_mended(home))
    num_files = sum(not is_folder for is_folder in mended)
    if num_files:
        log.warning(
            "other users of this machine could open files under %s: %d files and %d folders are private now (0600, 0700)",
            home, num_files, len(mended) - num_files,
        )  # fmt: skip
    return len(mended)


def make_private(folder: Path) -> None:
    """Closes a folder and all in it: what is copied from installed packages keeps their modes."""
    for _ in _closed(folder):
        pass


def _mended(home: Path) -> Iterator[bool]:
    if _is_shared(home):
        for pattern in OWN_NAMES:
            for path in home.glob(pattern):
                yield from _closed(path)
    else:
        yield from _closed(home)


def _is_shared(folder: Path) -> bool:
    """Whether a folder is more than a home: `/tmp`, the root, a user's own folder, a checkout."""
    is_sticky = bool(folder.stat().st_mode & stat.S_ISVTX)
    return is_sticky or folder in {Path("/"), Path.home()} or (folder / ".git").exists()


def _closed(path: Path) -> Iterator[bool]:
    """Closes what is there, from the top down; gives for each change whether it was a folder."""
    if _close(path):
        yield path.is_dir()
    if path.is_symlink() or not path.is_dir():
        return
    for parent, folders, names in os.walk(path):
        for name in (*folders, *names):
            if _close(Path(parent) / name):
                yield name in folders


def _close(path: Path) -> bool:
    """Whether others could open it, and cannot any more. Links and what belongs to another user stay as they are."""
    with contextlib.suppress(OSError):  # it is gone, or on a file system that does not let us
        found = path.lstat()
        if found.st_mode & OF_OTHERS and not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid():
            path.chmod(stat.S_IMODE(found.st_mode) & ~OF_OTHERS)
            return True
    return False
