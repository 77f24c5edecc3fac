"""Verdicts of the gate: what else they look at, how they are recorded, and what stands behind a version."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from recsys.errors import InputError
from recsys.pipeline.champion.aliases import audited_champion
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.evaluation import load_evidence, reach_verdict
from recsys.pipeline.retraining.model_card import write_card
from recsys.records import Batch, Decision

if TYPE_CHECKING:
    from recsys.evaluation.gate.decide import Verdict
    from recsys.evaluation.gate.evidence import Evidence


def superseding_champion(context: Context, batch: Batch, run_id: str) -> str | None:
    """The version that has become champion since the batch was compared with another one, if any.

    What a first try of the run saw counts: run again, it decides the same, also after its own promotion.
    """
    decided = context.store.audit.list_decisions(run_id=run_id, step="decide_promotion")
    if decided:
        return decided[0].numbers.get("superseded_by")
    champion = audited_champion(context)
    return None if champion in (batch.champion_version, batch.refit_version) else champion


def accepted_reason(context: Context, run_id: str) -> str | None:
    """Why a person wanted what this run evaluated on too little evidence; None if the evidence was enough."""
    decided = context.store.audit.list_decisions(run_id=run_id, step="decide_promotion")
    return decided[0].numbers.get("accepted_thin_evidence") if decided else None


def record_verdict(
    context: Context, batch: Batch, evidence: Evidence, verdict: Verdict, run_id: str, now: datetime
) -> Decision:
    """Writes a verdict into the ledger, on the challenger, and on its page.

    Args:
        context: stores and folders.
        batch: of the challenger.
        evidence: behind the verdict.
        verdict: the gate's.
        run_id: the run whose verdict it is.
        now: wall clock, for the record.
    """
    version = str(batch.challenger_version)
    numbers = {
        "model_version": version, "batch_id": batch.batch_id, "evidence_uri": batch.evidence_uri,
        "recipe": context.registry.versions.get_tags(version).get("recipe"), **verdict.numbers,
    }  # fmt: skip
    recorded = context.store.audit.record_decision(
        Decision(run_id, "decide_promotion", verdict.verdict, verdict.reasons, evidence.as_of, now, numbers)
    )
    context.registry.versions.set_tags(version, {"verdict": verdict.verdict})
    describe_verdict(context, batch, verdict)
    return recorded


def describe_verdict(context: Context, batch: Batch, verdict: Verdict) -> None:
    """Writes the card of the judged fit: on its page in the registry, and whole among its artifacts."""
    write_card(context, batch, "judged", str(batch.challenger_version), verdict, load_evidence(context, batch))


def newest_verdict(context: Context, batch: Batch) -> Verdict:
    """What the gate said last of the batch's challenger; what it would say now, where it has not been asked."""
    from recsys.evaluation.gate.decide import Verdict

    for decided in context.store.audit.list_decisions(step="decide_promotion"):
        if decided.numbers.get("model_version") == batch.challenger_version:
            outcome: Any = decided.verdict
            return Verdict(outcome, decided.reasons, decided.numbers, decided.numbers.get("claim", "unknown"))
    return reach_verdict(load_evidence(context, batch))


def batch_of_version(context: Context, model_version: str) -> Batch:
    """The batch that a version was fitted for, by the version's tags."""
    return context.store.backlog.get_batch(context.registry.versions.get_tags(model_version).get("batch_id", ""))


def passed_batch(context: Context, model_version: str, run_id: str) -> Batch:
    """The batch whose refit is `model_version`, if this run's recorded verdict on it is "promote".

    Raises:
        InputError: otherwise.
    """
    tags = context.registry.versions.get_tags(model_version)
    batch = batch_of_version(context, model_version)
    verdicts = [d for d in context.store.audit.list_decisions(run_id=run_id) if d.step == "decide_promotion"]
    passed = any(
        d.verdict == "promote" and d.numbers.get("model_version") == batch.challenger_version for d in verdicts
    )
    if batch.refit_version != model_version or not passed:
        raise InputError(
            f"Expected version {model_version} to be the refit of a challenger that passed the gate in run {run_id}, "
            f"got fit {tags.get('fit')!r} of batch {batch.batch_id}, verdicts {[d.verdict for d in verdicts]}: run "
            "decide_promotion and refit_challenger first."
        )
    return batch
