"""A person's answer between the gate's verdict and the promotion, where one was asked for.

The question and its answer are one entry of the decision ledger, step `await_approval`: pending, then approve or reject.
It holds for the version, whichever run would promote it. What passed although there was too little evidence takes an answer
in any case, and one to that very run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.foreign_text import in_markdown
from recsys.pipeline.champion.aliases import audited_champion
from recsys.pipeline.context import Context
from recsys.pipeline.promotion.verdicts import accepted_reason, passed_batch
from recsys.pipeline.retraining.evaluation import as_decided, load_evidence
from recsys.records import Batch, Decision

STEP = "await_approval"
PENDING, APPROVE, REJECT = "pending", "approve", "reject"


@dataclass(frozen=True)
class Answer:
    """Who let a version pass, and when."""

    answered_by: str | None
    answered_at: datetime


def find_request(context: Context, model_version: str) -> Decision | None:
    """The newest question about a version, answered or not."""
    asked = context.store.audit.list_decisions(limit=None, step=STEP)
    return next((one for one in asked if one.numbers.get("model_version") == model_version), None)


def get_request(context: Context, model_version: str) -> Decision:
    """The newest question about a version.

    Raises:
        NotFoundError: if nobody was asked about it.
    """
    found = find_request(context, model_version)
    if found is None:
        raise NotFoundError(
            f"Expected a version that waits for a person's answer, got {model_version}: trigger model_promotion with "
            "needs_approval, which asks about the refit of the challenger that it names."
        )
    return found


def ask(context: Context, model_version: str, run_id: str, now: datetime) -> Batch:
    """Writes that a version waits for an answer; one that the run has already on the same version stays.

    Raises:
        InputError: if no verdict "promote" of this run stands behind the version.
    """
    batch = passed_batch(context, model_version, run_id)
    asked = context.store.audit.list_decisions(run_id=run_id, step=STEP)
    if not any(one.numbers["model_version"] == model_version for one in asked):
        numbers = {
            "model_version": model_version, "judged_version": batch.challenger_version, "batch_id": batch.batch_id,
        }  # fmt: skip
        accepted = accepted_reason(context, run_id)
        passed = (
            "passed the gate"
            if accepted is None
            else f'was evaluated on too little evidence, accepted for "{accepted}",'
        )
        reason = f"Version {model_version} {passed} as version {batch.challenger_version} and waits for an answer."
        context.store.audit.record_decision(Decision(run_id, STEP, PENDING, (reason,), batch.as_of, now, numbers))
    return batch


def answer(context: Context, asked: Decision, verdict: str, by: str | None, at: datetime) -> Decision:
    """Writes a person's answer over the question; `by` None: nobody answered in time.

    Raises:
        InputError: if the answer is neither approve nor reject, or nobody approved.
        ConflictError: if the version was promoted already.
    """
    version = asked.numbers["model_version"]
    if verdict not in {APPROVE, REJECT} or (by is None and verdict == APPROVE):
        raise InputError(f"Expected {APPROVE} or {REJECT}, and a name with the first, got {verdict!r} by {by!r}.")
    if verdict == REJECT and any(row.to_version == version for row in context.store.audit.list_promotions()):
        raise ConflictError(
            f"Expected an answer before version {version} is promoted, but it was promoted already: `recsys rollback` makes "
            "an earlier champion champion."
        )
    said = "approved" if verdict == APPROVE else "rejected"
    reason = f"{said.capitalize()} by {by}." if by else "Nobody answered in time, which means rejected."
    numbers = {**asked.numbers, "answered_by": by, "answered_at": at.isoformat()}
    return context.store.audit.record_decision(
        replace(asked, verdict=verdict, reasons=(f"Version {version}: {reason}",), recorded_at=at, numbers=numbers)
    )


def require_approval(context: Context, model_version: str, of_run: str | None = None) -> Answer | None:
    """The answer that lets a version pass; None if nobody was asked about it.

    Args:
        context: stores and folders.
        model_version: a refit.
        of_run: a person must have been asked in this run; None: only if anybody was asked.

    Raises:
        ConflictError: if the question is open, the answer was no, or nobody was asked who had to be.
    """
    asked = find_request(context, model_version)
    if of_run is not None and (asked is None or asked.run_id != of_run):
        raise ConflictError(
            f"Expected a person's approval of version {model_version}, since too little evidence was accepted in run "
            f"{of_run}, but nobody was asked: nothing was promoted. Trigger model_promotion with accept_thin_evidence, or run "
            "`recsys promote`: both ask for it."
        )
    if asked is None:
        return None
    if asked.verdict != APPROVE:
        state = "waits for an answer" if asked.verdict == PENDING else f"was rejected by {_who(asked)}"
        raise ConflictError(
            f"Expected version {model_version} to be approved, but it {state}: nothing was promoted. A person can answer in "
            "Airflow, in the run of champion_approval that asks about it; trigger that DAG to ask again."
        )
    return Answer(asked.numbers["answered_by"], datetime.fromisoformat(asked.numbers["answered_at"]))


def _who(answered: Decision) -> str:
    return str(answered.numbers.get("answered_by") or "nobody answering in time")


def describe_request(context: Context, asked: Decision) -> str:
    """Markdown for whoever answers: what would change, the verdict with its numbers, and where more is."""
    from recsys.evaluation.gate.decide import Verdict
    from recsys.evaluation.reporting.plots import verdict_markdown

    batch = context.store.backlog.get_batch(asked.numbers["batch_id"])
    (decided,) = context.store.audit.list_decisions(run_id=asked.run_id, step="decide_promotion")
    verdict = Verdict("promote", decided.reasons, decided.numbers, decided.numbers.get("claim", "unknown"))
    version, champion = asked.numbers["model_version"], audited_champion(context)
    lines = [f"Version **{version}** would become champion instead of version **{champion or 'none'}**."]
    if champion != batch.champion_version:
        lines.append(
            f"**The champion has changed** since the gate compared with version {batch.champion_version or 'none'}: an "
            "approval will be refused. The next run compares with the new champion."
        )
    if accepted := accepted_reason(context, asked.run_id):
        lines.append(
            f"**There is too little evidence for the gate.** It was asked to accept that: {in_markdown(accepted)}"
        )
    lines.append(f"It is the refit of version {batch.challenger_version}, which the gate evaluated:")
    lines.append(verdict_markdown(verdict, load_evidence(context, as_decided(batch, decided))))
    lines.append(f"More about it in MLflow: {context.registry.link(version)}")
    return "\n\n".join(lines)
