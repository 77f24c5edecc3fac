"""What the candidates of a batch are worth: measured once each, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import InputError
from recsys.files.atomic import whole_folder
from recsys.files.digests import NOTHING_KNOWN, Known, below, checked_bytes
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import NEW_RUN, TRAINING_SET
from recsys.pipeline.retraining.recipes import candidate_names, fit_config, kept_trial, training_data
from recsys.records import Batch
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.training.recipe.recipe import Trial

DIGEST = "training_set_digest"  # beside what was measured on a set


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
    from recsys.training.dataset.training_set import TrainingSet
    from recsys.training.families.registry import candidates_of, find_family

    config, names = fit_config(batch), candidate_names(batch)
    if name not in names:
        raise InputError(f"Expected a candidate out of {', '.join(names)}, got {name!r}.")
    target = _trial_file(folder, name)
    if (found := _read_trial(target, batch, name, known)) is not None:
        return found
    trial = kept_trial(batch)
    if trial is None:
        training_set, cut_off = TrainingSet.read(folder / TRAINING_SET, below(known, TRAINING_SET)), batch.fit_through
        candidate, data = candidates_of(config)[name], training_data(batch, training_set, cut_off)
        trial = find_family(candidate.family).try_candidate(candidate, data, config)
    measured_on = {**trial.as_dict(), DIGEST: batch.training_set_digest}
    with whole_folder(target.parent) as building:
        (building / target.name).write_text(json.dumps(measured_on, indent=2), encoding="utf-8")
    return trial


def try_and_record(context: Context, batch: Batch, name: str) -> Trial:
    """The same in the batch's own folder, whose files are compared with what was recorded of them."""
    folder = context.folder(batch.batch_id)
    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.TRAINING_SET, ArtifactKind.CANDIDATE)
    trial = try_candidate(folder, batch, name, known)
    kept_files.record_candidate(context, batch.batch_id, name)
    return trial


def _trial_file(folder: Path, name: str) -> Path:
    return folder / "candidates" / name / "trial.json"


def _read_trial(file: Path, batch: Batch, name: str, known: Known) -> Trial | None:
    """What was measured on the batch's training set; None if nothing was, or on one that was frozen before it."""
    from recsys.training.recipe.recipe import Trial

    if not file.is_file():
        return None
    kept = kept_files.parsed(file, checked_bytes(file, known.get(f"candidates/{name}/{file.name}"), NEW_RUN))
    is_of_another = kept.pop(DIGEST, batch.training_set_digest) != batch.training_set_digest
    return None if is_of_another else Trial.from_dict(kept)


def measured_before(context: Context, batch: Batch, name: str) -> Trial | None:
    """What an earlier run measured of a candidate; None where its files are gone.

    Raises:
        DigestError: if the file is not the one that was written.
    """
    folder = context.folder(batch.batch_id)
    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.CANDIDATE)
    return _read_trial(_trial_file(folder, name), batch, name, known)


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
