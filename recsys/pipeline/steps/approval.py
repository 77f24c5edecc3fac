"""The steps of `champion_approval`: a person is asked before a version that passed the gate is promoted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.pipeline.context import Context
from recsys.pipeline.promotion import approval
from recsys.pipeline.step import step
from recsys.times import parse_zoned_time


@step
def request_approval(model_version: str, run_id: str, now: datetime | str) -> dict[str, Any]:
    """Notes that a refit waits for a person's answer; until there is one, it cannot be promoted.

    Args:
        model_version: the refit of a challenger that passed the gate in this run.
        run_id: names the run whose recorded verdict allows the promotion.
        now: wall clock, for the record.
    """
    with Context.open() as context:
        batch = approval.ask(context, model_version, run_id, parse_zoned_time(now))
        return {"model_version": model_version, "as_of": batch.as_of.isoformat()}


@step
def show_verdict(model_version: str) -> dict[str, Any]:
    """What a person is shown of a version that waits: subject and markdown; and the run that it comes from."""
    with Context.open() as context:
        asked = approval.get_request(context, model_version)
        return {
            "model_version": model_version,
            "run_id": asked.run_id,
            "as_of": asked.as_of.isoformat(),
            "subject": f"Shall version {model_version} become champion?",
            "markdown": approval.describe_request(context, asked),
            "link": context.registry.link(model_version),
        }


@step
def record_answer(
    model_version: str, answer: str, answered_by: str | None, answered_at: datetime | str
) -> dict[str, Any]:
    """Writes the answer into the decision ledger, from where `promote` takes it.

    Args:
        model_version: the refit that was asked about.
        answer: approve or reject, in any case of letters.
        answered_by: who; None if nobody did in time.
        answered_at: when.
    """
    with Context.open() as context:
        asked = approval.get_request(context, model_version)
        decided = approval.answer(context, asked, answer.lower(), answered_by, parse_zoned_time(answered_at))
    return {"verdict": decided.verdict, "reasons": list(decided.reasons), "model_version": model_version}
