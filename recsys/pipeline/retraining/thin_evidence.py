"""A challenger with too few users in its holdout: when there are enough, a run evaluates anew, whatever the backlog is."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from recsys.pipeline.champion.aliases import audited_champion, champion_cut_off
from recsys.pipeline.context import Context
from recsys.records import Decision

STEP, INSUFFICIENT = "decide_promotion", "insufficient_evidence"
MANY = 1.1  # times the users that a verdict takes: of some, the like was taken back


def enough_now(
    context: Context, as_of: datetime, holdout_begin: Callable[[datetime | None], datetime | None]
) -> str | None:
    """Why a run should evaluate anew: the holdout of the last refresh had too few users, a new one has enough.

    The dislikes behind that refresh count as used, so the backlog alone might never ask for another run. This asks once:
    the verdict of the run that follows is not that there are too few users, unless some of them take their likes back.

    Args:
        context: stores and folders.
        as_of: cut-off of the run.
        holdout_begin: where the run's holdout would begin, from what the champion was trained through.
    """
    from recsys.evaluation.gate.config import GateConfig
    from recsys.model.eligible_items import barred_items, catalog_frame

    waiting = _waiting(context)
    if waiting is None:
        return None
    num_users = math.ceil(MANY * GateConfig.min_refresh_users)
    champion = str(audited_champion(context))
    begin = holdout_begin(champion_cut_off(context, champion))
    if begin is None:
        return None
    barred = barred_items(
        catalog_frame(context.store.catalog.all_items().values()),
        context.store.catalog.rule_of_version(champion),
        begin,
    )
    if context.store.stream.holdout_begin(begin, as_of, num_users, barred) is None:
        return None
    return (
        f"Version {waiting.numbers.get('model_version')} could not be evaluated, with too few users; since then at least "
        f"{num_users} users have liked something that neither the champion nor a new challenger has seen: enough for a refresh."
    )


def _waiting(context: Context) -> Decision | None:
    """The last verdict, if it was on a refresh of today's champion that had too few users."""
    from recsys.evaluation.gate.config import GateConfig

    for last in context.store.audit.list_decisions(limit=1, step=STEP):
        numbers = last.numbers
        is_thin = last.verdict == INSUFFICIENT and numbers.get("num_users", 0) < GateConfig.min_refresh_users
        if not is_thin or numbers.get("kind") != "refresh" or "superseded_by" in numbers:
            return None
        return (
            last
            if context.store.backlog.get_batch(numbers["batch_id"]).champion_version == audited_champion(context)
            else None
        )
    return None
