"""The steps of `feedback_monitoring`: what users say, whether what comes in has changed, whether the loop still works."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.config.monitoring import MonitoringConfig
from recsys.pipeline.context import Context
from recsys.pipeline.erasure import holders, old_lists
from recsys.pipeline.monitoring import drift, feedback, loop_health, pruning
from recsys.pipeline.step import step
from recsys.times import parse_zoned_time


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
    with Context.open() as context:
        return feedback.measure(context, parse_zoned_time(as_of), parse_zoned_time(now))


@step
def measure_drift(
    run_id: str, as_of: datetime | str, now: datetime | str, drift_days: float = MonitoringConfig.drift_days
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
    config, cut_off = drift.drift_config(drift_days), parse_zoned_time(as_of)
    with Context.open() as context:
        found = drift.measure(context, cut_off, config)
        report = drift.write_down(context, found, run_id, cut_off, parse_zoned_time(now))
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
    max_refusals: int = MonitoringConfig.max_refusals,
    max_champion_days: float = MonitoringConfig.max_champion_days,
) -> dict[str, Any]:
    """Says when challengers are refused night after night, or the champion gets old. Writes nothing.

    Args:
        as_of: cut-off on `recorded_at`.
        max_refusals: alert from so many refused challengers in a row on.
        max_champion_days: alert when the champion knows nothing of more than so many of the newest days.

    Returns:
        `alerts` in plain words, `num_refusals`, `champion_version`, `champion_days`.
    """
    with Context.open() as context:
        config = MonitoringConfig(max_refusals=max_refusals, max_champion_days=max_champion_days)
        return loop_health.watch(context, parse_zoned_time(as_of), config)


@step
def prune_lists(
    now: datetime | str, keep_lists_days: float = MonitoringConfig.keep_lists_days, dry_run: bool = False
) -> dict[str, Any]:
    """Deletes old lists that are not served any more and that nobody was shown, a few at a time.

    Kept are the current lists of the champion and of the previous champion, and every list that an exposure or a dislike
    refers to. The same again finds nothing.

    Args:
        now: time of the run, by the clock of the machine.
        keep_lists_days: lists that are not older than so many days are kept, >= 0.
        dry_run: counts, and deletes nothing.

    Returns:
        `num_lists`, `kept_versions`, `dry_run`, and `summary` in words.
    """
    with Context.open() as context:
        return old_lists.prune_lists(context, parse_zoned_time(now), keep_lists_days, dry_run=dry_run)


@step
def prune_files(
    now: datetime | str, keep_files_days: float = MonitoringConfig.keep_files_days, prune_dry_run: bool = False
) -> dict[str, Any]:
    """Removes files of past runs that nothing needs any more; `recsys.pipeline.monitoring.pruning` says which.

    Args:
        now: wall-clock time.
        keep_files_days: files of a run that wrote something in so many days stay, > 0.
        prune_dry_run: only count.

    Returns:
        `num_runs` and `num_scratch_folders` of which something goes, `freed_mb`, `dry_run`.
    """
    with Context.open() as context:
        unneeded = pruning.find_unneeded(context.settings, context.store, parse_zoned_time(now), keep_files_days)
        if not prune_dry_run:
            pruning.remove(context.store, unneeded)
    return {
        "num_runs": len(unneeded.of_runs),
        "num_scratch_folders": len(unneeded.scratch),
        "freed_mb": round(unneeded.num_bytes / 1e6, 1),
        "dry_run": prune_dry_run,
    }


@step
def complete_erasures(now: datetime | str) -> dict[str, Any]:
    """Looks what still holds users who were erased, and completes the erasures of those whom nothing holds any more.

    What holds them are frozen training sets, model versions that were fitted on these, and evidence from before users had
    pseudonyms in it. Nothing is removed: `recsys erasures purge` does that.

    Args:
        now: wall-clock time, of the erasures that are complete.

    Returns:
        `num_completed`, `num_open`, and of the open ones `batches`, `model_versions`, `runs` (in MLflow, without a version),
        `files`, as far as there are any.
    """
    with Context.open() as context:
        return holders.complete_erasures(context, parse_zoned_time(now))
