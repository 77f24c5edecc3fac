"""When the loop itself needs a look: challengers refused in a row, a champion that gets old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recsys.config.monitoring import MonitoringConfig
from recsys.errors import InputError
from recsys.pipeline.monitoring.loop_health import LoopState, loop_alerts, refusals_in_a_row
from recsys.records import Decision

NOW = datetime(2013, 6, 14, tzinfo=UTC)
DAY = timedelta(days=1)


def night(number: int, verdict: str, step: str = "decide_promotion", batch: str | None = None) -> Decision:
    at = NOW + number * DAY
    numbers = {} if step != "decide_promotion" else {"batch_id": batch or f"b{number}"}
    return Decision(f"run{number}", step, verdict, (f"{verdict} of night {number}.",), at, at, numbers)


def newest_first(*decisions: Decision) -> list[Decision]:
    return sorted(decisions, key=lambda one: one.recorded_at, reverse=True)


def row(*decisions: Decision, as_of: datetime = NOW + 99 * DAY) -> list[str]:
    return [one.run_id for one in refusals_in_a_row(newest_first(*decisions), as_of)]


def test_what_was_promoted_ends_the_row_and_what_was_skipped_does_not() -> None:
    decisions = (
        night(1, "reject"), night(2, "promote"), night(3, "reject"), night(4, "skip", "check_backlog"),
        night(5, "insufficient_evidence"), night(6, "retrain", "check_backlog"),
    )  # fmt: skip
    assert row(*decisions) == ["run5", "run3"]
    assert row(*decisions, as_of=NOW + 4 * DAY) == ["run3"]
    assert row(*decisions, as_of=NOW + 2 * DAY) == []
    assert row() == []


def test_a_challenger_that_was_judged_twice_counts_once_with_its_last_verdict() -> None:
    twice = (night(1, "insufficient_evidence", batch="b"), night(2, "reject", batch="b"))
    assert row(*twice) == ["run2"]
    assert row(*twice, night(3, "promote", batch="b")) == []


def state(num_refusals: int = 0, champion_days: float | None = 0.0) -> LoopState:
    refused = tuple(newest_first(*(night(n, "reject") for n in range(num_refusals))))
    known = None if champion_days is None else NOW - champion_days * DAY
    return LoopState(refused, None if known is None else "7", known, NOW)


@pytest.mark.parametrize(("refused", "alerts"), [(0, 0), (2, 0), (3, 1), (4, 1)])
def test_refusals_alert_from_their_threshold_on(refused: int, alerts: int) -> None:
    found = loop_alerts(state(num_refusals=refused), MonitoringConfig(max_refusals=3))
    assert len(found) == alerts
    if found:
        assert found[0].startswith(
            f"{refused} challengers in a row were not promoted; the last one: reject. reject of night"
        )


@pytest.mark.parametrize(("days", "alerts"), [(None, 0), (0.0, 0), (14.0, 0), (14.5, 1)])
def test_a_champion_alerts_once_it_is_older_than_allowed(days: float | None, alerts: int) -> None:
    found = loop_alerts(state(champion_days=days), MonitoringConfig(max_champion_days=14))
    assert len(found) == alerts
    if found:
        assert found[0].startswith("Champion version 7 has seen nothing of the last 14.5 days, 14 are allowed.")


def test_a_stream_that_ended_years_ago_makes_no_champion_old() -> None:
    assert LoopState((), "7", NOW, NOW).champion_days == 0.0
    assert LoopState((), "7", NOW, NOW - DAY).champion_days == 0.0
    assert LoopState((), "7", NOW, None).champion_days is None


@pytest.mark.parametrize("given", [{"max_refusals": 0}, {"max_champion_days": 0}, {"max_champion_days": float("nan")}])
def test_thresholds_without_sense_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^Expected max_"):
        MonitoringConfig(**given)
