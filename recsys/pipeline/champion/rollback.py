"""Making an earlier champion champion again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime

from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.pipeline.champion.aliases import finish_promotion, move_aliases
from recsys.pipeline.champion.lineage import champion_line, past_champions
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import require_recommender
from recsys.records import Promotion, PromotionKind


@dataclass(frozen=True)
class RollbackRequest:
    """What a person wants.

    Attributes:
        run_id: names the rollback; the same one again finds what the first try did.
        reason: for the audit.
        version: an earlier champion; None: the previous one.
        requested_by: who wants it, if that is known.
    """

    run_id: str
    reason: str
    version: str | None = None
    requested_by: str | None = None


def plan_rollback(context: Context, version: str | None) -> tuple[Promotion, str]:
    """The newest audit row, and the version that would become champion; writes nothing.

    Raises:
        InputError: if there is no champion, no earlier one, or the version was never champion, or is.
        NotFoundError: if the version was deleted from the registry.
    """
    promotions = context.store.audit.list_promotions()
    if not promotions:
        raise InputError("Expected a champion to roll back from, found none: nothing was ever promoted.")
    last, line = promotions[-1], champion_line(promotions)
    if version is None:
        return last, _previous(context, last)
    past = sorted({row.to_version for row in past_champions(promotions)} - {last.to_version}, key=int)
    known = f"these were, and are in the registry: {', '.join(filter(context.registry.versions.has_version, past)) or 'none'}"
    if version == line.champion:
        raise InputError(f"Expected an earlier champion, but version {version} is champion now: {known}.")
    if version not in past:
        raise InputError(f"Expected a version that was champion before, got version {version}: {known}.")
    if not context.registry.versions.has_version(version):
        raise NotFoundError(f"Expected version {version} in the registry, but it was deleted there: {known}.")
    return last, version


def _previous(context: Context, last: Promotion) -> str:
    if last.kind is PromotionKind.ROLLBACK:
        raise InputError(
            f"Expected the version to roll back to, since version {last.to_version} is champion by a rollback already "
            f"({last.reason}): name an earlier one, `recsys models` shows them. To publish its lists again, name it itself."
        )
    found = champion_line(context.store.audit.list_promotions()).previous(context.registry.versions.has_version)
    if found is None:
        raise InputError(
            f"Expected a champion before version {last.to_version}, found none in the registry: `recsys models` shows what "
            "there is."
        )
    return found


def roll_back(context: Context, request: RollbackRequest, now: datetime) -> Promotion:
    """Writes the audit row, then moves the aliases; a crash in between is finished by whoever comes next.

    Returns:
        The row of the rollback. Called again for a version that is champion by a rollback, the row that is there.

    Raises:
        InputError: see `plan_rollback`; or if there is no reason.
        NotFoundError: if the version was deleted from the registry.
        DigestError: if its model is not the one that was registered: then another version has to be named.
        ConflictError: if a promotion or another rollback came first: then look who is champion, and decide anew.
    """
    if len(request.reason.strip()) < 3:
        raise InputError(f"Expected a reason for the audit, got {request.reason!r}.")
    with contextlib.suppress(NotFoundError):  # one whose version was deleted can never be finished, only left behind
        finish_promotion(context, now)
    promotions = context.store.audit.list_promotions()
    if any(row.run_id == request.run_id for row in promotions[:-1]):
        raise ConflictError(f"Expected a new rollback, but {request.run_id} did one, and another promotion followed.")
    if promotions and _is_done(promotions[-1], request):
        return promotions[-1]
    last, version = plan_rollback(context, request.version)
    require_recommender(context, version)
    context.store.audit.begin_promotion(
        Promotion(
            last.sequence + 1, request.run_id, last.to_version, version, request.reason.strip(), now, is_complete=False,
            kind=PromotionKind.ROLLBACK, approved_by=request.requested_by, approved_at=now,
        )
    )  # fmt: skip
    done = move_aliases(context, now)
    if done is None or done.run_id != request.run_id:
        raise ConflictError(f"Expected the rollback to version {version} to be the newest change, got {done}.")
    return done


def _is_done(last: Promotion, request: RollbackRequest) -> bool:
    if last.kind is not PromotionKind.ROLLBACK:
        return False
    return last.run_id == request.run_id or last.to_version == request.version
