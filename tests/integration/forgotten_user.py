"""A first night with a user who is erased in the middle of it, and what it left behind about that user."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.pipeline.context import Context
from recsys.pipeline.night import run_night
from recsys.records import Batch
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.small_stream import FAMILY, FIRST, FIRST_AS_OF, write_stream

NAME, PERSON = "person-{:03d}", "person-525"
ERASED_AT, NOW = FIRST_AS_OF + timedelta(hours=1), FIRST_AS_OF + timedelta(hours=2)
# Where a user may be named: in the database, and in the frozen set.
DATABASE, FROZEN = "feedback.db", "training_set"
# Steps after which a user may be erased, and what is then made again.
STEPS = (
    "build_training_set", "validate_training_set", "try_candidate", "train_challenger", "evaluate_challenger",
    "settle_backlog", "decide_promotion", "refit_challenger", "promote",
)  # fmt: skip


def new_home(home: Path, without: tuple[str, ...] = ()) -> Settings:
    """A home with the stream."""
    settings = Settings.under(home)
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        write_stream(store, name=NAME, without=without)
    return settings


def record_night(settings: Settings, copies: Path) -> dict[str, dict[str, Any]]:
    """Runs the first night up to its promotion, and copies the home before each step and at the end."""
    options = RunConfig(families=[FAMILY], force_reason="first champion")

    def take_copy(step: str) -> None:
        shutil.copytree(settings.home, copies / step)

    night = run_night(FIRST, FIRST_AS_OF, lambda: FIRST_AS_OF, options, on_step=take_copy, publishes=False)
    assert night.outcome == "promote", night.reasons
    take_copy("end")
    return night.results


def go_on(step: str, results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Runs the night from a step on, as the DAGs do; `results` are those of the steps before."""
    done = dict(results)
    for name in STEPS[STEPS.index(step) :]:
        candidates = results["list_candidates"]["candidates"] if name == "try_candidate" else [None]
        for candidate in candidates:
            done[name] = pipeline.STEPS[name](**_arguments(name, done, candidate))
    return done


def _arguments(step: str, done: dict[str, dict[str, Any]], candidate: str | None) -> dict[str, Any]:
    batch, night = {"batch_id": FIRST}, {"run_id": FIRST, "now": NOW}
    if step == "try_candidate":
        return {**batch, "candidate": candidate}
    if step == "settle_backlog":
        return {**batch, "now": NOW}
    if step == "decide_promotion":
        return {**night, "model_version": done["evaluate_challenger"]["model_version"]}
    if step == "refit_challenger":
        return {"model_version": done["decide_promotion"]["model_version"]}
    if step == "promote":
        return {**night, "model_version": done["refit_challenger"]["model_version"]}
    return batch


def numbers_of(context: Context, batch: Batch) -> dict[str, Any]:
    """Everything that was computed of a batch, without the names of its users and versions."""
    folder = context.folder(batch.batch_id)
    fits = {name: json.loads((folder / name / "fit.json").read_text(encoding="utf-8")) for name in ("judged", "refit")}
    evidence = context.settings.locate(str(batch.evidence_uri))
    per_user = pq.read_table(evidence / "per_user.parquet").drop_columns(["user_id"]).to_pydict()
    examples = pq.read_table(folder / FROZEN / "training_set.parquet").drop_columns(["source_id"])  # numbers of rows
    kept = json.loads((evidence / "evidence.json").read_text(encoding="utf-8"))
    return {
        "examples": examples, "num_rows": batch.num_rows, "fits": fits, "per_user": repr(per_user),
        "per_system": kept["per_system"], "fidelity": kept["fidelity"],
    }  # fmt: skip


def files_naming(home: Path, name: str) -> set[str]:
    """Files below a home with a name in their bytes, or in a column of Parquet, relative to it."""
    return {str(path.relative_to(home)) for path in sorted(home.rglob("*")) if path.is_file() and _names(path, name)}


def models_in(home: Path) -> list[Path]:
    """Files of models in MLflow."""
    return sorted((home / "mlflow").rglob("recommender/*.parquet"))


def _names(path: Path, name: str) -> bool:
    if name in path.name or name.encode() in path.read_bytes():
        return True
    return path.read_bytes().startswith(b"PAR1") and any(name in text for text in _texts(path))


def _texts(path: Path) -> Iterator[str]:
    table = pq.read_table(path)
    for column in table.columns:
        yield from map(str, column.unique().to_pylist() if str(column.type) == "string" else ())
