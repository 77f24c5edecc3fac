"""Whether the loop makes things better: errors, dislike rates per version, waiting times, convergence, efficiency.

Two clocks, one for each number. The stream's: trends and the loop's efficiency, whose period is of the newest days with
feedback up to the cut-off (an imported stream may be years old). The wall clock: dislike rates, whose period ends with the
list that was served last, and waiting times. What there is no number for is None, never NaN and never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

PERIOD_WEEKS = 12  # of trends, waiting times and the loop's efficiency: as many days with feedback
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class ErrorSummary:
    """Errors of all negative examples; None where none has a predicted score. `mean_score`: over all dislikes."""

    num_examples: int
    mean_error: float | None
    max_error: float | None
    min_error: float | None
    mean_score: float | None


@dataclass(frozen=True)
class DailyMean:
    """Values of one UTC day: how many, and their sum."""

    day: date
    num_values: int
    value_sum: float


@dataclass(frozen=True)
class VersionFeedback:
    """What users said of the lists that one version gave them.

    Attributes:
        model_version: the version.
        num_lists: times a list was served.
        num_shown: films in them.
        num_dislikes: films of these lists that their users disliked.
        mean_error: what the version had predicted for those, minus 0; None without any.
        first_served_at: when it began to serve.
        last_served_at: when it served last.
    """

    model_version: str
    num_lists: int
    num_shown: int
    num_dislikes: int
    mean_error: float | None
    first_served_at: datetime
    last_served_at: datetime

    @property
    def dislike_rate(self) -> float | None:
        """Dislikes per shown film; None where nothing was shown."""
        return self.num_dislikes / self.num_shown if self.num_shown else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "model_version": self.model_version, "lists": self.num_lists, "shown_items": self.num_shown,
            "dislikes": self.num_dislikes, "dislike_rate": self.dislike_rate, "avg_prediction_error": self.mean_error,
            "first_served_at": self.first_served_at.isoformat(), "last_served_at": self.last_served_at.isoformat(),
        }  # fmt: skip


@dataclass(frozen=True)
class WaitingTimes:
    """From when this machine learned of a dislike to the first champion that knows it, by the wall clock.

    Attributes:
        waits: (seconds >= 0, dislikes) in any order, of those that a champion knows.
        num_waiting: dislikes that no champion knows yet.
        num_unmeasured: dislikes that a champion knows and that were imported before the first run: how long they waited
            says when the import was made, and nothing about the loop.
    """

    waits: Sequence[tuple[float, int]]
    num_waiting: int
    num_unmeasured: int = 0


@dataclass(frozen=True)
class LoopActivity:
    """One verdict of a step: how often, and the examples that its runs used."""

    step: str
    verdict: str
    num_decisions: int
    num_used: int
    num_examples: int


@dataclass(frozen=True)
class ImprovementNumbers:
    """What the metrics are made of.

    Attributes:
        errors: of all time.
        versions: of the lists served last, in the order in which they began to serve.
        after: the period begins; it ends with the cut-off.
        newest: the newest event up to the cut-off.
        daily_errors: of the period.
        daily_adjustments: magnitudes of the period.
        waiting: of the dislikes of the period.
        activity: of the period.
    """

    errors: ErrorSummary
    versions: Sequence[VersionFeedback]
    after: datetime
    newest: datetime
    daily_errors: Sequence[DailyMean]
    daily_adjustments: Sequence[DailyMean]
    waiting: WaitingTimes
    activity: Sequence[LoopActivity]


class ImprovementStore(Protocol):
    """What the metrics need from a store."""

    def improvement_numbers(self, as_of: datetime, period: timedelta) -> ImprovementNumbers:
        """The numbers as of a cut-off, from one snapshot; the period is of so many days with feedback."""
        ...


def get_feedback_improvement_metrics(store: ImprovementStore, as_of: datetime) -> dict[str, Any]:
    """How good the predictions about disliked films were, and whether the loop improves them.

    Args:
        store: where the feedback is.
        as_of: what was recorded later does not exist.

    Returns:
        JSON-able: `total_negative_examples`, `avg_prediction_error`, `max_error`, `min_error` and
        `average_dislike_predicted_score` of all time; `dislike_rates` per model version, shown films as denominator, of the
        `PERIOD_WEEKS` up to the list served last; and of as many days with feedback: `error_trend` by week with its
        `slope_per_week`; `time_to_champion` in hours; `adjustment_convergence` by week; `loop_efficiency`.
    """
    found = store.improvement_numbers(as_of, PERIOD_WEEKS * WEEK)
    return {
        "total_negative_examples": found.errors.num_examples,
        "avg_prediction_error": found.errors.mean_error,
        "max_error": found.errors.max_error,
        "min_error": found.errors.min_error,
        "average_dislike_predicted_score": found.errors.mean_score,
        "as_of": as_of.isoformat(),
        "period": {"after": found.after.isoformat(), "through": as_of.isoformat()},
        "dislike_rates": [version.as_dict() for version in found.versions],
        "error_trend": _trend(found.daily_errors, found.newest, "avg_prediction_error"),
        "time_to_champion": _waiting(found.waiting),
        "adjustment_convergence": _convergence(found.daily_adjustments, found.newest),
        "loop_efficiency": _efficiency(found.activity),
    }


def _trend(days: Sequence[DailyMean], through: datetime, name: str) -> dict[str, Any]:
    """Means by week, oldest first, weeks without values left out, and the slope of the line through them."""
    weeks: dict[int, list[DailyMean]] = {}
    for day in days:
        weeks.setdefault((through.date() - day.day).days // 7, []).append(day)
    backs = sorted(weeks, reverse=True)
    counts = [sum(day.num_values for day in weeks[back]) for back in backs]
    means = [sum(day.value_sum for day in weeks[back]) / count for back, count in zip(backs, counts, strict=True)]
    points = [
        {"week_ending": (through.date() - back * WEEK).isoformat(), "count": count, name: mean}
        for back, count, mean in zip(backs, counts, means, strict=True)
    ]
    return {"weeks": points, "slope_per_week": _slope([-back for back in backs], means, counts)}


def _slope(places: Sequence[float], values: Sequence[float], weights: Sequence[float]) -> float | None:
    """Of the weighted least-squares line; None with fewer than two places."""
    if len(set(places)) < 2:
        return None
    total = sum(weights)
    x_mean = sum(w * x for w, x in zip(weights, places, strict=True)) / total
    y_mean = sum(w * y for w, y in zip(weights, values, strict=True)) / total
    spread = sum(w * (x - x_mean) ** 2 for w, x in zip(weights, places, strict=True))
    common = sum(w * (x - x_mean) * (y - y_mean) for w, x, y in zip(weights, places, values, strict=True))
    return common / spread


def _convergence(days: Sequence[DailyMean], through: datetime) -> dict[str, Any]:
    """Mean magnitude by week; `change`: of the last week against the one before it that had any, relative."""
    trend = _trend(days, through, "mean_magnitude")
    means = [week["mean_magnitude"] for week in trend["weeks"]]
    change = means[-1] / means[-2] - 1 if len(means) > 1 and means[-2] else None
    return {**trend, "change": change}


def _waiting(times: WaitingTimes) -> dict[str, Any]:
    def hours(share: float) -> float | None:
        seconds = _quantile(times.waits, share)
        return None if seconds is None else seconds / 3600

    return {
        "dislikes": sum(count for _, count in times.waits),
        "waiting": times.num_waiting,
        "imported_before_first_run": times.num_unmeasured,
        "median_hours": hours(0.5),
        "p90_hours": hours(0.9),
    }


def _quantile(values: Sequence[tuple[float, int]], share: float) -> float | None:
    """The smallest value that at least this share of the counts does not exceed; None without any."""
    total, so_far = sum(count for _, count in values), 0
    for value, count in sorted(values):
        so_far += count
        if so_far >= share * total:
            return value
    return None


def _efficiency(activity: Sequence[LoopActivity]) -> dict[str, Any]:
    found = {(one.step, one.verdict): one for one in activity}

    def count(step: str, verdict: str) -> int:
        one = found.get((step, verdict))
        return 0 if one is None else one.num_decisions

    retrained = found.get(("check_backlog", "retrain"), LoopActivity("check_backlog", "retrain", 0, 0, 0))
    promotions = count("decide_promotion", "promote")
    return {
        "weeks": PERIOD_WEEKS,
        "retrainings": retrained.num_used,
        "skips": count("check_backlog", "skip"),
        "promotions": promotions,
        "rejections": count("decide_promotion", "reject"),
        "insufficient_evidence": count("decide_promotion", "insufficient_evidence"),
        "dislikes_used": retrained.num_examples,
        "dislikes_per_retraining": retrained.num_examples / retrained.num_used if retrained.num_used else None,
        "promotions_per_retraining": promotions / retrained.num_used if retrained.num_used else None,
    }
