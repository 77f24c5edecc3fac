"""Opinions of earlier verdicts on the same champion: one holdout holds few dislikes, a week of them holds more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from recsys.errors import InputError
from recsys.pipeline.context import Context
from recsys.pipeline.retraining.recipes import current_recipe
from recsys.records import Batch, Decision

if TYPE_CHECKING:
    import pandas as pd

    from recsys.evaluation.gate.evidence import Evidence

STEP = "decide_promotion"


@dataclass(frozen=True)
class Pool:
    """The opinions that a verdict looks at; the fields are those of `Evidence`."""

    opinions: pd.DataFrame
    pooled_from: list[dict[str, Any]] = field(default_factory=list)
    not_pooled: list[str] = field(default_factory=list)


def pool_opinions(
    context: Context, batch: Batch, own: pd.DataFrame, as_of: datetime, load: Callable[[Batch, Decision], Evidence]
) -> Pool:
    """The batch's own opinions and those that earlier verdicts on the same champion saw within `GateConfig.exposure_days`.

    Only challengers of the same recipe are pooled: what another recipe listed says nothing of this one. A user who was
    erased since is left out; so is evidence that is gone, and that is said.

    Args:
        context: stores and folders.
        batch: what is evaluated.
        own: see `opinions.opinions_of`, with `recorded_at`; users by their pseudonyms, as in all evidence.
        as_of: end of its holdout, on the stream's clock.
        load: reads the evidence of a batch that a decision rests on; raises an `InputError` if it cannot.
    """
    from recsys.evaluation.gate.config import GateConfig
    from recsys.evaluation.gate.opinions import pooled

    own, since = own.assign(batch_id=batch.batch_id), as_of - timedelta(days=GateConfig.exposure_days)
    earlier: list[pd.DataFrame] = []
    times: dict[str, datetime] = {}
    missing: list[str] = []
    for other, decision in _earlier_verdicts(context, batch, since, as_of):
        try:
            evidence = load(other, decision)
            opinions = evidence.own_opinions[list(own)]
        except (InputError, KeyError):
            missing.append(
                f"The evidence of run {other.batch_id}, an earlier verdict on the same champion, is gone or cannot be read: "
                f"its opinions of the days up to {decision.as_of:%Y-%m-%d %H:%M} UTC are left out."
            )
            continue
        earlier.append(_without_erased(context, opinions))
        times[other.batch_id] = evidence.as_of
    opinions = pooled(own, earlier, since)
    counts = opinions["batch_id"].value_counts()
    sources = [
        {"batch_id": name, "as_of": at.isoformat(), "num_opinions": int(counts[name])}
        for name, at in times.items()
        if name in counts
    ]
    return Pool(opinions, sources, missing)


def _earlier_verdicts(
    context: Context, batch: Batch, since: datetime, as_of: datetime
) -> Iterator[tuple[Batch, Decision]]:
    """The last verdict on each other challenger of the recipe beside the champion, by the end of its holdout, newest first."""
    recipe = current_recipe(batch)
    decided = [
        one
        for one in context.store.audit.list_decisions(limit=None, step=STEP)
        if since < one.as_of <= as_of and one.numbers.get("recipe") == recipe
    ]
    done = {batch.batch_id}
    for one in sorted(decided, key=lambda d: (d.as_of, d.decision_id or 0), reverse=True):
        if one.numbers["batch_id"] in done:
            continue
        done.add(one.numbers["batch_id"])
        other = context.store.backlog.get_batch(one.numbers["batch_id"])
        if other.champion_version == batch.champion_version:
            yield other, one


def _without_erased(context: Context, opinions: pd.DataFrame) -> pd.DataFrame:
    """Evidence is not rewritten when a user is erased; nothing of theirs goes into new evidence."""
    erased = context.store.erasures.erased_hashes()
    return opinions[~opinions["user_id"].isin(erased)] if erased else opinions
