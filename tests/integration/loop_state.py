"""Everything that the loop has written, in a form that two homes can be compared by."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, select

from recsys.registry.registry import EXPERIMENT_NAME, MODEL_NAME, Registry
from recsys.store.tables import metadata

# Columns that say when something was written: the step's argument `now`, which `recsys run` takes from the clock.
NOW_COLUMNS = {"claimed_at", "lease_expires_at", "settled_at", "created_at", "completed_at"}
LEDGER = ("training_batches", "decisions", "model_promotions")
# What MLflow makes up by chance for each model.
RANDOM_TAGS = {"model_id"}
# Files whose bytes are the same for the same content; the others hold times or random ids.
COMPARED_FILES = {".parquet", ".json", ".md"}


def state(home: Path, scratch: Path, *, ignores_now: bool = False) -> dict[str, Any]:
    """The feedback database, the registry and the folders of the batches.

    Args:
        home: where they are; no process may be writing there.
        scratch: a folder for a copy of MLflow's database: MLflow keeps a connection to every file that it has opened.
        ignores_now: leaves out what depends on the argument `now`.
    """
    engine = create_engine(f"sqlite:///{home / 'feedback.db'}")
    with engine.connect() as connection:
        feedback = _feedback(connection, ignores_now)
    engine.dispose()
    return {**feedback, **_registry(home, scratch), "files": _files(home / "artifacts")}


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Where two states differ, one line each."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted({*found, *expected}, key=str)
        return [line for n in names for line in differences(found.get(n), expected.get(n), f"{path}/{n}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for n, (one, other) in pairs for line in differences(one, other, f"{path}/{n}")]
    return [] if found == expected else [f"{path}: {found!r}, expected {expected!r}"]


def _feedback(connection: Connection, ignores_now: bool) -> dict[str, Any]:
    ignored = NOW_COLUMNS if ignores_now else set()
    found: dict[str, Any] = {name: _rows(connection, name, ignored) for name in LEDGER}
    if ignores_now:
        for row in found["decisions"]:
            del row["recorded_at"]
    examples = _rows(connection, "negative_training_examples", ())
    found["num_examples"] = Counter((row["batch_id"], row["used_in_training"]) for row in examples)
    found["examples"] = _digest(examples)
    sets = _rows(connection, "recommendation_sets", ignored)
    found["num_sets"] = Counter((row["model_version"], row["as_of"].isoformat()) for row in sets)
    found["lists"] = _digest([sets, _rows(connection, "recommendation_entries", ())])
    return found


def _rows(connection: Connection, table_name: str, ignored: Collection[str]) -> list[dict[str, Any]]:
    table = metadata.tables[table_name]
    columns = [column for column in table.columns if column.name not in ignored]
    return [dict(row._mapping) for row in connection.execute(select(*columns).order_by(*table.primary_key))]


def _digest(content: Any) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _registry(home: Path, scratch: Path) -> dict[str, Any]:
    copy = scratch / uuid.uuid4().hex
    copy.mkdir()
    for file in (home / "mlflow").glob("mlflow.db*"):
        shutil.copy(file, copy)
    uri = f"sqlite:///{copy / 'mlflow.db'}"
    Registry(uri, home / "mlflow" / "artifacts").ensure()  # also keeps MLflow from phoning home
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(EXPERIMENT_NAME).experiment_id
    versions = client.search_model_versions(f"name = '{MODEL_NAME}'")
    return {
        "versions": {version.version: _version(client, version) for version in versions},
        "aliases": client.get_registered_model(MODEL_NAME).aliases,
        "num_runs": len(client.search_runs([experiment])),
        "num_models": len(client.search_logged_models([experiment])),
    }


def _version(client: Any, version: Any) -> dict[str, Any]:
    run = client.get_run(version.run_id)
    return {
        "tags": {key: value for key, value in version.tags.items() if key not in RANDOM_TAGS},
        "description": version.description,
        "run": (run.info.run_name, run.info.status, run.data.params, run.data.metrics),
        "num_points": {key: len(client.get_metric_history(version.run_id, key)) for key in run.data.metrics},
        "datasets": [one.dataset.digest for one in run.inputs.dataset_inputs],
        "num_models": len(run.outputs.model_outputs),
        "artifacts": _files(Path(run.info.artifact_uri.removeprefix("file://"))),
        "model": _files(Path(version.source.removeprefix("file://"))),
    }


def _files(folder: Path) -> dict[str, str]:
    """Name of each file -> digest of its content, where that must be the same; half a folder has a name of its own."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix in COMPARED_FILES else ""
        for name, path in files.items()
    }
