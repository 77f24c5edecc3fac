"""What Airflow calls when a task has failed, a run is late, or a task found something to look at.

It only puts the alert together; `recsys.alerting` writes it to the log and posts it. DAG files never name it: it is wired in
`dags/task_defaults.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

    from recsys.alerting import Alert

TASK_FAILED, RUN_FAILED, DEADLINE_MISSED, ATTENTION = "task_failed", "run_failed", "deadline_missed", "attention"


class AlertNotifier(BaseNotifier):
    """Sends one alert.

    Args:
        kind: `task_failed` (on_failure_callback of a task), `run_failed` (on_failure_callback of a DAG), `deadline_missed`
            (the callback of a deadline) or `attention` (on_success_callback of a task whose result has a list `alerts`;
            nothing is sent while it is empty).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Nothing: no field is a template, and the DAG that `dag.test()` hands over could make no environment for one."""

    def notify(self, context: Context) -> None:
        """Sends the alert for a task's or a deadline's context; an alert that cannot be delivered is in the log."""
        from recsys.alerting import deliver

        make = {TASK_FAILED: _failed, RUN_FAILED: _run_failed, DEADLINE_MISSED: _late, ATTENTION: _found}[self.kind]
        alert = make(context)
        if alert is not None:
            deliver(alert)


def _failed(context: Context) -> Alert | None:
    error = context.get("exception")
    words = "it raised nothing: its process ended, see the log" if error is None else str(error) or repr(error)
    return _of_task(context, TASK_FAILED, "failed", [words])


def _run_failed(context: Context) -> Alert | None:
    """Airflow's scheduler sees to this one, so it also comes where a task's process was killed."""
    from recsys.alerting import Alert, AlertKind

    dag_id, run_id, last = context["dag"].dag_id, context["run_id"], context.get("ti")
    what = "" if last is None else f"{last.task_id} failed. "
    words = f"{what}The reason is in the alert of that task, or, if its process was killed, in the log."
    return Alert(
        AlertKind.RUN_FAILED, f"{dag_id}: the run failed.", dag_id, run_id, (words,), link=_run_link(dag_id, run_id)
    )


def _found(context: Context) -> Alert | None:
    ti = context["ti"]
    found = (ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index) or {}).get("alerts", [])
    return _of_task(context, ATTENTION, "found something to look at", found) if found else None


def _of_task(context: Context, kind: str, what: str, details: Sequence[str]) -> Alert:
    from recsys.alerting import Alert, AlertKind

    ti, due_at = context["ti"], getattr(context.get("dag_run"), "run_after", None)
    return Alert(
        AlertKind(kind),
        f"{ti.dag_id}: {ti.task_id} {what}.",
        ti.dag_id,
        ti.run_id,
        tuple(details),
        ti.task_id,
        None if due_at is None else due_at.isoformat(),
        getattr(ti, "log_url", None),
    )


def _late(context: Context) -> Alert | None:
    """From what Airflow says of a run that is late: the run as its REST API shows it, and the deadline. None if it is done."""
    from recsys.alerting import Alert, AlertKind

    run, due_at = context["dag_run"], context["deadline"]["deadline_time"]
    due_at = due_at if isinstance(due_at, str) else due_at.isoformat()
    if run.get("end_date"):  # Airflow forgets the deadlines of runs that succeeded, not of those that failed in time
        return None
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    return Alert(
        AlertKind.DEADLINE_MISSED,
        f"{dag_id}: the run is not done by its deadline, {due_at}.",
        dag_id,
        run_id,
        (f"It is {run.get('state') or 'in an unknown state'}. It continues: check which task delays it.",),
        due_at=due_at,
        link=_run_link(dag_id, run_id),
    )


def _run_link(dag_id: str, run_id: str) -> str | None:
    from urllib.parse import quote

    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{dag_id}/runs/{quote(run_id)}" if base else None
