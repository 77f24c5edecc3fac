"""From the stores to a registered version: frozen training set, data checks, fit."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.eligibility import EligibilityRule
from recsys.errors import InputError
from recsys.file_digests import NOTHING_KNOWN, Known, below, checked_bytes, require_same
from recsys.foreign_text import in_code, in_markdown
from recsys.nightly import kept_files
from recsys.nightly.champion import require_registry
from recsys.nightly.kept_files import NEW_RUN, TRAINING_SET
from recsys.nightly.workplace import Workplace
from recsys.records import Batch
from recsys.registry import VersionSpec
from recsys.settings import run_source
from recsys.store.artifact_digests import ArtifactKind
from recsys.whole_folder import whole_folder

if TYPE_CHECKING:
    from recsys.training.recipe import FitConfig, Trial
    from recsys.training.training_set import TrainingSet, TrainingSetSummary
    from recsys.training.validation_report import ValidationReport

DIGEST = "training_set_digest"  # beside what was measured on a set


def fit_config(batch: Batch) -> FitConfig:
    """The recipe of this code version, as the batch was planned."""
    from recsys.training.recipe import FitConfig

    families = tuple(batch.config.get("families", FitConfig.families))
    return FitConfig(seed=batch.config["seed"], families=families, eligible=rule_of(batch))


def rule_of(batch: Batch) -> EligibilityRule:
    """What the batch's versions may recommend."""
    return EligibilityRule.from_dict(batch.config.get("eligible"))


def current_recipe(batch: Batch) -> str:
    """Names the recipe that this code would fit the batch with."""
    from recsys.training.recipe import recipe_id

    return recipe_id(fit_config(batch), batch.config["requested_half_life_days"])


def freeze_training_set(place: Workplace, batch: Batch, folder: Path) -> TrainingSetSummary:
    """Writes the inputs of the batch, or finds them: what a first try froze, a retry does not read again.

    Raises:
        DigestError: if a file of what was frozen before is not the one that was written.
    """
    from recsys.training.training_set import read_summary

    if batch.training_set_digest is not None and folder.is_dir():
        known = below(
            kept_files.known_files(place, batch.batch_id, folder.parent, ArtifactKind.TRAINING_SET), TRAINING_SET
        )
        require_same(folder, known, NEW_RUN)
        existing = read_summary(folder, known)
        if existing is not None and existing.digest == batch.training_set_digest:
            return existing
    return write_set(place, batch, folder)


def write_set(place: Workplace, batch: Batch, folder: Path) -> TrainingSetSummary:
    """Writes the inputs of the batch as they are now, up to its cut-offs."""
    from recsys.model.eligible_items import catalog_frame
    from recsys.training.recipe import MAX_USER_SHARE
    from recsys.training.training_set import write_training_set

    half_life_days = batch.config["half_life_days"]
    items = catalog_frame(place.store.catalog().values())
    examples = place.store.read_training_set(batch.as_of, batch.fit_through, half_life_days)
    histories = place.store.read_histories(batch.fit_through, half_life_days, excluded_through=batch.fit_through)
    neutral = place.store.read_neutral_signals(batch.as_of)
    return write_training_set(folder, examples, histories, neutral, items, MAX_USER_SHARE)


def read_training_set(place: Workplace, batch: Batch, folder: Path) -> TrainingSet:
    """The frozen set in the batch's folder, compared with what was frozen; that of a dry run as it is.

    Raises:
        DigestError: if a file is not the one that was written.
        InputError: if it is not there or cannot be read.
    """
    from recsys.training.training_set import TrainingSet

    known = kept_files.known_files(place, batch.batch_id, folder, ArtifactKind.TRAINING_SET)
    return TrainingSet.read(folder / TRAINING_SET, below(known, TRAINING_SET))


def check_training_set(place: Workplace, batch: Batch, folder: Path) -> ValidationReport:
    """Runs the data checks against the last batch that was used. Rows that are shown have pseudonyms of their users."""
    from recsys.evaluation.pseudonyms import renamed
    from recsys.training.validation import ValidationConfig, validate_training_set

    examples = read_training_set(place, batch, folder).examples
    return validate_training_set(
        examples.assign(user_id=renamed(examples["user_id"], place.pseudonym)),
        as_of=batch.as_of,
        fit_through=batch.fit_through,
        previous=_previous_batch(place, batch),
        config=ValidationConfig(),
        docs_folder=folder / "data_docs",
    )


def check_batch(place: Workplace, batch: Batch) -> tuple[Batch, ValidationReport]:
    """The same for the batch's own folder; the batch then names its Data Docs."""
    place.make_pseudonyms()
    report = check_training_set(place, batch, place.folder(batch.batch_id))
    uri = place.settings.reference(Path(report.data_docs))
    return place.store.update_batch(batch.batch_id, data_docs_uri=uri), report


def _previous_batch(place: Workplace, batch: Batch) -> Any:
    from recsys.training.training_set import read_summary
    from recsys.training.validation import PreviousBatch

    if batch.champion_version is None:
        return None
    made = place.store.find_maker(batch.champion_version)
    if made is None:
        return None
    before = made[0].batch_id
    known = place.store.known_files(before, ArtifactKind.TRAINING_SET)
    folder = place.folder(before) / TRAINING_SET
    summary = read_summary(folder, below(known, TRAINING_SET) if folder.is_dir() else NOTHING_KNOWN)
    if summary is None:
        return None
    return PreviousBatch(num_rows=summary.num_rows, dislike_share=summary.num_dislikes / max(summary.num_rows, 1))


def candidate_names(batch: Batch) -> list[str]:
    """What is tried for the batch: the grid of each family, or what is kept of the champion."""
    kept = _kept_trial(batch)
    return list(fit_config(batch).candidates()) if kept is None else [kept.candidate.name]


def _kept_trial(batch: Batch) -> Trial | None:
    from recsys.training.recipe import Trial

    kept = batch.config.get("kept_trial")
    return None if kept is None else Trial.from_dict(kept)


def try_candidate(folder: Path, batch: Batch, name: str, known: Known = NOTHING_KNOWN) -> Trial:
    """Measures a candidate on the newest of what the challenger may learn from, or finds what was measured before.

    The result is `candidates/<name>/trial.json` in the batch's folder.

    Args:
        folder: of the batch, with its frozen set.
        batch: whose.
        name: of the candidate.
        known: digests of the folder's files.

    Raises:
        InputError: if the candidate is none of the batch's.
        DigestError: if a file that it reads is not the one that was written.
    """
    from recsys.training.fit import try_candidate as measured
    from recsys.training.training_set import TrainingSet

    config, names = fit_config(batch), candidate_names(batch)
    if name not in names:
        raise InputError(f"Expected a candidate out of {', '.join(names)}, got {name!r}.")
    target = _trial_file(folder, name)
    if (found := _read_trial(target, batch, name, known)) is not None:
        return found
    trial = _kept_trial(batch)
    if trial is None:
        training_set, cut_off = TrainingSet.read(folder / TRAINING_SET, below(known, TRAINING_SET)), batch.fit_through
        trial = measured(
            config.candidates()[name], training_set.examples_through(cut_off), training_set.items, cut_off,
            batch.config["half_life_days"], config, training_set.neutral_through(cut_off),
        )  # fmt: skip
    measured_on = {**trial.as_dict(), DIGEST: batch.training_set_digest}
    with whole_folder(target.parent) as building:
        (building / target.name).write_text(json.dumps(measured_on, indent=2), encoding="utf-8")
    return trial


def try_and_record(place: Workplace, batch: Batch, name: str) -> Trial:
    """The same in the batch's own folder, whose files are compared with what was recorded of them."""
    folder = place.folder(batch.batch_id)
    known = kept_files.known_files(place, batch.batch_id, folder, ArtifactKind.TRAINING_SET, ArtifactKind.CANDIDATE)
    trial = try_candidate(folder, batch, name, known)
    kept_files.record_candidate(place, batch.batch_id, name)
    return trial


def _trial_file(folder: Path, name: str) -> Path:
    return folder / "candidates" / name / "trial.json"


def _read_trial(file: Path, batch: Batch, name: str, known: Known) -> Trial | None:
    """What was measured on the batch's training set; None if nothing was, or on one that was frozen before it."""
    from recsys.training.recipe import Trial

    if not file.is_file():
        return None
    kept = _parsed(file, checked_bytes(file, known.get(f"candidates/{name}/{file.name}"), NEW_RUN))
    is_of_another = kept.pop(DIGEST, batch.training_set_digest) != batch.training_set_digest
    return None if is_of_another else Trial.from_dict(kept)


def _parsed(file: Path, content: bytes) -> dict[str, Any]:
    """A JSON object that a step left behind.

    Raises:
        InputError: naming the file, if it cannot be read.
    """
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"Expected JSON in {file}, got what cannot be read ({str(error)[:200]}): nothing was done with it. {NEW_RUN}"
        ) from error


def trials_of(folder: Path, batch: Batch, known: Known = NOTHING_KNOWN) -> list[Trial]:
    """What was measured of each of the batch's candidates.

    Args:
        folder: of the batch.
        batch: whose.
        known: digests of the folder's files.

    Raises:
        InputError: if one has not been tried.
        DigestError: if what was measured is not what is there.
    """
    found = {name: _read_trial(_trial_file(folder, name), batch, name, known) for name in candidate_names(batch)}
    missing = [name for name, trial in found.items() if trial is None]
    if missing:
        raise InputError(
            f"Expected every candidate of batch {batch.batch_id} to be tried, {', '.join(missing)} was not, there is no "
            f"{_trial_file(folder, missing[0])}: put it back from a backup, or run try_candidate for it."
        )
    return [trial for trial in found.values() if trial is not None]


def fit_into(place: Workplace, batch: Batch, folder: Path, fit_name: str) -> None:
    """Fits the best candidate on the frozen training set; writes model, numbers and plot to `folder/<fit_name>`.

    `judged` is fitted through `fit_through`, `refit` through `as_of`: the same candidate with the same ridges and the same
    head. A head that was weighed anew, on the newest days, would make lists that nobody evaluated.
    """
    from recsys.evaluation.report import plot_training_set_age
    from recsys.model.recommender import Recommender
    from recsys.nightly.cards import examples_of, input_example
    from recsys.training.fit import fit
    from recsys.training.selection import Settings, best_trial

    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = read_training_set(place, batch, folder)
    examples = training_set.examples_through(cut_off)
    known = kept_files.known_files(place, batch.batch_id, folder, ArtifactKind.CANDIDATE, ArtifactKind.FIT)
    config, trials = fit_config(batch), trials_of(folder, batch, known)
    trial = best_trial(trials, config)
    settings = None
    if fit_name != "judged":
        judged = numbers_of(folder, "judged", known)
        kept_files.require_fit(place, batch, folder, "judged")
        trial = replace(trial, transition_reg=judged["params"]["transition_reg"])
        chosen = {name: value for name, value in judged["metrics"].items() if name.startswith("validation_")}
        settings = Settings.of(Recommender.load(folder / "judged" / "recommender"), trial, chosen)
    result = fit(
        examples, training_set.items, cut_off, batch.config["half_life_days"], config,
        neutral=training_set.neutral_through(cut_off), trial=trial, settings=settings,
    )  # fmt: skip
    tried = {f"candidate_{trial.candidate.name}_ndcg_at_10": trial.ndcg_at_10 for trial in trials}
    numbers = {
        "params": result.params, "metrics": {**result.metrics, **tried},
        "examples": examples_of(result.recommender, training_set.histories),
        "input_example": input_example(result.recommender),
    }  # fmt: skip
    with whole_folder(folder / fit_name) as building:
        result.recommender.save(building / "recommender")
        (building / "plots").mkdir()
        plot_training_set_age(
            examples["age_days"].to_numpy(),
            examples["sample_weight"].to_numpy(),
            examples["label"].to_numpy(),
            building / "plots" / "weights_by_age.png",
        )
        (building / kept_files.NUMBERS).write_text(json.dumps(numbers, indent=2), encoding="utf-8")


def numbers_of(folder: Path, fit_name: str, known: Known = NOTHING_KNOWN) -> dict[str, Any]:
    """Parameters, metrics and examples of a fit.

    Raises:
        DigestError: if the file is not the one that was written.
        InputError: if it cannot be read.
    """
    file = folder / fit_name / kept_files.NUMBERS
    return _parsed(file, checked_bytes(file, known.get(f"{fit_name}/{file.name}"), NEW_RUN))


def train(place: Workplace, batch: Batch, fit_name: str) -> str:
    """Fits and registers; returns the version."""
    folder = place.folder(batch.batch_id)
    fit_into(place, batch, folder, fit_name)
    kept_files.record_fit(place, batch.batch_id, fit_name)
    return register(place, batch, folder, fit_name)


def register(place: Workplace, batch: Batch, folder: Path, fit_name: str) -> str:
    """Logs one fit as a model version with everything that explains it."""
    import pandas as pd

    known = kept_files.known_files(place, batch.batch_id, folder, ArtifactKind.FIT)
    numbers = numbers_of(folder, fit_name, known)
    cut_off = batch.fit_through if fit_name == "judged" else batch.as_of
    training_set = read_training_set(place, batch, folder)
    trained_through = training_set.examples_through(cut_off)["recorded_at"].max()
    require_registry(place)
    place.registry.ensure()
    return place.registry.log_version(
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
                "eligible": json.dumps(rule_of(batch).as_dict()),
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
        ),
        kept_files.recorder_of_version(place, batch.batch_id, fit_name, known),
    )


def describe(batch: Batch, fit_name: str, cut_off: datetime, metrics: dict[str, float]) -> str:
    """Markdown for the version's page."""
    from recsys.evaluation.tables import with_room

    forced = batch.config.get("force_reason")
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
        f"| half-life of sample weights | {batch.config['half_life_days']} days |",
        f"| may recommend | {in_markdown(str(rule_of(batch)))} |",
        f"| champion it is compared with | {batch.champion_version or 'none'} |",
        *([f"| forced | {in_markdown(str(forced))} |"] if forced else []),
        *(f"| {name} | {value:.4f} |" for name, value in sorted(metrics.items())),
    ]
    return with_room("\n".join(lines))
