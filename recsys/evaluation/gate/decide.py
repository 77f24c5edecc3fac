"""The promotion gate: decides, never acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from recsys.evaluation.gate import reasons as say
from recsys.evaluation.gate.claims import lost_claim, not_claimed
from recsys.evaluation.gate.comparisons import AUC, EXPOSURE, NDCG, Metric, MetricComparison, compare_metrics
from recsys.evaluation.gate.config import TOLERANCE, GateConfig
from recsys.evaluation.gate.dislike_exposure import ExposureFinding, decide_exposure
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.leakage import failed_behaviour, implausible_gain, leaks
from recsys.evaluation.gate.margins import margin_size
from recsys.evaluation.gate.slices import SliceComparison, compare_slices

__all__ = ["BASELINES", "GateConfig", "Verdict", "baseline_means", "comparator", "decide"]

Outcome = Literal["promote", "reject", "insufficient_evidence"]
Claim = Literal["better", "not_worse", "worse", "unknown"]
BASELINES = ("decayed_popularity", "popularity")
SCHEMA = 3  # of `Verdict.numbers`


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, why in plain words, and the numbers behind it.

    Attributes:
        verdict: the decision.
        reasons: sentences with the numbers in them; what refuses comes first.
        numbers: JSON-able:
            `schema` 3; `kind`; `comparator`; `claim`; `holdout` (`after`, `through`);
            `num_users` with a liked holdout item; `num_users_with_dislikes`;
            `metrics` name -> `MetricComparison.as_dict`; `slices` list of `SliceComparison.as_dict`;
            `exposure`: `findings`, a list of `ExposureFinding.as_dict`, and `pooled_from`, `not_pooled` of the evidence;
            `leaks`, `failed_behaviour` lists of sentences; `implausible_gain` sentence or None;
            `not_claimed` a sentence, only where the challenger does not claim exact contributions;
            `best_baseline`, `best_baseline_ndcg_at_10` where baselines were evaluated; `superseded_by` if another version has
            become champion; `accepted_thin_evidence` why a person wants it without enough evidence, if one does; `gate` the
            thresholds: with `GateConfig.from_dict`, these two and the evidence, `decide` gives this verdict again.
            Schema 2 had no `exposure` and another rule for it.
        claim: what may be said of accuracy: `better` only if the interval of NDCG@10 is above 0.
    """

    verdict: Outcome
    reasons: tuple[str, ...]
    numbers: dict[str, Any] = field(default_factory=dict)
    claim: Claim = "unknown"


def comparator(evidence: Evidence) -> str:
    """The system to beat: the champion, or the better baseline where there is none."""
    if evidence.kind != "first":
        return "champion"
    means = baseline_means(evidence)
    if not means and len(evidence.per_user):
        raise ValueError(f"Expected one of {BASELINES} to stand in for a champion, got {evidence.systems}.")
    return max(means, key=means.__getitem__, default=BASELINES[0])


def baseline_means(evidence: Evidence) -> dict[str, float]:
    """NDCG@10 of the baselines that were evaluated; 0 where no user has a liked item."""
    present = [name for name in BASELINES if name in evidence.systems]
    return {name: float(np.nan_to_num(evidence.users(name)["ndcg_at_10"].mean())) for name in present}


def decide(
    evidence: Evidence,
    config: GateConfig,
    superseded_by: str | None = None,
    accepted_thin_evidence: str | None = None,
) -> Verdict:
    """Promote, reject, or insufficient evidence.

    Whatever the accuracy, these refuse: a model that may have seen the holdout, a gain too good to be true, a failed
    behaviour test, a guard rail that is significantly broken (see `GateConfig`), a significant rise of dislike exposure that
    nothing makes up for (see `dislike_exposure`), a slice that is significantly hurt. Then NDCG@10: with at least `min_users`
    users, promote if the interval does not reach below the margin. With fewer, but at least `min_refresh_users`, a refresh
    is promoted within `sanity_ratio` unless the whole interval lies below the margin, since a stale model costs more than
    noise; anything else is insufficient evidence. So is what passed beside a champion that serves no more (`superseded_by`
    names the version that does): nothing was said about that one. And so is a challenger that does not claim exact
    contributions beside a champion that does: there is no evidence that its reasons hold.

    Too little evidence is made up for by a person only: `accepted_thin_evidence` says why they want the challenger promoted
    all the same. What is refused stays refused, and whoever acts on such a verdict has to ask for a person's approval.

    The same evidence and configuration give the same verdict. A challenger whose NDCG@10 is higher for every user never
    turns "promote" into something else, unless the gain becomes implausible.

    Raises:
        ValueError: if challenger and comparator were not evaluated on the same users and judgements.
    """
    found = _look(evidence, config)
    name = say.whose(evidence, found.against)
    accuracy, accuracy_reason = _accuracy(found.metric(NDCG), name, evidence.kind, config)
    broken = [say.broken(one, name, config) for one in found.metrics if one.refuses and one.metric != EXPOSURE]
    hurt = [say.hurt(one, config) for one in found.slices if one.outcome == "worse"]
    lost = lost_claim(evidence)
    unclaimed = () if found.not_claimed is None else (found.not_claimed,)
    reasons = (
        *found.stops, *(unclaimed if lost else ()), accuracy_reason,
        *say.exposure(evidence, found.exposure, name, config), *broken, *hurt,
        *say.weak_champion(evidence.kind, found.metric(NDCG), found.baselines), *(() if lost else unclaimed),
    )  # fmt: skip
    refused = bool(found.stops or broken or hurt) or any(one.refuses for one in found.exposure)
    outcome, numbers = "reject" if refused else accuracy, _numbers(evidence, found, config)
    if outcome == "promote" and lost is not None:
        outcome = "insufficient_evidence"
    if outcome == "insufficient_evidence" and accepted_thin_evidence is not None:
        outcome, numbers = "promote", {**numbers, "accepted_thin_evidence": accepted_thin_evidence}
        reasons = (say.accepted(accepted_thin_evidence), *reasons)
    if outcome == "promote" and superseded_by is not None:
        reasons = (say.superseded(evidence, superseded_by), *reasons)
        return Verdict("insufficient_evidence", reasons, {**numbers, "superseded_by": superseded_by}, found.claim)
    return Verdict(outcome, reasons, numbers, found.claim)


@dataclass(frozen=True)
class _Findings:
    """Everything that the gate saw."""

    against: str
    metrics: list[MetricComparison]
    slices: list[SliceComparison]
    exposure: list[ExposureFinding]
    baselines: dict[str, float]
    leaks: list[str]
    failed_behaviour: list[str]
    implausible_gain: str | None
    not_claimed: str | None

    @property
    def stops(self) -> list[str]:
        """What refuses before any number is compared."""
        return [*self.leaks, *([self.implausible_gain] if self.implausible_gain else []), *self.failed_behaviour]

    @property
    def claim(self) -> Claim:
        """What may be said of accuracy; nothing, if the numbers may be those of a leak."""
        ndcg = self.metric(NDCG)
        return "unknown" if self.leaks or self.implausible_gain or ndcg is None else ndcg.outcome

    def metric(self, wanted: Metric) -> MetricComparison | None:
        """One of the metrics, if it was measured."""
        return next((found for found in self.metrics if found.metric == wanted), None)


def _look(evidence: Evidence, config: GateConfig) -> _Findings:
    against = comparator(evidence)
    pair = evidence.pair("challenger", against)
    baselines = baseline_means(evidence)
    metrics = {one.metric: one for one in compare_metrics(evidence, pair, against, config)}
    exposure = decide_exposure(evidence, against, metrics.get(EXPOSURE), metrics.get(AUC), config)
    metrics |= {one.found.metric: one.found for one in exposure if one.window == "holdout"}
    return _Findings(
        against,
        list(metrics.values()),
        compare_slices(evidence, pair, config),
        exposure,
        baselines,
        leaks(evidence),
        failed_behaviour(evidence),
        implausible_gain(evidence, baselines, config),
        not_claimed(evidence),
    )


def _numbers(evidence: Evidence, found: _Findings, config: GateConfig) -> dict[str, Any]:
    """See `Verdict`."""
    ndcg, exposure, best = found.metric(NDCG), found.metric(EXPOSURE), {}
    if found.baselines:
        name = max(found.baselines, key=found.baselines.__getitem__)
        best = {"best_baseline": name, "best_baseline_ndcg_at_10": found.baselines[name]}
    return {
        "schema": SCHEMA, "kind": evidence.kind, "comparator": found.against, "claim": found.claim,
        "holdout": {"after": evidence.fit_through.isoformat(), "through": evidence.as_of.isoformat()},
        "num_users": 0 if ndcg is None else ndcg.num_users,
        "num_users_with_dislikes": 0 if exposure is None else exposure.num_users,
        "metrics": {one.metric.name: one.as_dict() for one in found.metrics},
        "slices": [one.as_dict() for one in found.slices],
        "exposure": {
            "findings": [one.as_dict() for one in found.exposure],
            "pooled_from": evidence.pooled_from, "not_pooled": evidence.not_pooled,
        },
        **best,
        **({"not_claimed": found.not_claimed} if found.not_claimed else {}),
        "leaks": found.leaks, "failed_behaviour": found.failed_behaviour, "implausible_gain": found.implausible_gain,
        "gate": config.as_dict(),
    }  # fmt: skip


def _accuracy(ndcg: MetricComparison | None, name: str, kind: str, config: GateConfig) -> tuple[Outcome, str]:
    """What NDCG@10 alone asks for, and why."""
    if ndcg is None:
        return "insufficient_evidence", say.nobody_liked(kind, config)
    is_below = ndcg.change.high < -margin_size(ndcg.margin) and ndcg.num_worse >= config.min_differing_users
    compared = say.compared(ndcg, name, config)
    if ndcg.num_users >= config.min_users:
        if ndcg.outcome == "better":
            return "promote", f"{compared}; significantly better."
        if ndcg.outcome == "not_worse":
            return "promote", f"{compared}; not worse than {say.allowed(ndcg)}, as the whole interval says."
        return "reject", f"{compared}; {'significantly' if is_below else 'may be'} worse than {say.allowed(ndcg)}."
    if kind == "refresh" and ndcg.num_users < config.min_refresh_users:
        return "insufficient_evidence", f"{compared}; {say.too_few_for_a_refresh(config)}"
    thin = f"{compared}; fewer than the {config.min_users} users that are required as evidence"
    if kind == "first":
        return "insufficient_evidence", f"{thin}. {say.NO_FIRST_CHAMPION}"
    if kind != "refresh":
        return "insufficient_evidence", f"{thin}, and this is no refresh of the champion's recipe."
    if is_below:
        return "reject", f"{thin}, but significantly worse than {say.allowed(ndcg)}."
    if ndcg.challenger >= config.sanity_ratio * ndcg.comparator - TOLERANCE:
        bounds = f"at least {config.sanity_ratio:.0%}"
        return "promote", f"{thin}, but a refresh of the same recipe within bounds ({bounds})."
    return "reject", f"{thin}, and below the sanity bound of {config.sanity_ratio:.0%}."
