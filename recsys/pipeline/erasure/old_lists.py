"""Which lists are kept: those of the champion, of the version that a rollback leads to, and whatever anybody was shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.pipeline.champion.lineage import champion_line
from recsys.pipeline.context import Context
from recsys.times import days_long


def versions_with_lists(context: Context) -> tuple[str, ...]:
    """Versions whose current lists are kept: the champion, the previous champion, and the version that is served.

    The last one is another one as long as a new champion has no lists yet.
    """
    line = champion_line(context.store.audit.list_promotions()).versions[-2:]
    served = context.store.lists.served_publication()
    return tuple(dict.fromkeys((*line, *(() if served is None else (served.model_version,)))))


def delete_retired_lists(context: Context, now: datetime) -> int:
    """Deletes lists of retired versions that nobody was shown, and returns how many: new lists take their space."""
    context.store.lists.withdraw_lists(versions_with_lists(context), now)
    return context.store.lists.delete_unseen_lists()


def prune_lists(context: Context, now: datetime, keep_days: float, *, dry_run: bool = False) -> dict[str, Any]:
    """Deletes old lists that are not served any more and that nobody was shown; the same again finds none.

    Kept are the current lists of `versions_with_lists`, and every list that an exposure or a dislike refers to.

    Args:
        context: where to.
        now: ages are counted up to here, on the clock of the machine that wrote the lists.
        keep_days: lists that are not older than so many days are kept, >= 0.
        dry_run: counts, and deletes nothing.

    Returns:
        `num_lists` that were (or would be) deleted, `kept_versions`, `dry_run`, and `summary` in words.

    Raises:
        InputError: if `keep_days` is not from 0 to 36,500.
    """
    made_before, kept = now - days_long(keep_days, "keep_lists_days"), versions_with_lists(context)
    if dry_run:
        num_lists = len(context.store.lists.unseen_lists(kept, made_before))
    else:
        context.store.lists.withdraw_lists(kept, now)
        num_lists = context.store.lists.delete_unseen_lists(made_before)
        context.store.lists.give_pages_back()
    which = f"{num_lists} lists that are older than {keep_days:g} days, are not served and were never shown"
    return {
        "num_lists": num_lists,
        "kept_versions": list(kept),
        "dry_run": dry_run,
        "summary": f"Would delete {which}; nothing was deleted." if dry_run else f"Deleted {which}.",
    }
