"""Trends, quantiles and rates from numbers that a person can check."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.feedback.improvement import (
    DailyMean,
    ErrorSummary,
    ImprovementNumbers,
    LoopActivity,
    VersionFeedback,
    WaitingTimes,
    get_feedback_improvement_metrics,
)

AS_OF = datetime(2013, 6, 30, 12, tzinfo=UTC)
EMPTY = ImprovementNumbers(
    ErrorSummary(0, None, None, None, None), [], AS_OF - timedelta(days=84), AS_OF, [], [], WaitingTimes([], 0), []
)


def metrics_of(**numbers: Any) -> dict[str, Any]:
    found = ImprovementNumbers(**{**vars(EMPTY), **numbers})

    class Store:
        def improvement_numbers(self, as_of: datetime, period: timedelta) -> ImprovementNumbers:
            assert (as_of, period) == (AS_OF, timedelta(weeks=12))
            return found

    metrics = get_feedback_improvement_metrics(Store(), AS_OF)
    json.dumps(metrics, allow_nan=False)
    return metrics


def test_without_feedback_there_are_no_numbers_and_no_nan() -> None:
    metrics = metrics_of()
    assert metrics["total_negative_examples"] == 0
    for name in ("avg_prediction_error", "max_error", "min_error", "average_dislike_predicted_score"):
        assert metrics[name] is None
    assert metrics["dislike_rates"] == []
    assert metrics["error_trend"] == {"weeks": [], "slope_per_week": None}
    assert metrics["time_to_champion"] == {
        "dislikes": 0, "waiting": 0, "imported_before_first_run": 0, "median_hours": None, "p90_hours": None,
    }  # fmt: skip
    assert metrics["adjustment_convergence"] == {"weeks": [], "slope_per_week": None, "change": None}
    assert metrics["loop_efficiency"]["dislikes_per_retraining"] is None


def test_numbers_of_the_document() -> None:
    metrics = metrics_of(errors=ErrorSummary(45, 0.68, 0.95, 0.05, 0.72))
    expected = {
        "total_negative_examples": 45, "avg_prediction_error": 0.68, "max_error": 0.95, "min_error": 0.05,
        "average_dislike_predicted_score": 0.72,
    }  # fmt: skip
    assert {name: metrics[name] for name in expected} == expected


def test_weeks_are_counted_back_from_the_newest_event() -> None:
    days = [DailyMean(date(2013, 6, 16), 1, 0.9), DailyMean(date(2013, 6, 17), 3, 2.1),
            DailyMean(date(2013, 6, 23), 1, 0.5), DailyMean(date(2013, 6, 24), 2, 1.0)]  # fmt: skip
    trend = metrics_of(daily_errors=days)["error_trend"]
    assert [(week["week_ending"], week["count"]) for week in trend["weeks"]] == [
        ("2013-06-16", 1), ("2013-06-23", 4), ("2013-06-30", 2),
    ]  # fmt: skip
    assert [week["avg_prediction_error"] for week in trend["weeks"]] == pytest.approx([0.9, 0.65, 0.5])
    assert trend["slope_per_week"] < 0


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 20), st.floats(0, 1)), min_size=1, max_size=10))
def test_the_slope_is_that_of_weighted_least_squares(weeks: list[tuple[int, int, float]]) -> None:
    days = [DailyMean(AS_OF.date() - timedelta(days=7 * back), n, n * mean) for back, n, mean in weeks]
    slope = metrics_of(daily_errors=days)["error_trend"]["slope_per_week"]
    places = np.array([-back for back, n, _ in weeks for _ in range(n)], float)
    values = np.array([mean for _, n, mean in weeks for _ in range(n)])
    if len(set(places)) < 2:
        assert slope is None
    else:
        assert slope == pytest.approx(np.polyfit(places, values, 1)[0], abs=1e-9)


def test_convergence_compares_the_last_two_weeks() -> None:
    days = [DailyMean(date(2013, 6, 20), 10, 1.5), DailyMean(date(2013, 6, 29), 10, 1.2)]
    found = metrics_of(daily_adjustments=days)["adjustment_convergence"]
    assert [week["mean_magnitude"] for week in found["weeks"]] == pytest.approx([0.15, 0.12])
    assert found["change"] == pytest.approx(-0.2)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 5)), min_size=1, max_size=20))
def test_waiting_times_are_quantiles_over_dislikes(waits: list[tuple[int, int]]) -> None:
    found = metrics_of(waiting=WaitingTimes(waits, 3))["time_to_champion"]
    seconds = [wait for wait, count in waits for _ in range(count)]
    assert (found["dislikes"], found["waiting"]) == (len(seconds), 3)
    for name, share in (("median_hours", 0.5), ("p90_hours", 0.9)):
        assert found[name] * 3600 == pytest.approx(np.quantile(seconds, share, method="inverted_cdf"))


def test_rates_have_shown_films_as_denominator() -> None:
    versions = [VersionFeedback("7", 10, 100, 5, 0.6, AS_OF, AS_OF), VersionFeedback("8", 1, 0, 0, None, AS_OF, AS_OF)]
    rates = metrics_of(versions=versions)["dislike_rates"]
    assert [(rate["model_version"], rate["dislike_rate"], rate["avg_prediction_error"]) for rate in rates] == [
        ("7", 0.05, 0.6), ("8", None, None),
    ]  # fmt: skip


def test_efficiency_counts_what_came_of_the_nights() -> None:
    activity = [
        LoopActivity("check_backlog", "retrain", 4, 3, 120), LoopActivity("check_backlog", "skip", 5, 0, 0),
        LoopActivity("decide_promotion", "promote", 2, 2, 80), LoopActivity("decide_promotion", "reject", 1, 1, 40),
    ]  # fmt: skip
    assert metrics_of(activity=activity)["loop_efficiency"] == {
        "weeks": 12, "retrainings": 3, "skips": 5, "promotions": 2, "rejections": 1, "insufficient_evidence": 0,
        "dislikes_used": 120, "dislikes_per_retraining": 40.0, "promotions_per_retraining": pytest.approx(2 / 3),
    }  # fmt: skip
