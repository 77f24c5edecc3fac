"""The SQLite file of an embedded MLflow store: made whole or not at all.

MLflow makes its tables one by one, without a transaction around them. If the process dies or the disk is full in
between, MLflow can neither use what is there nor go on with it ("table ... already exists"). So a new file is made in a
folder beside its place and gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from recsys.whole_folder import SUFFIX


def make_store(file: Path, artifact_root: Path) -> None:
    """Makes an empty MLflow store at `file`, unless it is there. Any number of processes may do so at once."""
    left = file.parent.glob(f"{file.name}.*{SUFFIX}")
    if file.exists():
        for folder in left:  # of a process that died, or that is about to find out that it is too late
            shutil.rmtree(folder, ignore_errors=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f"{file.name}.", suffix=SUFFIX, dir=file.parent))
    try:
        _make_tables(building / file.name, artifact_root)
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(building / file.name, file)
    except (OSError, SQLAlchemyError):
        if not file.exists():
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _make_tables(file: Path, artifact_root: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{file}", artifact_root.resolve().as_uri()).engine.dispose()
