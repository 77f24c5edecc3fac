"""What asks for a retraining: enough dislikes, wrong predictions among them, a feature that stands out, or drift.

Their thresholds are in `recsys.config.triggers`. Each trigger reports its numbers and its reason whether it fires or not, so
that a quiet night can be explained too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recsys.config.triggers import TriggerConfig
from recsys.feedback.lifts import Basis, Comparison, FeatureLift, measure_lifts

FEEDBACK_ACCUMULATION_THRESHOLD = TriggerConfig.threshold  # retrain after so many dislikes
BACKLOG, PREDICTION_ERROR, FEATURE, DRIFT = "backlog", "prediction_error", "feature", "drift"
MAX_NAMED = 5  # features that a report names


@dataclass(frozen=True)
class DriftEvidence:
    """The last measurement of drift.

    Attributes:
        measured_at: its cut-off, ISO 8601.
        is_large: whether anything has drifted.
        reasons: in plain words.
        answered_by: another run that decided to retrain since; None: none has.
    """

    measured_at: str
    is_large: bool
    reasons: tuple[str, ...]
    answered_by: str | None = None


@dataclass(frozen=True)
class BacklogEvidence:
    """What the store knows of a backlog.

    Attributes:
        num_examples: negative examples neither claimed nor used.
        num_tracked: those with a predicted score.
        mean_error: their mean prediction error, 0 to 1; None without any.
        comparison: their features, against what users met since the last batch.
        drift: as last measured of the champion; None if it was not.
    """

    num_examples: int
    num_tracked: int
    mean_error: float | None
    comparison: Comparison
    drift: DriftEvidence | None = None


@dataclass(frozen=True)
class TriggerReport:
    """One trigger's word on a backlog.

    Attributes:
        name: `backlog`, `prediction_error`, `feature` or `drift`.
        enabled: False if it was switched off; then it never fires.
        fired: whether it asks for a retraining.
        reason: what it saw, in plain words.
        numbers: JSON-able, what it saw and its thresholds.
    """

    name: str
    enabled: bool
    fired: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"fired": self.fired, "enabled": self.enabled, "reason": self.reason, **self.numbers}


def new_dislikes(count: int) -> str:
    """`1 new dislike`, `20 new dislikes`."""
    return "1 new dislike" if count == 1 else f"{count:,} new dislikes"


def evaluate_triggers(evidence: BacklogEvidence, config: TriggerConfig) -> tuple[TriggerReport, ...]:
    """What each trigger says: the backlog's size, its prediction error, its features, and drift."""
    judges = (_backlog, _prediction_error, _feature, _drift)
    return tuple(judge(evidence, config) for judge in judges)


def _report(name: str, enabled: bool, holds: bool, reason: str, numbers: dict[str, Any]) -> TriggerReport:
    return TriggerReport(
        name, enabled, enabled and holds, reason if enabled else f"Switched off. {reason}", {"holds": holds, **numbers}
    )


def _backlog(evidence: BacklogEvidence, config: TriggerConfig) -> TriggerReport:
    numbers = {"backlog": evidence.num_examples, "threshold": config.threshold}
    reason = f"{new_dislikes(evidence.num_examples)}, threshold {config.threshold}."
    return _report(BACKLOG, config.backlog_trigger, evidence.num_examples >= config.threshold, reason, numbers)


def _prediction_error(evidence: BacklogEvidence, config: TriggerConfig) -> TriggerReport:
    error, tracked = evidence.mean_error, evidence.num_tracked
    is_enough = error is not None and tracked >= config.error_min_count
    holds = is_enough and error is not None and error > config.error_threshold
    if error is None or not is_enough:
        reason = (
            f"{tracked} of {new_dislikes(evidence.num_examples)} have a predicted score, {config.error_min_count} are "
            "needed to evaluate the prediction error."
        )
    else:
        side = "above" if holds else "not above"
        reason = (
            f"The mean prediction error of {new_dislikes(tracked)} is {error:.2f}, {side} the threshold of "
            f"{config.error_threshold:.2f}."
        )
    numbers = {
        "mean_error": error, "num_tracked": tracked, "threshold": config.error_threshold,
        "min_count": config.error_min_count,
    }  # fmt: skip
    return _report(PREDICTION_ERROR, config.error_trigger, holds, reason, numbers)


def _feature(evidence: BacklogEvidence, config: TriggerConfig) -> TriggerReport:
    comparison = evidence.comparison
    candidates = [
        lift
        for lift in measure_lifts(comparison, config.feature_min_count)
        if lift.has_several_users and lift.compared >= config.feature_min_count
    ]
    standing_out = sorted((c for c in candidates if _stands_out(c, config)), key=_strength)
    numbers = {
        "standing_out": [lift.as_dict() for lift in standing_out[:MAX_NAMED]],
        "strongest": [lift.as_dict() for lift in sorted(candidates, key=_strength)[:1]],
        "num_standing_out": len(standing_out), "num_judged": len(candidates), "compared_with": str(comparison.basis),
        "num_dislikes": comparison.num_dislikes, "num_compared": comparison.num_compared, "num_met": comparison.num_met,
        "lift": config.feature_lift, "min_count": config.feature_min_count, "significance": config.feature_significance,
    }  # fmt: skip
    return _report(
        FEATURE,
        config.feature_trigger,
        bool(standing_out),
        _told(comparison, candidates, standing_out, config),
        numbers,
    )


def _drift(evidence: BacklogEvidence, config: TriggerConfig) -> TriggerReport:
    drift = evidence.drift
    if drift is None:
        return _report(DRIFT, config.retrain_on_drift, False, "No drift of the champion was measured yet.", {})
    holds = drift.is_large and drift.answered_by is None
    if drift.answered_by is not None:
        reason = f"Drift measured at {drift.measured_at}: run {drift.answered_by} has retrained since."
    else:
        reason = f"Drift measured at {drift.measured_at}: {' '.join(drift.reasons) if drift.is_large else 'none.'}"
    numbers = {"measured_at": drift.measured_at, "is_large": drift.is_large, "answered_by": drift.answered_by}
    return _report(DRIFT, config.retrain_on_drift, holds, reason, numbers)


def _stands_out(lift: FeatureLift, config: TriggerConfig) -> bool:
    return (
        lift.lift is not None
        and lift.p_value is not None
        and lift.lift >= config.feature_lift
        and lift.p_value <= config.feature_significance
    )


def _strength(lift: FeatureLift) -> tuple[float, float, str]:
    return (1.0 if lift.p_value is None else lift.p_value, -(lift.lift or 0.0), lift.name)


def _told(
    comparison: Comparison, candidates: list[FeatureLift], standing_out: list[FeatureLift], config: TriggerConfig
) -> str:
    met = "shown films" if comparison.basis is Basis.EXPOSURES else "opinions"
    if not candidates:
        return (
            f"No genre, person or franchise has {config.feature_min_count} dislikes from more than one user, of "
            f"{comparison.num_compared} new ones that can be compared with {comparison.num_met} {met}."
        )
    best = (standing_out or sorted(candidates, key=_strength))[0]
    numbers = (
        f"{best.kind} {best.name} has {best.share or 0:.0%} of {new_dislikes(comparison.num_compared)} and "
        f"{best.met_share or 0:.0%} of {comparison.num_met} {met} (lift {best.lift or 0:.2f}, p {best.p_value or 0:.2g})"
    )
    if not standing_out:
        return f"No feature stands out; the strongest: {numbers}."
    others = f" {len(standing_out) - 1} more do." if len(standing_out) > 1 else ""
    return f"A feature stands out: {numbers}.{others}"
