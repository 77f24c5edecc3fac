"""What lies in the home folder, by kind, and how large it is. Reads sizes, not contents: no TensorFlow, no MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys.home.moving import database_file, is_under
from recsys.pipeline.monitoring.pruning import EVIDENCE, TRAINING_SET, size_of
from recsys.registry.local_store import MLFLOW_FILE, version_folders
from recsys.settings import Settings
from recsys.store import FeedbackStore

PARTS = {TRAINING_SET: "frozen training sets", "data_docs": "Data Docs", EVIDENCE: "evidence of verdicts"}
SCRATCH_PARTS = "fitted models and candidates of runs"
AIRFLOW = ("airflow", "airflow-inprocess")


@dataclass(frozen=True)
class Kind:
    """One kind of what is kept.

    Attributes:
        name: of the kind.
        num: how many, of whatever `unit` says.
        unit: what is counted, of one.
        num_bytes: size of all.
    """

    name: str
    num: int
    unit: str
    num_bytes: int


def measure_home(settings: Settings, store: FeedbackStore) -> list[Kind]:
    """All that lies in the folder, each byte in one kind."""
    home, versions = settings.home, version_sizes(settings)
    kinds = [*_databases(settings, store), *_runs(settings.artifacts)]
    in_mlflow = size_of(home / "mlflow") - size_of(home / MLFLOW_FILE)
    kinds += [
        Kind("MLflow database", 1, "database", size_of(home / MLFLOW_FILE)),
        Kind("model versions in MLflow", len(versions), "version", sum(versions.values())),
        Kind("other files in MLflow", 0, "", max(in_mlflow - sum(versions.values()), 0)),
        Kind("Airflow", 0, "", sum(size_of(home / name) for name in AIRFLOW)),
        Kind("logs", 0, "", size_of(home / "logs") + sum(map(size_of, home.glob("*.log")))),
        Kind("replays", len(_folders(home / "replay")), "replay", size_of(home / "replay")),
    ]
    return [*kinds, Kind("other", 0, "", max(size_of(home) - sum(kind.num_bytes for kind in kinds), 0))]


def version_sizes(settings: Settings) -> dict[str, int]:
    """Version -> bytes of its model and of its run's artifacts; none where an MLflow server keeps them."""
    if not is_under(settings.tracking_uri, settings.home):
        return {}
    return {
        version: sum(map(size_of, folders)) for version, folders in version_folders(settings.home / MLFLOW_FILE).items()
    }


def _databases(settings: Settings, store: FeedbackStore) -> Iterator[Kind]:
    lists = store.lists.lists_size()
    file = database_file(settings.database_url)
    total = (
        sum(map(size_of, file.parent.glob(f"{file.name}*"))) if is_under(settings.database_url, settings.home) else 0
    )
    if total and lists.num_bytes is not None:
        yield Kind("feedback database: lists", lists.num_lists, "list", min(lists.num_bytes, total))
        yield Kind("feedback database: the rest", 1, "database", total - min(lists.num_bytes, total))
    else:
        yield Kind("feedback database", lists.num_lists, "list", total)


def _runs(artifacts: Path) -> Iterator[Kind]:
    """The folders of the runs, part by part."""
    sizes, counts = (
        dict.fromkeys([*PARTS.values(), SCRATCH_PARTS], 0),
        dict.fromkeys([*PARTS.values(), SCRATCH_PARTS], 0),
    )
    for run in _folders(artifacts):
        for part in run.iterdir():
            name = next((name for start, name in PARTS.items() if part.name.startswith(start)), SCRATCH_PARTS)
            sizes[name] += size_of(part)
            counts[name] += 1
    for name, size in sizes.items():
        yield Kind(name, counts[name], "folder", size)


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
