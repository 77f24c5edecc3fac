"""Which files of past runs are not needed any more, and their removal.

| of a run's folder in `artifacts/` | is kept |
|---|---|
| evidence of the verdict | for good: `recsys decisions show` evaluates it again, and it is small |
| frozen training set | for good, if a version that was fitted on it was ever champion; else `days` |
| Data Docs, fitted models, what was measured of candidates | `days`; MLflow has them with the version |
| half-written folders of a process that was killed | `days` |

Nothing of a run is removed that is under way, or whose version is champion, the champion before it, or the newest
challenger. Of a training set that is gone, the database still holds digest and number of rows. Replays are not touched.
Age is the wall-clock time since the run last wrote one of its files, whatever time its stream lives in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recsys.files.atomic import SUFFIX
from recsys.pipeline.champion.lineage import champion_line
from recsys.records import Batch, BatchStatus, Promotion
from recsys.settings import Settings
from recsys.store import FeedbackStore
from recsys.times import days_long

EVIDENCE, TRAINING_SET = "evidence", "training_set"  # of evidence there may be several: evidence_through_...
COLUMNS = {TRAINING_SET: "training_set_uri", "data_docs": "data_docs_uri"}  # where the database names them
SCRATCH = (
    "recsys-version-",
    "recsys-dry-run-",
    "recsys-drift-",
    "recsys-step-",
    "recsys-validation-",
)  # fmt: skip - temporary folders of this package, which a killed process leaves behind


@dataclass(frozen=True)
class Unneeded:
    """What may go.

    Attributes:
        of_runs: batch id -> files and folders of that run.
        scratch: what killed processes left.
        num_bytes: size of all.
    """

    of_runs: Mapping[str, tuple[Path, ...]]
    scratch: tuple[Path, ...]
    num_bytes: int


def find_unneeded(settings: Settings, store: FeedbackStore, now: datetime, days: float) -> Unneeded:
    """What may go of the folder's runs, and of what killed processes left.

    Args:
        settings: of the deployment.
        store: the feedback database.
        now: wall-clock time.
        days: files that are younger stay, > 0.

    Raises:
        InputError: if `days` makes no sense.
    """
    before = (now - days_long(days, "the age of files", may_be_zero=False)).timestamp()
    promotions, runs = store.audit.list_promotions(), store.backlog.list_batches()
    in_use = _in_use(promotions, runs)
    once_champion = {row.to_version for row in promotions} | {row.from_version for row in promotions}
    in_use = _in_use(promotions, runs)
    of_runs: dict[str, tuple[Path, ...]] = {}
    for batch in runs:
        recorded, versions = (batch.training_set_uri, batch.evidence_uri), _versions(batch)
        folder = settings.batch_folder(batch.batch_id, recorded)
        is_needed = batch.status is BatchStatus.CLAIMED or bool(versions & in_use)
        if is_needed or not folder.is_dir() or not _is_older(folder, before):
            continue
        if parts := _parts(folder, keeps_training_set=bool(versions & once_champion)):
            of_runs[batch.batch_id] = parts
    scratch = _scratch(settings, before)
    found = [*scratch, *(part for parts in of_runs.values() for part in parts)]
    return Unneeded(of_runs, tuple(scratch), sum(map(size_of, found)))


def remove(store: FeedbackStore, unneeded: Unneeded) -> None:
    """Removes files; the database first forgets where they were, so a killed process leaves no record of what is gone."""
    for batch_id, parts in unneeded.of_runs.items():
        columns = [COLUMNS[part.name] for part in parts if part.name in COLUMNS]
        store.backlog.forget_files(batch_id, columns, [part.name for part in parts])
        for part in parts:
            _remove(part)
    for path in unneeded.scratch:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _versions(batch: Batch) -> set[str]:
    return {version for version in (batch.challenger_version, batch.refit_version) if version}


def _in_use(promotions: list[Promotion], runs: list[Batch]) -> set[str]:
    """The champion, the versions that were champion right before it, and the newest challenger."""
    trained = [batch.challenger_version for batch in runs if batch.challenger_version]
    newest = max(trained, key=lambda version: (len(version), version), default="")  # 10 is after 9
    return {*champion_line(promotions).versions[-2:], newest}


def _parts(folder: Path, *, keeps_training_set: bool) -> tuple[Path, ...]:
    def is_kept(part: Path) -> bool:
        if part.name.endswith(SUFFIX):
            return False
        return part.name.startswith(EVIDENCE) or (part.name == TRAINING_SET and keeps_training_set)

    return tuple(part for part in sorted(folder.iterdir()) if not is_kept(part))


def _scratch(settings: Settings, before: float) -> list[Path]:
    """What killed processes left in the temporary folder and beside MLflow's store."""
    left = [path for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(SCRATCH)]
    left += (settings.home / "mlflow").glob(f"*{SUFFIX}")
    return [path for path in sorted(left) if _is_ours(path) and _is_older(path, before)]


def _is_ours(path: Path) -> bool:
    return any(found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode) for found in _stats([path]))


def _is_older(path: Path, before: float) -> bool:
    """Whether nothing in a folder was written since; of an empty one, whether it was made before."""
    times = [found.st_mtime for found in _stats(files_of(path))] or [found.st_mtime for found in _stats([path])]
    return bool(times) and max(times) < before


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links count for nothing."""
    return sum(found.st_size for found in _stats(files_of(path)))


def _stats(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """Of those that are still there: services, databases and steps delete files while others look."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield path.lstat()


def files_of(path: Path) -> Iterator[Path]:
    """A file itself, or the files in a folder, without following links."""
    if path.is_symlink():
        return
    if path.is_file():
        yield path
    for parent, _, names in os.walk(path):
        yield from (file for name in names if not (file := Path(parent) / name).is_symlink())
