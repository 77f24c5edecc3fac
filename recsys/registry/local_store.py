"""The SQLite file of an embedded MLflow store: made whole or not at all.

MLflow makes its tables one by one, without a transaction around them. If the process dies or the disk is full in
between, MLflow can neither use what is there nor go on with it ("table ... already exists"). So a new file is made in a
folder beside its place and gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy.exc import SQLAlchemyError

from recsys.errors import TerminalError
from recsys.files.atomic import SUFFIX

MLFLOW_FILE = Path("mlflow") / "mlflow.db"  # of an embedded store, in the home folder
IN_HOME = re.compile(r"file://(?P<home>/.*)/mlflow/artifacts(/\d+)?")


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


def recorded_home(file: Path) -> Path | None:
    """The home folder that an embedded store was made in: its experiments name their artifacts by absolute URIs.

    Returns:
        None if there is no such file, or it names no folder of this machine.
    """
    rows = _read(file, "SELECT artifact_location FROM experiments ORDER BY experiment_id")
    found = [match for (location,) in rows if (match := IN_HOME.fullmatch(location or ""))]
    return Path(unquote(found[0]["home"])) if found else None


def require_own_home(file: Path, artifact_root: Path) -> None:
    """Refuses a store whose home folder was moved or copied: it would read and write the artifacts of the old one.

    Raises:
        TerminalError: naming the command that repairs it.
    """
    home = artifact_root.resolve().parent.parent
    if file.resolve() != home / MLFLOW_FILE:
        return  # a store of several homes
    made_in = recorded_home(file)
    if made_in is not None and made_in != home:
        raise TerminalError(
            f"Expected the MLflow store {file} to be where it was made, in {made_in}, but the folder was moved or copied: "
            "run `recsys home repair`, which rewrites the paths in it."
        )


def require_readable(file: Path) -> None:
    """Refuses a file that is there and is no MLflow store: MLflow would make tables in an empty one, as if nothing had been.

    Raises:
        TerminalError: if it is empty, or SQLite finds that it is damaged or no database.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'registered_models'").fetchone()
    except sqlite3.OperationalError:  # locked, or this user may not read it: MLflow will say
        return
    except sqlite3.DatabaseError as error:
        raise _not_a_store(file, str(error)) from error
    if rows == (0,):
        size = file.stat().st_size
        raise _not_a_store(file, "it is empty" if not size else "it has none of MLflow's tables")


def require_whole(file: Path) -> None:
    """The same, and reads all of it: a file that was cut off may still answer some questions.

    Raises:
        TerminalError: if SQLite finds that it is damaged.
    """
    require_readable(file)
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        return
    except sqlite3.DatabaseError as error:
        raise _not_a_store(file, str(error)) from error
    if found != "ok":
        raise _not_a_store(file, str(found)[:200])


def _not_a_store(file: Path, what: str) -> TerminalError:
    return TerminalError(
        f"Expected an MLflow store in {file}, but {what}: nothing was read or written. Put the file back from a backup."
    )


def missing_store(file: Path) -> TerminalError:
    """What to say where versions are known and their store is not there."""
    return TerminalError(
        f"Expected the MLflow store {file}, which holds the versions that this database knows, but there is no such file: put "
        "it back from a backup, or set RECSYS_HOME or MLFLOW_TRACKING_URI to where it is."
    )


def version_source(file: Path, name: str, version: str) -> str | None:
    """Where an embedded store says that the model of a version lies; None if it has no such version, or is not a whole one."""
    rows = _read(
        file, "SELECT source FROM model_versions WHERE name = ? AND version = ? AND current_stage <> 'Deleted_Internal'",
        name, version,
    )  # fmt: skip
    return None if not rows else str(rows[0][0])


def version_folders(file: Path) -> dict[str, list[Path]]:
    """Version -> folders on this machine that an embedded store keeps for it: its model, and the artifacts of its run."""
    rows = _read(
        file,
        "SELECT v.version, v.source, r.artifact_uri FROM model_versions v LEFT JOIN runs r ON r.run_uuid = v.run_id "
        "WHERE v.current_stage <> 'Deleted_Internal' ORDER BY v.version",
    )
    return {
        str(version): [Path(unquote(uri.removeprefix("file://"))) for uri in uris if (uri or "").startswith("file://")]
        for version, *uris in rows
    }


def _read(file: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Rows of an embedded store, without the seconds that importing MLflow takes; none if it is not a whole one."""
    if not file.is_file():
        return []
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            return database.execute(query, values).fetchall()
        except sqlite3.Error:  # whoever opens it will say what is wrong
            return []
