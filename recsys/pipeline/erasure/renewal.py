"""Makes again what was made of a frozen set that held a user who was erased: challenger, evidence, verdict.

Each function does what is missing of a batch whose set was frozen anew (see `recsys.pipeline.erasure.refreezing`), and leaves
every other batch alone: what is missing there, a step has not done yet.
"""

from __future__ import annotations

from recsys.errors import ConflictError, NotFoundError
from recsys.pipeline.context import Context
from recsys.pipeline.promotion import refit, verdict_audit, verdicts
from recsys.pipeline.retraining import evaluation, fits, frozen_sets, recipes, trials
from recsys.records import Batch, Decision

GATE, PROMOTE = "decide_promotion", "promote"


def batch_of(context: Context, model_version: str) -> Batch:
    """The batch of a challenger or of its refit, also of one that was made again since.

    Raises:
        NotFoundError: if there is none.
    """
    try:
        return context.store.backlog.find_batch_by_version(model_version)
    except NotFoundError:
        for decided in context.store.audit.list_decisions(limit=None, step=frozen_sets.REFREEZING):
            if _names(decided, model_version):
                return context.store.backlog.get_batch(decided.run_id)
        raise


def was_of(context: Context, batch: Batch, model_version: str) -> bool:
    """Whether a version was made of a set of the batch that was frozen anew since."""
    decided = context.store.audit.list_decisions(limit=1, run_id=batch.batch_id, step=frozen_sets.REFREEZING)
    return any(_names(one, model_version) for one in decided)


def _names(decided: Decision, model_version: str) -> bool:
    return any(model_version in change["model_versions"] for change in decided.numbers["changes"])


def with_challenger(context: Context, batch: Batch) -> Batch:
    """The batch with a challenger that was fitted on its new set, after its data checks.

    Raises:
        DataCheckError: if the new set fails them.
    """
    version = batch.challenger_version
    if not frozen_sets.was_frozen_anew(context, batch) or (version and not was_of(context, batch, version)):
        return batch
    if batch.data_docs_uri is None:
        batch = frozen_sets.check_batch(context, batch)[0]
    for name in recipes.candidate_names(batch):
        trials.try_and_record(context, batch, name)
    version = fits.train(context, batch, fit_name="judged")
    context.registry.aliases.set_alias("challenger", version)
    return context.store.backlog.update_batch(batch.batch_id, challenger_version=version)


def with_evidence(context: Context, batch: Batch) -> Batch:
    """The batch with evidence on that challenger. What an extended holdout added is not read again."""
    batch = with_challenger(context, batch)
    if batch.evidence_uri is not None or not frozen_sets.was_frozen_anew(context, batch):
        return batch
    return evaluation.evaluate_batch(context, batch)[0]


def with_verdict(context: Context, batch: Batch) -> Batch:
    """The batch, whose new challenger the gate has let pass, where it let the one before.

    A new verdict replaces that of the same run, with the same thresholds and whatever a person accepted.

    Raises:
        ConflictError: if it does not pass: then it is not refitted.
    """
    batch = with_evidence(context, batch)
    decided = [one for one in context.store.audit.list_decisions(limit=None, step=GATE) if _is_of(one, batch)]
    if not decided or not frozen_sets.was_frozen_anew(context, batch):
        return batch
    version = batch.challenger_version
    found = [
        one if one.numbers.get("model_version") == version else _decide_again(context, batch, one)
        for one in decided
        if one.verdict == PROMOTE or one.numbers.get("model_version") == version
    ]
    if any(one.verdict == PROMOTE for one in found):
        return batch
    said = " ".join(found[0].reasons) if found else "Nobody let the one before pass."
    raise ConflictError(
        f"Expected version {version}, trained again after users were erased, to pass the gate, but it did not: {said} "
        "Nothing was promoted; the next run trains a new challenger."
    )


def with_refit(context: Context, batch: Batch) -> Batch:
    """The batch with a refit of its challenger, whether its set was frozen anew or not.

    Raises:
        DataCheckError: if the refit fails its behaviour tests.
        ConflictError: if the recipe has changed, or a challenger that was trained again does not pass the gate.
    """
    batch = with_verdict(context, batch)
    if batch.refit_version is not None:
        return batch
    version = refit.refit(context, batch)
    return context.store.backlog.update_batch(batch.batch_id, refit_version=version)


def _is_of(decided: Decision, batch: Batch) -> bool:
    return bool(decided.numbers.get("batch_id") == batch.batch_id)


def _decide_again(context: Context, batch: Batch, decided: Decision) -> Decision:
    """The time of the record is that of the set that was frozen anew, since no step that refits is given one."""
    from recsys.evaluation.gate.decide import decide

    evidence = evaluation.load_evidence(context, batch)
    people_said = (decided.numbers.get(name) for name in ("superseded_by", "accepted_thin_evidence"))
    verdict = decide(evidence, verdict_audit.gate_config(decided.numbers), *people_said)
    (frozen,) = context.store.audit.list_decisions(run_id=batch.batch_id, step=frozen_sets.REFREEZING)
    return verdicts.record_verdict(context, batch, evidence, verdict, decided.run_id, frozen.recorded_at)
