"""Whether a run retrains, and what it works on: cut-offs, champion to beat, half-life."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError, NotFoundError
from recsys.feedback.triggers import BACKLOG, TriggerReport, evaluate_triggers, new_dislikes
from recsys.pipeline.champion.aliases import audited_champion, champion_cut_off, current_champion, past_promotion
from recsys.pipeline.context import Context
from recsys.pipeline.monitoring.drift import last_drift
from recsys.pipeline.retraining import recipes, trials
from recsys.pipeline.retraining.thin_evidence import MANY, enough_now
from recsys.records import Batch, BatchStatus, Decision
from recsys.store import FeedbackStore
from recsys.store.brigading import FlaggedBurst
from recsys.training.families.registry import find_family

LEASE = timedelta(hours=6)  # longer than the DAG's time limit: an older open batch belongs to a run that died
HOLDOUT_SHARE = 0.5  # of the events since the champion; of all events at most, while there is none
FIRST_HOLDOUT_SHARE = 0.1  # of all events, while there is no champion and they hold enough users to evaluate by
SPAN_SHARE = 0.25  # default half-life: this share of the stream's length


@dataclass(frozen=True)
class BacklogDecision:
    """Whether to retrain, and why.

    Attributes:
        retrain: the decision.
        reason: in plain words.
        backlog: new dislikes as of the cut-off.
        threshold: of the trigger that counts them.
        triggers: what every trigger reported.
        held_back: bursts that look like brigading; their dislikes neither count nor train.
    """

    retrain: bool
    reason: str
    backlog: int
    threshold: int
    triggers: tuple[TriggerReport, ...]
    held_back: tuple[FlaggedBurst, ...] = ()

    @property
    def numbers(self) -> dict[str, Any]:
        """For the ledger: JSON-able."""
        reports = {report.name: report.as_dict() for report in self.triggers}
        bursts = [burst.as_dict() for burst in self.held_back]
        return {"backlog": self.backlog, "threshold": self.threshold, "triggers": reports, "held_back": bursts}


def own_batch(context: Context, run_id: str) -> Batch | None:
    """The batch that this run claimed before and did not lose: then it goes on with it, whatever the backlog is now."""
    try:
        batch = context.store.backlog.get_batch(run_id)
    except NotFoundError:
        return None
    return None if batch.status == BatchStatus.RELEASED else batch


def has_decided(context: Context, run_id: str, step: str, verdict: str) -> bool:
    """Whether the ledger has this verdict of this run's step already, or the run went on from it."""
    verdicts = [d.verdict for d in context.store.audit.list_decisions(run_id=run_id) if d.step == step]
    return verdict in verdicts or (bool(verdicts) and own_batch(context, run_id) is not None)


def release_expired(context: Context, run_id: str, now: datetime) -> None:
    """Gives back what a run that died still holds, once its lease is over: it counts as backlog again."""
    holder = context.store.backlog.find_open_batch()
    if holder is not None and holder.batch_id != run_id and holder.lease_expires_at < now:
        context.store.backlog.release_batch(holder.batch_id, now)


def backlog_decision(context: Context, run_id: str, as_of: datetime, config: RunConfig) -> BacklogDecision:
    """Retrain when a trigger fires as of the cut-off, when forced, or when the run goes on with its own batch."""
    drift = last_drift(context, run_id, as_of)
    evidence = replace(context.store.backlog.backlog_evidence(as_of), drift=drift)
    reports = evaluate_triggers(evidence, config.triggers)
    retrain, reason = _retrain(context, run_id, evidence.num_examples, config, reports)
    if not retrain and past_promotion(context, run_id) is None:
        waiting = enough_now(context, as_of, lambda through: _later_half(context.store, through, as_of))
        retrain, reason = waiting is not None, " ".join(filter(None, (reason, waiting)))
    held_back = tuple(
        burst for burst in context.store.brigading.list_bursts() if burst.num_held_back and burst.ends_at <= as_of
    )
    if held_back:
        reason += " " + _held_back(held_back)
    holder = context.store.backlog.find_open_batch()
    if not retrain and holder is not None and holder.batch_id != run_id:
        other = holder.batch_id
        reason += (
            f" Run {other} holds {holder.num_examples:,} more since {holder.claimed_at:%Y-%m-%d %H:%M} UTC. If it died: "
            f"`recsys run --run-id {other}` goes on with it, `recsys release {other}` gives them back."
        )
    return BacklogDecision(retrain, reason, evidence.num_examples, config.triggers.threshold, reports, held_back)


def _held_back(bursts: tuple[FlaggedBurst, ...]) -> str:
    count = sum(burst.num_held_back for burst in bursts)
    items = ", ".join(sorted({burst.item_id for burst in bursts}))
    held = (
        "1 dislike that looks like brigading is" if count == 1 else f"{count:,} dislikes that look like brigading are"
    )
    return f"{held} held back, of {items}: `recsys brigading list` shows them."


def _retrain(
    context: Context, run_id: str, backlog: int, config: RunConfig, reports: tuple[TriggerReport, ...]
) -> tuple[bool, str]:
    threshold = config.triggers.threshold
    counted = f"{new_dislikes(backlog)}, threshold {threshold}"
    if past := past_promotion(context, run_id):
        return False, (
            f"This run ended with the promotion of version {past.to_version}, and a later one, or a rollback, followed: "
            "nothing to do."
        )
    if own_batch(context, run_id) is not None:
        return True, f"This run had claimed its batch before and goes on with it ({counted} now)."
    fired = [report for report in reports if report.fired]
    if any(report.name == BACKLOG for report in fired):
        return True, f"{counted}: enough to retrain."
    if fired:
        return True, f"{counted}, but another trigger fired. {' '.join(report.reason for report in fired)}"
    if config.force_reason:
        return True, f"Forced: {config.force_reason} ({counted})."
    if backlog >= threshold:
        return False, f"{counted}: enough to retrain, but this trigger is switched off, and no other fired."
    missing = threshold - backlog
    return False, f"{counted}: not enough to retrain, {missing} more {'is' if missing == 1 else 'are'} needed."


def record_backlog_decision(
    context: Context, run_id: str, decision: BacklogDecision, as_of: datetime, now: datetime
) -> None:
    """Writes a decision to the ledger, unless an earlier try of the run did.

    Run again, a step finds what came of the first try; the numbers that the first one saw are the ones that count.
    """
    verdict = "retrain" if decision.retrain else "skip"
    if not has_decided(context, run_id, "check_backlog", verdict):
        context.store.audit.record_decision(
            Decision(run_id, "check_backlog", verdict, (decision.reason,), as_of, now, decision.numbers)
        )


def plan_batch(
    context: Context, run_id: str, as_of: datetime, now: datetime, config: RunConfig, *, writes: bool = True
) -> Batch:
    """Freezes what a run works on: cut-off, where the holdout begins, the champion to beat, the half-life.

    `writes` False leaves a promotion that was interrupted as it is, where a run would finish it first.

    Raises:
        InputError: if a family is unknown, there is nothing recorded up to `as_of`, or the champion has already seen later
            events.
        TransientError: if the registry is away.
    """
    families = recipes.chosen_families(config.families)
    first_recorded_at, last_recorded_at = require_stream(context, as_of)
    # Ages count from the newest event, not from a clock that may be years ahead of an imported stream: then every weight
    # would be next to nothing. The rows are the same.
    as_of = min(as_of, last_recorded_at)
    context.registry.aliases.all_aliases()  # a registry that is away is found out now, not after everything is trained
    champion = current_champion(context, now) if writes else audited_champion(context)
    through = champion_cut_off(context, champion)
    if through is not None and through > as_of:
        raise InputError(
            f"Expected as_of after {through.isoformat()}, which champion version {champion} was trained through, got "
            f"{as_of.isoformat()}: no earlier events can evaluate it fairly."
        )
    rule = config.eligible
    if rule is None:
        rule = EligibilityRule() if champion is None else context.store.catalog.rule_of_version(champion)
    fit_through = _fit_through(context.store, through, as_of, rule) or as_of
    span_days = (last_recorded_at - first_recorded_at).total_seconds() / 86_400
    return Batch(
        batch_id=run_id, as_of=as_of, fit_through=fit_through, champion_version=champion, status=BatchStatus.CLAIMED,
        num_examples=0, config=replace(config, families=families), claimed_at=now, lease_expires_at=now + LEASE,
        planned_half_life_days=config.half_life_days or max(1.0, round(SPAN_SHARE * span_days, 3)), rule=rule,
        kept_trial=_trial_of(context, champion) if config.keep_candidate else None,
    )  # fmt: skip


def _fit_through(
    store: FeedbackStore, champion_through: datetime | None, as_of: datetime, rule: EligibilityRule
) -> datetime | None:
    """Where the holdout begins; None if there is nothing to divide.

    A first champion has all events to be evaluated by. On a stream of few users a tenth of them would be no evidence, and the
    loop could never begin: so the holdout is as long as it takes to hold enough users, half of the events at most.
    """
    from recsys.evaluation.gate.config import GateConfig
    from recsys.model.eligible_items import barred_items, catalog_frame

    half = _later_half(store, champion_through, as_of)
    if champion_through is not None or half is None:
        return half
    tenth = store.stream.recorded_at_quantile(None, as_of, 1.0 - FIRST_HOLDOUT_SHARE) or half
    catalog = catalog_frame(store.catalog.all_items().values())
    barred = barred_items(catalog, rule, half) | barred_items(catalog, rule, as_of)  # it begins somewhere in between
    enough = store.stream.holdout_begin(None, as_of, math.ceil(MANY * GateConfig.min_users), barred) or half
    return max(half, min(tenth, enough))


def _later_half(store: FeedbackStore, after: datetime | None, as_of: datetime) -> datetime | None:
    """Where the later half of what was recorded in (`after`, `as_of`] begins; None if nothing was."""
    return store.stream.recorded_at_quantile(after, as_of, 1.0 - HOLDOUT_SHARE)


def _trial_of(context: Context, champion: str | None) -> dict[str, Any] | None:
    """What the champion's run measured of the candidate that won, and what is to be kept of the champion's fit.

    None without a champion, or where its files are gone.

    Raises:
        DigestError: if what was measured is not what is there.
    """
    made = None if champion is None else context.store.backlog.find_maker(champion)
    if champion is None or made is None:
        return None
    chosen = context.registry.versions.get_params(champion)
    trial = trials.measured_before(context, made[0], chosen["candidate"])
    return None if trial is None else find_family(trial.candidate.family).keep(trial, chosen).as_dict()


def require_stream(context: Context, as_of: datetime) -> tuple[datetime, datetime]:
    """First and last `recorded_at` up to `as_of`.

    Raises:
        InputError: if there is none.
    """
    summary = context.store.stream.stream_summary(as_of)
    if summary.first_recorded_at is None or summary.last_recorded_at is None:
        raise InputError(
            f"Expected interactions recorded up to {as_of.isoformat()}, found none: import a stream first "
            "(`recsys import --help`), or choose a later as_of."
        )
    return summary.first_recorded_at, summary.last_recorded_at
