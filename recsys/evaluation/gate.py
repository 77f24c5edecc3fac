"""The promotion gate: decides, never acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from recsys.evaluation import gate_reasons as say
from recsys.evaluation.comparisons import EXPOSURE, NDCG, MetricComparison, compare_metrics
from recsys.evaluation.evidence import Evidence
from recsys.evaluation.gate_config import TOLERANCE, GateConfig
from recsys.evaluation.margins import margin_size
from recsys.evaluation.plausibility import failed_behaviour, implausible_gain, leaks
from recsys.evaluation.slice_comparisons import SliceComparison, compare_slices

__all__ = ["BASELINES", "GateConfig", "Verdict", "baseline_means", "comparator", "decide"]

Outcome = Literal["promote", "reject", "insufficient_evidence"]
Claim = Literal["better", "not_worse", "worse", "unknown"]
BASELINES = ("decayed_popularity", "popularity")
SCHEMA = 2  # of `Verdict.numbers`


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, why in plain words, and the numbers behind it.

    Attributes:
        verdict: the decision.
        reasons: sentences with the numbers in them; what refuses comes first.
        numbers: JSON-able:
            `schema` 2; `kind`; `comparator`; `claim`; `holdout` (`after`, `through`);
            `num_users` with a liked holdout item; `num_users_with_dislikes`;
            `metrics` name -> `MetricComparison.as_dict`; `slices` list of `SliceComparison.as_dict`;
            `leaks`, `failed_behaviour` lists of sentences; `implausible_gain` sentence or None;
            `best_baseline`, `best_baseline_ndcg_at_10` where baselines were judged; `gate` the thresholds: with
            `GateConfig.from_dict` and the evidence, `decide` gives this verdict again.
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
    """NDCG@10 of the baselines that were judged; 0 where no user has a liked item."""
    present = [name for name in BASELINES if name in evidence.systems]
    return {name: float(np.nan_to_num(evidence.users(name)["ndcg_at_10"].mean())) for name in present}


def decide(evidence: Evidence, config: GateConfig) -> Verdict:
    """Promote, reject, or insufficient evidence.

    Whatever the accuracy, these refuse: a model that may have seen the holdout, a gain too good to be true, a failed
    behaviour test, a guard rail that is surely broken (see `GateConfig`), a slice that is surely hurt. Then NDCG@10: with at
    least `min_users` users, promote if the interval does not reach below the margin. With fewer, a refresh is promoted
    within `sanity_ratio` unless the whole interval lies below the margin, since a stale model costs more than noise;
    anything else is insufficient evidence.

    The same evidence and configuration give the same verdict. A challenger whose NDCG@10 is higher for every user never
    turns "promote" into something else, unless the gain becomes implausible.

    Raises:
        ValueError: if challenger and comparator were not judged on the same users and judgements.
    """
    against = comparator(evidence)
    metrics = compare_metrics(evidence, against, config)
    slices = compare_slices(evidence, against, config)
    means = baseline_means(evidence)
    seen, failed, gain = leaks(evidence), failed_behaviour(evidence), implausible_gain(evidence, means, config)
    stops = [*seen, *failed, *([gain] if gain else [])]
    name = say.whose(evidence, against)
    by_name = {found.metric.name: found for found in metrics}
    ndcg, exposure = by_name.get(NDCG.name), by_name.get(EXPOSURE.name)
    accuracy, accuracy_reason = _accuracy(ndcg, name, evidence.kind, config)
    broken = [say.broken(found, name, config) for found in metrics if found.refuses and found.metric != EXPOSURE]
    hurt = [say.hurt(one, config) for one in slices if one.outcome == "worse"]
    claim: Claim = "unknown" if seen or gain or ndcg is None else ndcg.outcome
    refused = bool(stops or broken or hurt) or (exposure is not None and exposure.refuses)
    reasons = (*stops, accuracy_reason, say.exposure(exposure, name, config), *broken, *hurt,
               *say.weak_champion(evidence.kind, ndcg, means))  # fmt: skip
    numbers: dict[str, Any] = {
        "schema": SCHEMA, "kind": evidence.kind, "comparator": against, "claim": claim,
        "holdout": {"after": evidence.fit_through.isoformat(), "through": evidence.as_of.isoformat()},
        **_counts(ndcg, exposure), **_tables(metrics, slices), **_best(means),
        "leaks": seen, "failed_behaviour": failed, "implausible_gain": gain, "gate": config.as_dict(),
    }  # fmt: skip
    return Verdict("reject" if refused else accuracy, reasons, numbers, claim)


def _counts(ndcg: MetricComparison | None, exposure: MetricComparison | None) -> dict[str, int]:
    return {
        "num_users": 0 if ndcg is None else ndcg.num_users,
        "num_users_with_dislikes": 0 if exposure is None else exposure.num_users,
    }


def _tables(metrics: Sequence[MetricComparison], slices: Sequence[SliceComparison]) -> dict[str, Any]:
    return {
        "metrics": {found.metric.name: found.as_dict() for found in metrics},
        "slices": [one.as_dict() for one in slices],
    }


def _best(means: dict[str, float]) -> dict[str, Any]:
    if not means:
        return {}
    best = max(means, key=means.__getitem__)
    return {"best_baseline": best, "best_baseline_ndcg_at_10": means[best]}


def _accuracy(ndcg: MetricComparison | None, name: str, kind: str, config: GateConfig) -> tuple[Outcome, str]:
    """What NDCG@10 alone asks for, and why."""
    if ndcg is None:
        return ("promote" if kind == "refresh" else "insufficient_evidence"), say.nobody_liked(kind)
    surely_below = ndcg.change.high < -margin_size(ndcg.margin) and ndcg.num_worse >= config.min_differing_users
    compared = say.compared(ndcg, name, config)
    if ndcg.num_users >= config.min_users:
        if ndcg.outcome == "better":
            return "promote", f"{compared}; surely better."
        if ndcg.outcome == "not_worse":
            return "promote", f"{compared}; surely not worse than {say.allowed(ndcg)}."
        return "reject", f"{compared}; {'surely' if surely_below else 'may be'} worse than {say.allowed(ndcg)}."
    thin = f"{compared}; fewer than the {config.min_users} users that make evidence"
    if kind != "refresh":
        return "insufficient_evidence", f"{thin}, and this is no refresh of the champion's recipe."
    if surely_below:
        return "reject", f"{thin}, but surely worse than {say.allowed(ndcg)}."
    if ndcg.challenger >= config.sanity_ratio * ndcg.comparator - TOLERANCE:
        bounds = f"at least {config.sanity_ratio:.0%}"
        return "promote", f"{thin}, but a refresh of the same recipe within bounds ({bounds})."
    return "reject", f"{thin}, and below the sanity bound of {config.sanity_ratio:.0%}."
