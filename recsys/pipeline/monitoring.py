"""The steps of `feedback_monitoring`: what users say, whether what comes in has changed, whether the loop still works."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.nightly import drifting, measuring, watching
from recsys.nightly.watching import WatchConfig
from recsys.nightly.workplace import Workplace
from recsys.pipeline.step import moment, step

DRIFT_DAYS = 7.0


@step
def measure_feedback(as_of: datetime | str, now: datetime | str) -> dict[str, Any]:
    """Identifies patterns among the dislikes and measures what users say of each version; says what to look at.

    Patterns go to `dislike_patterns`, numbers of a version to its MLflow run, both under the cut-off: the same one again
    replaces patterns and adds no second point.

    Args:
        as_of: cut-off on `recorded_at`.
        now: wall clock, for the records.

    Returns:
        `alerts` in plain words; counts of patterns; `versions`: version -> dislike rate.
    """
    with Workplace.open() as place:
        return measuring.measure(place, moment(as_of), moment(now))


@step
def measure_drift(
    run_id: str, as_of: datetime | str, now: datetime | str, drift_days: float = DRIFT_DAYS
) -> dict[str, Any]:
    """Compares the newest days with what the champion learned from: inputs, reasons of dislikes, the champion's scores.

    The result goes to the decision ledger, where the drift trigger of `check_backlog` finds it, its numbers (`drift_*`) and
    a report (folder `drift`) to the champion's MLflow run, under the cut-off.

    Args:
        run_id: names the run.
        as_of: cut-off on `recorded_at`.
        now: wall clock, for the record.
        drift_days: how many of the newest days, > 0.

    Returns:
        `alerts` in plain words, `verdict` (drift, stable or not_enough), `distances` by quantity, `report`.
    """
    config, cut_off = drifting.drift_config(drift_days), moment(as_of)
    with Workplace.open() as place:
        found = drifting.measure(place, cut_off, config)
        report = drifting.write_down(place, found, run_id, cut_off, moment(now))
    return {
        "as_of": found.as_of.isoformat(),
        "alerts": found.alerts,
        "verdict": found.verdict,
        "champion_version": found.champion,
        "distances": {one.name: one.distance for one in found.drifts},
        "report": report,
    }


@step
def watch_loop(
    as_of: datetime | str,
    max_refusals: int = WatchConfig.max_refusals,
    max_champion_days: float = WatchConfig.max_champion_days,
) -> dict[str, Any]:
    """Says when challengers are refused night after night, or the champion gets old. Writes nothing.

    Args:
        as_of: cut-off on `recorded_at`.
        max_refusals: alert from so many refused challengers in a row on.
        max_champion_days: alert when the champion knows nothing of more than so many of the newest days.

    Returns:
        `alerts` in plain words, `num_refusals`, `champion_version`, `champion_days`.
    """
    with Workplace.open() as place:
        return watching.watch(place, moment(as_of), WatchConfig(max_refusals, max_champion_days))
