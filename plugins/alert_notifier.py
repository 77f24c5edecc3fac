"""What Airflow calls when a task has failed, a run is late, or a task found something to look at.

It only puts the alert together; `recsys.alerting` writes it to the log and posts it. DAG files never name it: it is wired in
`dags/task_defaults.py`.
"""

from __future__ import annotations

from airflow.sdk import BaseNotifier

TASK_FAILED, DEADLINE_MISSED, ATTENTION = "task_failed", "deadline_missed", "attention"


class AlertNotifier(BaseNotifier):
    """Sends one alert.

    Args:
        kind: `task_failed` (on_failure_callback), `deadline_missed` (the callback of a deadline) or `attention`
            (on_success_callback of a task whose result has a list `alerts`; nothing is sent while it is empty).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def notify(self, context) -> None:
        """Sends the alert for a task's or a deadline's context; an alert that cannot be delivered is in the log."""
        from recsys.alerting import deliver

        make = {TASK_FAILED: _failed, DEADLINE_MISSED: _late, ATTENTION: _found}[self.kind]
        alert = make(context)
        if alert is not None:
            deliver(alert)


def _failed(context):
    error = context.get("exception")
    words = "it raised nothing: its process ended, see the log" if error is None else str(error) or repr(error)
    return _of_task(context, TASK_FAILED, "failed", [words])


def _found(context):
    ti = context["ti"]
    found = (ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index) or {}).get("alerts", [])
    return _of_task(context, ATTENTION, "found something to look at", found) if found else None


def _of_task(context, kind, what, details):
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


def _late(context):
    """From what Airflow tells of a run that is late: the run as its REST API shows it, and the deadline. None if it is done."""
    from airflow.sdk.configuration import conf

    from recsys.alerting import Alert, AlertKind

    run, due_at = context["dag_run"], str(context["deadline"]["deadline_time"])
    if run.get("end_date"):  # Airflow forgets the deadlines of runs that succeeded, not of those that failed in time
        return None
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return Alert(
        AlertKind.DEADLINE_MISSED,
        f"{dag_id}: the run is not done by its deadline, {due_at}.",
        dag_id,
        run_id,
        (f"It is {run.get('state') or 'in an unknown state'}. Look which task holds it up; it goes on by itself.",),
        due_at=due_at,
        link=f"{base}/dags/{dag_id}/runs/{run_id}" if base else None,
    )
