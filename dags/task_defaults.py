"""What every task of every DAG has in common: owner, retries, backoff, alerts. The one place where it is set.

Alerts go to the log and, with `RECSYS_ALERT_WEBHOOK_URL`, to a webhook (`recsys.alerting` has the JSON):

| when | how often |
|---|---|
| a task has failed for good: not at each retry, and not for the tasks behind it that did not run | once for each failure |
| a run has failed: also where the process of a task was killed, and could report nothing itself | once for each run |
| a run is not done in the time that it is given, counted from when it was queued | once for each run |
| a task with `WITH_ALERTS` returns something in its list `alerts` | with every run, so daily, until its cause is gone |
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import (
    DeadlineAlert,
    DeadlineReference,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    SyncCallback,
)
from alert_notifier import ATTENTION, DEADLINE_MISSED, RUN_FAILED, TASK_FAILED, AlertNotifier

# Only what a later try can cure is tried again. Everything else fails at once, so that a person sees it before the next
# night. A task whose process died (killed, out of memory) raised nothing: Airflow then counts it against `retries`.
TRANSIENT_ONLY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="recsys.errors.TransientError",
            action=RetryAction.RETRY,
            reason="a service is away, a lock is held or the disk is full: a later try may succeed",
        )
    ],
    default=RetryAction.FAIL,
)

TASK_DEFAULTS = {
    "owner": "recsys",
    "show_return_value_in_logs": False,  # each step writes its result into the log itself, a line per fact
    "retries": 4,
    "retry_policy": TRANSIENT_ONLY,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=10),
    "on_failure_callback": [AlertNotifier(TASK_FAILED)],
}

# Of a task that takes seconds, unless a user of the training set was erased: then it trains and evaluates again first.
RENEWAL_TIMEOUT = timedelta(hours=3)

# For a task whose result has a list `alerts`: what it found is sent, though the task is green.
WITH_ALERTS = {"on_success_callback": [AlertNotifier(ATTENTION)]}


def run_alerts(*, hours: float | None) -> dict:
    """Arguments of a DAG that make it send an alert when a run has failed, or is not done so many hours after it was queued.

    Counted from the queue, since a run that was started by hand or by an asset has no logical date; a late run goes on. The
    callback is run by the executor: no triggerer is needed.

    Args:
        hours: None for a DAG that waits for a person.
    """
    found = {"on_failure_callback": [AlertNotifier(RUN_FAILED)]}
    if hours is not None:
        found["deadline"] = DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=hours),
            callback=SyncCallback(AlertNotifier, kwargs={"kind": DEADLINE_MISSED}),
        )
    return found


def wall_clock() -> str:
    """`now` of the steps: what their records carry, also in a run for a day long past. The rows of a first try stand."""
    return datetime.now(UTC).isoformat()


# `as_of` of the steps, fixed for a run: a retry or a cleared task sees the same events. `now` is not: see `wall_clock`.
RUN_TIME = "{{ dag_run.run_after.isoformat() }}"
CUT_OFF = "{{ params.as_of or dag_run.run_after.isoformat() }}"
