"""What a person is sent when a task fails, a run is late, or a task found something: by a real web server that receives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recsys import errors, pipeline
from recsys.pipeline import step_process
from tests.webhook import Webhook, running_webhook

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.usefixtures("airflow_database")]

NIGHT = datetime(2013, 6, 14, 4, tzinfo=UTC)


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Receives the alerts of this test."""
    with running_webhook() as running:
        monkeypatch.setenv("RECSYS_ALERT_WEBHOOK_URL", running.url)
        yield running


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Step -> what it returns, or raises."""
    given: dict[str, Any] = {name: {} for name in pipeline.STEPS}

    def answer(name: str) -> dict[str, Any]:
        if isinstance(given[name], Exception):
            raise given[name]
        return dict(given[name])

    for name in pipeline.STEPS:
        monkeypatch.setattr(pipeline, name, lambda *args, name=name, **kwargs: answer(name))
    monkeypatch.setattr(step_process, "run_step", lambda name, **kwargs: answer(name))
    return given


def test_a_failed_task_is_told_once_with_its_reason_and_then_its_run(
    answers: dict[str, Any], webhook: Webhook, run: Any
) -> None:
    answers["decide_promotion"] = errors.NotFoundError("Expected a version that was evaluated, got 7.")
    state, tasks = run("model_promotion", NIGHT, model_version="7")
    assert (state, tasks["promote"]) == ("failed", "upstream_failed")
    body, of_run = webhook.bodies
    assert (body["kind"], body["dag_id"], body["task_id"]) == ("task_failed", "model_promotion", "decide_promotion")
    assert body["run_id"].startswith("manual__")
    assert body["details"] == ["Expected a version that was evaluated, got 7."]
    assert body["due_at"] == NIGHT.isoformat()
    assert "/dags/model_promotion/runs/" in body["link"]
    assert body["text"].startswith("model_promotion: decide_promotion failed.\n- Expected a version")
    assert (of_run["kind"], of_run["run_id"], of_run["task_id"]) == ("run_failed", body["run_id"], None)
    assert of_run["details"][0].startswith("decide_promotion failed. The reason is in the alert of that task")


def test_an_alert_that_nobody_receives_changes_nothing(
    answers: dict[str, Any], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_ALERT_WEBHOOK_URL", "http://127.0.0.1:1/nobody")
    answers["measure_feedback"] = {"alerts": ["genre Horror stands out"]}
    assert run("feedback_monitoring", NIGHT)[0] == "success"


def test_what_a_green_task_found_is_told_and_silence_is_not(
    answers: dict[str, Any], webhook: Webhook, run: Any
) -> None:
    answers["measure_feedback"] = {"alerts": []}
    assert run("feedback_monitoring", NIGHT)[0] == "success"
    assert webhook.bodies == []
    answers["measure_feedback"] = {"alerts": ["genre Horror stands out", "version 9 is missing"]}
    assert run("feedback_monitoring", NIGHT)[0] == "success"
    (body,) = webhook.bodies
    assert (body["kind"], body["task_id"]) == ("attention", "measure_feedback")
    assert body["details"] == ["genre Horror stands out", "version 9 is missing"]


def test_every_dag_tells_of_failed_runs_and_has_a_deadline_that_needs_no_triggerer(dag_bag: Any) -> None:
    for dag_id, dag in dag_bag.dags.items():
        assert [callback.kind for callback in dag.on_failure_callback] == ["run_failed"], dag_id
        if dag_id == "champion_approval":
            assert not dag.deadline, "it waits for a person, who has a time limit of their own"
            continue
        (deadline,) = dag.deadline
        assert type(deadline.reference).__name__ == "DagRunQueuedAtDeadline", "other runs have no logical date"
        longest = max(task.execution_timeout for task in dag.tasks)
        assert longest <= deadline.interval <= timedelta(hours=6), dag_id
        assert type(deadline.callback).__name__ == "SyncCallback", dag_id


def miss_deadline(dag_bag: Any, **run: Any) -> None:
    """As the executor does it: by the path in the DAG's serialized form, with what the scheduler tells of the run."""
    import structlog
    from airflow.sdk.execution_time.callback_supervisor import execute_callback

    (deadline,) = dag_bag.dags["feedback_retraining"].deadline
    serialized = json.loads(json.dumps(deadline.callback.serialize()))
    told = {"dag_id": "feedback_retraining", "dag_run_id": "scheduled__1", **run}
    context = {"dag_run": told, "deadline": {"id": "1", "deadline_time": datetime(2013, 6, 14, 7, tzinfo=UTC)}}
    done = execute_callback(
        serialized["path"], {**serialized["kwargs"], "context": context}, "x.py", None, structlog.get_logger()
    )
    assert done == (True, None)


def test_a_missed_deadline_is_told(dag_bag: Any, webhook: Webhook) -> None:
    miss_deadline(dag_bag, state="running", end_date=None)
    (body,) = webhook.bodies
    assert (body["kind"], body["task_id"]) == ("deadline_missed", None)
    assert body["summary"] == "feedback_retraining: the run is not done by its deadline, 2013-06-14T07:00:00+00:00."
    assert body["details"] == ["It is running. It continues: check which task delays it."]
    assert body["due_at"] == "2013-06-14T07:00:00+00:00"
    assert body["link"].endswith("/dags/feedback_retraining/runs/scheduled__1")


def test_a_run_that_failed_in_time_is_not_late(dag_bag: Any, webhook: Webhook) -> None:
    miss_deadline(dag_bag, state="failed", end_date="2013-06-14T02:10:00Z")
    assert webhook.bodies == []
