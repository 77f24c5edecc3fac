"""The steps of `champion_rollback`, and the daily look whether the registry is as the audit says."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from recsys.errors import ConflictError
from recsys.pipeline.champion import registry_check
from recsys.pipeline.champion.rollback import RollbackRequest, roll_back
from recsys.pipeline.context import Context
from recsys.pipeline.step import step
from recsys.times import parse_zoned_time


@step
def rollback(
    run_id: str, reason: str, now: datetime | str, model_version: str | None = None, requested_by: str | None = None
) -> dict[str, Any]:
    """Makes an earlier champion champion again. The audit row is written first, so a crash can be resumed.

    Args:
        run_id: names the rollback; the same one again finds what the first try did.
        reason: for the audit.
        now: wall clock, for the audit row.
        model_version: must have been champion and be in the registry; None: the previous champion.
        requested_by: who wants it, if that is known.

    Raises:
        InputError: if the version was never champion, or there is none to go back to.
        NotFoundError: if the version was deleted from the registry.
        ConflictError: if a promotion or another rollback came first.
    """
    with Context.open() as context:
        request = RollbackRequest(run_id, reason, model_version, requested_by)
        done = roll_back(context, request, parse_zoned_time(now))
        return {
            "from_version": done.from_version,
            "to_version": done.to_version,
            "sequence": done.sequence,
            "reason": done.reason,
            "link": context.registry.link(done.to_version),
        }


@step
def check_registry(now: datetime | str, repair: bool = False) -> dict[str, Any]:
    """Compares the registry with the audit of champions, and repairs what differs if asked to.

    Raises:
        ConflictError: if something is not as the audit says and was not repaired; the message says what, and what to do.
    """
    with Context.open() as context:
        findings = registry_check.check_registry(context, parse_zoned_time(now), repairs=repair)
    left = [finding.message for finding in findings if not finding.is_repaired]
    if left:
        raise ConflictError(f"Expected the registry as the audit has it, but: {' '.join(left)}")
    return {"findings": [asdict(finding) for finding in findings]}
