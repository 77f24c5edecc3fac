"""What every task of every DAG has in common: owner, retries, backoff. The one place where it is set."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

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
    "retries": 4,
    "retry_policy": TRANSIENT_ONLY,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=10),
}

# `now` and `as_of` of the steps. Both are fixed for a run, so a retry or a cleared task sees the same times.
RUN_TIME = "{{ dag_run.run_after.isoformat() }}"
CUT_OFF = "{{ params.as_of or dag_run.run_after.isoformat() }}"

# An ISO 8601 time with a zone: without one nobody knows which day it means.
ZONED_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"
