"""From a frozen training set to a registered version."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.files.atomic import whole_folder
from recsys.files.digests import NOTHING_KNOWN, Known, checked_bytes
from recsys.foreign_text import in_code, in_markdown
from recsys.pipeline import kept_files
from recsys.pipeline.champion.aliases import require_registry
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import NEW_RUN
from recsys.pipeline.retraining.frozen_sets import read_training_set
from recsys.pipeline.retraining.recipes import current_recipe, fit_config, training_data
from recsys.pipeline.retraining.trials import trials_of
from recsys.records import Batch
from recsys.registry.registry import VersionSpec
from recsys.settings import run_source
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.training.families.base import FitResult


def fit_into(context: Context, batch: Batch, folder: Path, fit_name: str) -> None:
    """Fits the best candidate on the frozen training set; writes model, numbers and plot to `folder/<fit_name>`.

    `judged` is fitted through `fit_through`, `refit` through `as_of`: the same candidate with the same ridges and the same
    head. A head that was weighed anew, on the newest days, would make lists that nobody evaluated.
    """
    from recsys.evaluation.reporting.plots import plot_training_set_age
    from recsys.model.protocol import save_recommender
    from recsys.pipeline.retraining.examples import examples_of, input_example
    from recsys.training.families.additive.selection import best_trial
    from recsys.training.families.registry import find_family

    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = read_training_set(context, batch, folder)
    examples = training_set.examples_through(cut_off)
    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.CANDIDATE, ArtifactKind.FIT)
    config, trials = fit_config(batch), trials_of(folder, batch, known)
    trial = best_trial(trials, config)
    judged = None if fit_name == "judged" else judged_fit(context, batch, folder)
    family = find_family(trial.candidate.family)
    result = family.fit(trial, training_data(batch, training_set, cut_off), config, judged)
    tried = {f"candidate_{trial.candidate.name}_ndcg_at_10": trial.ndcg_at_10 for trial in trials}
    numbers = {
        "params": {**result.params, "candidate": trial.candidate.name, "family": trial.candidate.family},
        "metrics": {**result.metrics, **tried},
        "examples": examples_of(result.recommender, training_set.histories),
        "input_example": input_example(result.recommender),
    }  # fmt: skip
    with whole_folder(folder / fit_name) as building:
        save_recommender(result.recommender, building / "recommender")
        (building / "plots").mkdir()
        plot_training_set_age(
            examples["age_days"].to_numpy(),
            examples["sample_weight"].to_numpy(),
            examples["label"].to_numpy(),
            building / "plots" / "weights_by_age.png",
        )
        (building / kept_files.NUMBERS).write_text(json.dumps(numbers, indent=2), encoding="utf-8")


def judged_fit(context: Context, batch: Batch, folder: Path) -> FitResult:
    """The fit that was evaluated, whose choices a refit keeps.

    Raises:
        DigestError: if a file of it is not the one that was written.
    """
    from recsys.model.protocol import load_recommender
    from recsys.training.families.base import FitResult

    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.FIT)
    numbers = numbers_of(folder, "judged", known)
    kept_files.require_fit(context, batch, folder, "judged")
    chosen = {name: value for name, value in numbers["metrics"].items() if name.startswith("validation_")}
    recommender = load_recommender(folder / "judged" / "recommender")
    return FitResult(recommender=recommender, params=numbers["params"], metrics=chosen)


def numbers_of(folder: Path, fit_name: str, known: Known = NOTHING_KNOWN) -> dict[str, Any]:
    """Parameters, metrics and examples of a fit.

    Raises:
        DigestError: if the file is not the one that was written.
        InputError: if it cannot be read.
    """
    file = folder / fit_name / kept_files.NUMBERS
    return kept_files.parsed(file, checked_bytes(file, known.get(f"{fit_name}/{file.name}"), NEW_RUN))


def train(context: Context, batch: Batch, fit_name: str) -> str:
    """Fits and registers; returns the version."""
    folder = context.folder(batch.batch_id)
    fit_into(context, batch, folder, fit_name)
    kept_files.record_fit(context, batch.batch_id, fit_name)
    return register(context, batch, folder, fit_name)


def register(context: Context, batch: Batch, folder: Path, fit_name: str) -> str:
    """Logs one fit as a model version with everything that explains it."""
    import pandas as pd

    from recsys.training.families.foreign import code_of

    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.FIT)
    numbers = numbers_of(folder, fit_name, known)
    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = read_training_set(context, batch, folder)
    trained_through = training_set.examples_through(cut_off)["recorded_at"].max()
    require_registry(context)
    context.registry.ensure()
    return context.registry.log_version(
        VersionSpec(
            batch_id=batch.batch_id,
            fit=fit_name,
            run_name=f"{batch.as_of:%Y-%m-%d %H:%M} {fit_name}",
            model_folder=folder / fit_name / "recommender",
            params={**numbers["params"], "recipe": current_recipe(batch), "fit": fit_name},
            metrics=numbers["metrics"],
            tags={
                "trained_through": trained_through.isoformat(),
                "as_of": cut_off.isoformat(),
                "dataset_digest": str(batch.training_set_digest),
                "recipe": current_recipe(batch),
                "eligible": json.dumps(batch.rule.as_dict()),
            },
            training_set=folder / "training_set" / "training_set.parquet",
            dataset_digest=str(batch.training_set_digest),
            artifacts={
                "data_docs": folder / "data_docs",
                "plots": folder / fit_name / "plots",
                "candidates": folder / "candidates",
            },
            description=describe(batch, fit_name, cut_off, numbers["metrics"]),
            input_example=pd.DataFrame(numbers["input_example"]),
            source=run_source(),
            code=code_of(str(numbers["params"].get("family", ""))),
        ),
        kept_files.recorder_of_version(context, batch.batch_id, fit_name, known),
    )


def describe(batch: Batch, fit_name: str, cut_off: datetime, metrics: dict[str, float]) -> str:
    """Markdown for the version's page."""
    from recsys.evaluation.reporting.tables import with_room

    forced = batch.config.force_reason
    kind = (
        "Challenger, to be evaluated on later events"
        if fit_name == "judged"
        else "Refit of a challenger that passed the gate"
    )
    lines = [
        f"{kind}. Fitted on what was recorded up to **{cut_off:%Y-%m-%d %H:%M} UTC**; run {in_code(batch.batch_id)}.",
        "",
        "| | |",
        "|---|---|",
        f"| run's cut-off `as_of` | {batch.as_of:%Y-%m-%d %H:%M} UTC |",
        f"| new dislikes behind it | {batch.num_examples} |",
        f"| training set | {batch.num_rows} rows, digest `{str(batch.training_set_digest)[:12]}` |",
        f"| half-life of sample weights | {batch.half_life_days} days |",
        f"| may recommend | {in_markdown(str(batch.rule))} |",
        f"| champion it is compared with | {batch.champion_version or 'none'} |",
        *([f"| forced | {in_markdown(str(forced))} |"] if forced else []),
        *(f"| {name} | {value:.4f} |" for name, value in sorted(metrics.items())),
    ]
    return with_room("\n".join(lines))
