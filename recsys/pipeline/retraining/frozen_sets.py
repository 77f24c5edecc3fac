"""The frozen training set of a batch: written once, compared with its digests at each use, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.files.digests import NOTHING_KNOWN, below, require_same
from recsys.pipeline import kept_files
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import NEW_RUN, TRAINING_SET
from recsys.records import Batch
from recsys.store.artifact_digests import ArtifactKind

if TYPE_CHECKING:
    from recsys.training.dataset.check_report import ValidationReport
    from recsys.training.dataset.training_set import TrainingSet, TrainingSetSummary


REFREEZING = "forget_users"  # step of the ledger under which a set was frozen anew


def freeze_training_set(context: Context, batch: Batch, folder: Path) -> TrainingSetSummary:
    """Writes the inputs of the batch, or finds them: what a first try froze, a retry does not read again.

    Raises:
        DigestError: if a file of what was frozen before is not the one that was written.
    """
    from recsys.training.dataset.training_set import read_summary

    if batch.training_set_digest is not None and folder.is_dir():
        known = below(
            kept_files.known_files(context, batch.batch_id, folder.parent, ArtifactKind.TRAINING_SET), TRAINING_SET
        )
        require_same(folder, known, NEW_RUN)
        existing = read_summary(folder, known)
        if existing is not None and existing.digest == batch.training_set_digest:
            return existing
    return write_set(context, batch, folder)


def write_set(context: Context, batch: Batch, folder: Path) -> TrainingSetSummary:
    """Writes the inputs of the batch as one snapshot of the database has them now, up to its cut-offs."""
    from recsys.model.eligible_items import catalog_frame
    from recsys.training.dataset.training_set import write_training_set
    from recsys.training.recipe.recipe import MAX_USER_SHARE

    found = context.store.stream.snapshot(batch.as_of, batch.fit_through, batch.half_life_days)
    items = catalog_frame(found.items.values())
    return write_training_set(folder, found.examples, found.histories, found.neutral, items, MAX_USER_SHARE)


def read_training_set(context: Context, batch: Batch, folder: Path) -> TrainingSet:
    """The frozen set in the batch's folder, compared with what was frozen; that of a dry run as it is.

    Raises:
        DigestError: if a file is not the one that was written.
        InputError: if it is not there or cannot be read.
    """
    from recsys.training.dataset.training_set import TrainingSet

    known = kept_files.known_files(context, batch.batch_id, folder, ArtifactKind.TRAINING_SET)
    return TrainingSet.read(folder / TRAINING_SET, below(known, TRAINING_SET))


def check_training_set(context: Context, batch: Batch, folder: Path) -> ValidationReport:
    """Runs the data checks against the last batch that was used. Rows that are shown have pseudonyms of their users."""
    from recsys.evaluation.pseudonyms import renamed
    from recsys.training.dataset.checks import ValidationConfig, validate_training_set

    examples = read_training_set(context, batch, folder).examples
    return validate_training_set(
        examples.assign(user_id=renamed(examples["user_id"], context.pseudonym)),
        as_of=batch.as_of,
        fit_through=batch.fit_through,
        previous=_previous_batch(context, batch),
        config=ValidationConfig(),
        docs_folder=folder / "data_docs",
    )


def check_batch(context: Context, batch: Batch) -> tuple[Batch, ValidationReport]:
    """The same for the batch's own folder; the batch then names its Data Docs."""
    context.make_pseudonyms()
    report = check_training_set(context, batch, context.folder(batch.batch_id))
    uri = context.settings.reference(Path(report.data_docs))
    return context.store.backlog.update_batch(batch.batch_id, data_docs_uri=uri), report


def _previous_batch(context: Context, batch: Batch) -> Any:
    from recsys.training.dataset.checks import PreviousBatch
    from recsys.training.dataset.training_set import read_summary

    if batch.champion_version is None:
        return None
    made = context.store.backlog.find_maker(batch.champion_version)
    if made is None:
        return None
    before = made[0].batch_id
    known = context.store.backlog.known_files(before, ArtifactKind.TRAINING_SET)
    folder = context.folder(before) / TRAINING_SET
    summary = read_summary(folder, below(known, TRAINING_SET) if folder.is_dir() else NOTHING_KNOWN)
    if summary is None:
        return None
    return PreviousBatch(num_rows=summary.num_rows, dislike_share=summary.num_dislikes / max(summary.num_rows, 1))


def was_frozen_anew(context: Context, batch: Batch) -> bool:
    """Whether a first set of the batch was replaced, so that steps make again what was made of it."""
    return bool(context.store.audit.list_decisions(limit=1, run_id=batch.batch_id, step=REFREEZING))
