"""Challenger beside comparator, metric by metric: the numbers that a verdict rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.evaluation.gate.config import TOLERANCE, GateConfig
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.margins import Margin, RelativeMargin, margin_size
from recsys.statistics.bootstrap import FloatArray, Interval, paired_difference

MetricOutcome = Literal["better", "not_worse", "worse", "unknown"]
Role = Literal["decides", "guards", "is_shown"]
Pair = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Metric:
    """A metric that the gate looks at.

    Attributes:
        name: a column of `Evidence.per_user`, or a key of `Evidence.per_system`.
        title: for people.
        margin: name of its margin in `GateConfig`.
        higher_is_better: the way it should go.
        is_of_lists: it describes lists, not how they fit the holdout; guarded only against a champion.
        is_accuracy: it says what NDCG@10 says, in other words; guarded only where the holdout makes evidence.
    """

    name: str
    title: str
    margin: str
    higher_is_better: bool = True
    is_of_lists: bool = False
    is_accuracy: bool = False


NDCG = Metric("ndcg_at_10", "NDCG@10", "ndcg_margin")
EXPOSURE = Metric("dislike_exposure_at_10", "Dislike exposure@10", "exposure_margin", higher_is_better=False)
AUC = Metric("auc", "AUC of like over dislike", "auc_margin")
OF_USERS = (
    NDCG,
    Metric("recall_at_20", "Recall@20", "recall_margin", is_accuracy=True),
    Metric("mrr", "MRR", "mrr_margin", is_accuracy=True),
    EXPOSURE,
    AUC,
    Metric("diversity_shortfall_at_10", "List diversity shortfall@10", "diversity_margin", False, is_of_lists=True),
    Metric("calibration_error_at_10", "Genre calibration error@10", "calibration_margin", False, is_of_lists=True),
)
OF_SYSTEMS = (
    Metric("coverage_at_10", "Coverage@10", "coverage_margin", is_of_lists=True),
    Metric("personalisation_at_10", "Personalisation@10", "personalisation_margin", is_of_lists=True),
)
FEEDBACK = (EXPOSURE, AUC)  # need users who disliked something


@dataclass(frozen=True)
class MetricComparison:
    """One metric of challenger and comparator.

    Attributes:
        metric: which.
        role: `decides` (must be shown to be not worse), `guards` (refuses if `worse`) or `is_shown`.
        num_users: who have it.
        challenger: its mean.
        comparator: the same.
        change: `challenger - comparator`, or `challenger / comparator - 1` for a relative margin, with its interval; ends
            are NaN where the metric is of whole systems.
        margin: what may be lost.
        num_better: users who are better off.
        num_worse: users who are worse off.
        outcome: `better` (the interval is on the good side of 0), `not_worse` (it does not reach beyond the margin), `worse`
            (a loss beyond the margin, and significantly a loss; of dislike exposure any significant rise, see
            `dislike_exposure`) or `unknown`. The first two need the minimum of users.
    """

    metric: Metric
    role: Role
    num_users: int
    challenger: float
    comparator: float
    change: Interval
    margin: Margin
    num_better: int
    num_worse: int
    outcome: MetricOutcome

    @property
    def refuses(self) -> bool:
        """Whether this guard rail alone refuses the challenger."""
        return self.role == "guards" and self.outcome == "worse"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: no NaN, no infinity; an empty metric is None."""
        return {
            "title": self.metric.title,
            "role": self.role,
            "higher_is_better": self.metric.higher_is_better,
            "num_users": self.num_users,
            "challenger": finite(self.challenger),
            "comparator": finite(self.comparator),
            "difference": finite(self.challenger - self.comparator),
            "change": interval_dict(self.change),
            "margin": self.margin.as_dict(),
            "num_better": self.num_better,
            "num_worse": self.num_worse,
            "outcome": self.outcome,
        }


def finite(value: float) -> float | None:
    """The value, or None: JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def interval_dict(interval: Interval) -> dict[str, float | None]:
    """JSON-able; what is not finite becomes None."""
    return {"mean": finite(interval.mean), "low": finite(interval.low), "high": finite(interval.high)}


def compare_metrics(evidence: Evidence, pair: Pair, against: str, config: GateConfig) -> list[MetricComparison]:
    """Every metric that the evidence has of both systems, in the order of `OF_USERS` and `OF_SYSTEMS`.

    A metric without a column, or that no user could give, is left out: it was not measured, so it is not evaluated.

    Args:
        evidence: what is compared.
        pair: `evidence.pair("challenger", against)`.
        against: the comparator.
        config: the thresholds.
    """
    challenger, other = pair
    found = []
    for metric in OF_USERS:
        if metric.name not in challenger or metric.name not in other:
            continue
        values = _values(metric, challenger, other)
        if len(values[0]):
            role = _role(metric, evidence, len(values[0]), config)
            found.append(compare_users(metric, *values, role, evidence.seed, config))
    num_users = int(challenger["ndcg_at_10"].notna().sum())
    for metric in OF_SYSTEMS:
        mine, theirs = (evidence.per_system.get(name, {}).get(metric.name) for name in ("challenger", against))
        if mine is not None and theirs is not None:
            role = _role(metric, evidence, num_users, config)
            found.append(_compare_systems(metric, mine, theirs, role, num_users, config))
    return found


def _values(metric: Metric, challenger: pd.DataFrame, other: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Of the users who have the metric for both systems."""
    mine, theirs = (frame[metric.name].to_numpy(np.float64) for frame in (challenger, other))
    both = ~np.isnan(mine) & ~np.isnan(theirs)
    return mine[both], theirs[both]


def _role(metric: Metric, evidence: Evidence, num_users: int, config: GateConfig) -> Role:
    if metric == NDCG:
        return "decides"
    shown = (metric.is_of_lists and evidence.kind == "first") or (metric.is_accuracy and num_users < config.min_users)
    return "is_shown" if shown else "guards"


def compare_users(
    metric: Metric,
    mine: FloatArray,
    theirs: FloatArray,
    role: Role,
    seed: int,
    config: GateConfig,
) -> MetricComparison:
    """One metric that users have, each for themselves.

    Args:
        metric: which.
        mine: `(num_users,)`, of the challenger.
        theirs: `(num_users,)`, of the comparator, for the same users.
        role: of the metric.
        seed: of the bootstrap.
        config: the thresholds.
    """
    margin: Margin = getattr(config, metric.margin)
    change = paired_difference(
        mine, theirs, relative=isinstance(margin, RelativeMargin), seed=seed, num_resamples=config.num_resamples,
        confidence=config.confidence,
    )  # fmt: skip
    gains = (mine - theirs) * (1 if metric.higher_is_better else -1)
    num_better, num_worse = int((gains > 0).sum()), int((gains < 0).sum())
    enough = len(mine) >= (config.min_users_with_dislikes if metric in FEEDBACK else config.min_users)
    tolerated = 0.0 if metric == EXPOSURE else margin_size(margin)  # of dislikes no rise is, whatever its size
    outcome = _outcome(_as_gain(metric, change), margin, tolerated, enough, num_better, num_worse, config)
    means = float(mine.mean()), float(theirs.mean())
    return MetricComparison(metric, role, len(mine), *means, change, margin, num_better, num_worse, outcome)


def _as_gain(metric: Metric, change: Interval) -> Interval:
    """The change so that more is better."""
    return change if metric.higher_is_better else Interval(-change.mean, -change.high, -change.low)


def _outcome(
    gain: Interval, margin: Margin, tolerated: float, enough: bool, num_better: int, num_worse: int, config: GateConfig
) -> MetricOutcome:
    """What an interval says. One of few users, or of few who differ, is not believed."""
    size = margin_size(margin)
    if gain.mean < -tolerated - TOLERANCE and gain.high < 0 and num_worse >= config.min_differing_users:
        return "worse"
    if not enough:
        return "unknown"
    if gain.low > 0 and num_better >= config.min_differing_users:
        return "better"
    return "not_worse" if gain.low >= -size - TOLERANCE else "unknown"


def _compare_systems(
    metric: Metric, mine: float, theirs: float, role: Role, num_users: int, config: GateConfig
) -> MetricComparison:
    """One number a system: no interval, so it is believed only if the lists of enough users are behind it."""
    margin: Margin = getattr(config, metric.margin)
    change = mine - theirs
    if isinstance(margin, RelativeMargin):
        change = mine / theirs - 1.0 if theirs > 0 else (math.inf if mine > 0 else 0.0)
    outcome: MetricOutcome = "unknown"
    if num_users >= config.min_users:
        gain = change if metric.higher_is_better else -change
        outcome = "worse" if gain < -margin_size(margin) - TOLERANCE else "not_worse"
    return MetricComparison(
        metric, role, num_users, mine, theirs, Interval(change, math.nan, math.nan), margin, 0, 0, outcome
    )
