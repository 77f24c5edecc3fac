"""A longer holdout for a challenger with too few users in its holdout: the same two models, more of the future."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from recsys.errors import ConflictError, InputError
from recsys.pipeline import kept_files
from recsys.pipeline.champion.aliases import require_registry
from recsys.pipeline.context import Context
from recsys.pipeline.retraining import evaluation
from recsys.pipeline.retraining.frozen_sets import read_training_set
from recsys.records import Batch

if TYPE_CHECKING:
    from recsys.evaluation.gate.evidence import Evidence
    from recsys.training.dataset.training_set import TrainingSet

INSUFFICIENT = "insufficient_evidence"


@dataclass(frozen=True)
class Extension:
    """What became of the evidence of a batch.

    Attributes:
        evidence: as it is now.
        uri: where it is.
        extended: whether it covers more than the batch's own holdout.
        reason: in plain words.
    """

    evidence: Evidence
    uri: str
    extended: bool
    reason: str


def extend(context: Context, batch: Batch, as_of: datetime) -> Extension:
    """Evaluates the batch's challenger again, on (`fit_through`, `as_of`]; only where the evidence was insufficient.

    Whoever had enough evidence is not evaluated a second time: looking again until the numbers please would make every
    challenger pass. The refit stays what it was frozen to be, a fit through the batch's own cut-off.

    Raises:
        ConflictError: if the champion is not the one that the batch is compared with.
        InputError: if `as_of` is not after the end of the holdout so far.
    """
    evidence = evaluation.load_evidence(context, batch)
    _require_own(batch, evidence)
    is_longer = evidence.as_of > batch.as_of
    if batch.refit_version is not None or (is_longer and evidence.as_of == as_of):
        return Extension(evidence, str(batch.evidence_uri), is_longer, "This was done before.")
    require_registry(context)
    champion = context.registry.aliases.get_alias("champion")
    if champion != batch.champion_version:
        raise ConflictError(
            f"Expected version {batch.champion_version or 'none'} to be champion, since version "
            f"{batch.challenger_version} is compared with it, but it is {champion or 'none'} now: nothing was extended. "
            "The next run compares a new challenger with the new champion."
        )
    verdict = evaluation.reach_verdict(evidence).verdict
    if verdict != INSUFFICIENT:
        words = f"The evidence was enough for a verdict ({verdict}): the holdout stays as it is."
        return Extension(evidence, str(batch.evidence_uri), is_longer, words)
    if as_of <= evidence.as_of:
        raise InputError(
            f"Expected as_of after {evidence.as_of.isoformat()}, where the holdout of version {batch.challenger_version} "
            f"ends, got {as_of.isoformat()}: choose a later one."
        )
    return _judged_again(context, batch, evidence, as_of)


def _judged_again(context: Context, batch: Batch, before: Evidence, as_of: datetime) -> Extension:
    folder = context.folder(batch.batch_id)
    evidence = evaluation.evaluate(context, batch, folder, longer_holdout(context, batch, as_of), as_of)
    # Beside what it was, not over it: the verdict on the shorter holdout is in the ledger and rests on that.
    target = evidence.save(folder / f"evidence_through_{as_of:%Y%m%dT%H%M%S%f}")
    evaluation.log_evidence(context, batch, evidence, target)
    uri = kept_files.record_evidence(context, batch.batch_id, target)
    words = f"The holdout ended at {before.as_of.isoformat()}, it ends at {as_of.isoformat()} now."
    return Extension(evidence, uri, True, words)


def longer_holdout(context: Context, batch: Batch, as_of: datetime) -> TrainingSet:
    """The batch's frozen inputs, with the holdout read anew as of `as_of`; what was fitted on stays as it was."""
    import pandas as pd

    frozen = read_training_set(context, batch, context.folder(batch.batch_id))
    read = context.store.stream.read_training_set(as_of, batch.fit_through, batch.half_life_days).to_pandas()
    fitted = frozen.examples_through(batch.fit_through)
    later = read[read["split"] == "holdout"]
    return replace(frozen, examples=pd.concat([fitted, later.astype(fitted.dtypes)], ignore_index=True))


def _require_own(batch: Batch, evidence: Evidence) -> None:
    compared = (evidence.challenger_version, evidence.champion_version)
    if compared != (batch.challenger_version, batch.champion_version):
        raise ConflictError(
            f"Expected evidence of batch {batch.batch_id} on versions {batch.challenger_version} and "
            f"{batch.champion_version}, got it on {compared[0]} and {compared[1]}: run evaluate_challenger for the batch "
            "again."
        )
