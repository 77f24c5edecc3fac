"""Measures the feedback of users on their recommendations, and whether the loop is in order.

Finds **patterns** among the dislikes (genres, people and franchises that are disliked more often than users meet them, over
all users and per user), counts the **dislike rate of each model version** (shown films as denominator), and writes both
down: patterns to `dislike_patterns`, a version's numbers to its MLflow run (`served_dislike_rate` and others). It changes
neither the model nor what users are served.

It also measures **drift**: how far the newest days are from what the champion learned from (items, genres, kinds of signals,
events per user, reasons of dislikes, the champion's scores), beside the reference: how far apart such days are
otherwise. The report is in the champion's MLflow run, folder `drift`. And it **watches the loop**: challengers refused
in a row, a champion that gets old.

Beside that it compares the **registry with the audit of champions**: an alias that was moved or deleted by hand in MLflow, a
champion that was deleted there, a promotion that was interrupted. It reports them; with `repair` in the form it moves the
aliases to where the audit has them.

At the end it **deletes old lists**: those older than `keep_lists_days` that are not served any more and that nobody was shown.
The current lists of the champion and of the previous champion stay, and so does every list that an exposure or a dislike
refers to. It also **prunes files** of past runs that nothing needs any more: fitted models and Data Docs, which MLflow has too,
and the frozen training sets of versions that were never champion. The evidence behind each verdict stays for good. `recsys
storage` shows what is there and what would go.

It **completes erasures**: it looks what still holds users who were erased (frozen training sets, model versions that were
fitted on them), writes it beside each erasure, where `recsys erasures` shows it, and completes those that nothing holds any
more. Nothing is removed: `recsys erasures purge` does that, once the versions serve no more.

**Runs** every day at 04:00 UTC, after the night's retraining, or by hand.

**By hand:** *Trigger*; `as_of` repeats a past day. The same cut-off again replaces that day's patterns and doubles nothing.

| what you see | what it means |
|---|---|
| green, no alerts in the log | nothing stands out |
| green, with alerts | each alert says what stands out and what to look at; the page *Feedback* shows the numbers |
| red, "Expected MLflow" | MLflow is away: patterns are written, versions' numbers are not; the task is tried again |
| `measure_feedback` red | its message says what was expected, what came and what to do |
| `measure_drift` red | the same; the drift trigger goes by the last measurement |
| `watch_loop` red | the registry cannot be read |
| `prune_lists` red | the feedback database cannot be written; nothing is lost, the next run deletes more |
| `prune_files` red | a folder cannot be read; nothing depends on it |
| `complete_erasures` red | a folder or the registry cannot be read; the erasures stay open until the next run |
| `check_registry` red | the registry is not as the audit says; the message says what differs and what to do |

**Alerts** are in the log, in the XCom and, with `RECSYS_ALERT_WEBHOOK_URL`, posted there; every day until their cause is
gone: a pattern of high severity; the newest version is disliked significantly more often than the one before; a served
version is missing in the registry; more users had new dislikes than one run measures; drift; `max_refusals` challengers in a
row were not promoted; the champion has seen nothing of the last `max_champion_days` days.

**When red:** fix the cause and clear the task. While the alias `champion` is not where the audit has it, nothing is promoted
or published: repair it, or make another version champion with `champion_rollback`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task
from run_form import as_of_field, fields_of
from task_defaults import CUT_OFF, TASK_DEFAULTS, WITH_ALERTS, run_alerts, wall_clock

from recsys.config.monitoring import MonitoringConfig

PARAMS = {"as_of": as_of_field(), **fields_of(MonitoringConfig)}


@task(execution_timeout=timedelta(minutes=30), **WITH_ALERTS)
def measure_feedback(as_of: str) -> dict:
    """Identifies patterns, logs each version's numbers, and reports what needs attention."""
    from recsys import pipeline

    return pipeline.measure_feedback(as_of, wall_clock())


@task(execution_timeout=timedelta(hours=1), **WITH_ALERTS)
def measure_drift(as_of: str, *, run_id: str, params: dict) -> dict:
    """Compares the newest days with what the champion learned from, in a process of its own."""
    from recsys.pipeline.step_process import run_step

    return run_step("measure_drift", run_id=run_id, as_of=as_of, now=wall_clock(), drift_days=params["drift_days"])


@task(**WITH_ALERTS)
def watch_loop(as_of: str, *, params: dict) -> dict:
    """Reports when challengers are refused night after night, or the champion gets old."""
    from recsys import pipeline

    return pipeline.watch_loop(as_of, params["max_refusals"], params["max_champion_days"])


@task
def prune_lists(*, params: dict) -> dict:
    """Deletes old lists that are not served any more and that nobody was shown."""
    from recsys import pipeline

    return pipeline.prune_lists(wall_clock(), params["keep_lists_days"], dry_run=params["prune_dry_run"])


@task
def check_registry(*, params: dict) -> dict:
    """Compares aliases and champion in the registry with the audit; repairs them if the form says so."""
    from recsys import pipeline

    return pipeline.check_registry(wall_clock(), repair=params["repair"])


@task
def prune_files(*, params: dict) -> dict:
    """Removes files of past runs that nothing needs any more."""
    from recsys import pipeline

    return pipeline.prune_files(wall_clock(), params["keep_files_days"], params["prune_dry_run"])


@task
def complete_erasures() -> dict:
    """Looks what still holds users who were erased, and completes the erasures of those whom nothing holds any more."""
    from recsys import pipeline

    return pipeline.complete_erasures(wall_clock())


@dag(
    description="Daily: patterns of dislikes, dislike rates of versions, drift, and whether loop and registry are in order.",
    schedule=CronTriggerTimetable("0 4 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=2),
    params=PARAMS,
    tags=["feedback", "monitoring"],
    doc_md=__doc__,
)
def feedback_monitoring() -> None:
    """Feedback -> patterns, numbers of versions, drift, alerts; old lists and files are deleted, erasures completed."""
    measure_feedback(CUT_OFF)
    measure_drift(CUT_OFF)
    watch_loop(CUT_OFF)
    check_registry()
    prune_lists()
    prune_files()
    complete_erasures()


feedback_monitoring()
