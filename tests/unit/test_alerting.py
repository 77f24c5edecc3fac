"""Alerts reach a webhook, and one that is not there harms nobody."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from recsys.alerting import MAX_DETAIL, Alert, AlertKind, deliver
from recsys.settings import AlertSettings
from tests.webhook import Webhook, running_webhook

ALERT = Alert(
    AlertKind.TASK_FAILED, "feedback_retraining: train_challenger failed.", "feedback_retraining", "manual__1",
    ("Expected weights up to 1, got 2.",), "train_challenger", "2013-06-14T02:00:00+00:00", "http://airflow/task",
)  # fmt: skip


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


def send(url: str, alert: Alert = ALERT, timeout_s: float = 5.0) -> bool:
    return deliver(alert, AlertSettings(url), timeout_s=timeout_s)


def test_a_webhook_gets_the_documented_json(webhook: Webhook) -> None:
    assert send(webhook.url)
    assert webhook.content_types == ["application/json"]
    assert webhook.bodies == [
        {
            "text": "feedback_retraining: train_challenger failed.\n- Expected weights up to 1, got 2.\nhttp://airflow/task",
            "kind": "task_failed",
            "summary": "feedback_retraining: train_challenger failed.",
            "details": ["Expected weights up to 1, got 2."],
            "dag_id": "feedback_retraining",
            "run_id": "manual__1",
            "task_id": "train_challenger",
            "due_at": "2013-06-14T02:00:00+00:00",
            "link": "http://airflow/task",
        }
    ]


@pytest.mark.parametrize(("statuses", "received"), [([503], True), ([502, 429], True), ([503, 503, 503], False)])
def test_a_webhook_that_is_busy_is_tried_three_times(webhook: Webhook, statuses: list[int], received: bool) -> None:
    webhook.statuses = list(statuses)
    assert send(webhook.url) is received
    assert len(webhook.bodies) == len(statuses) + received
    assert all(body == ALERT.as_body() for body in webhook.bodies)


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_a_webhook_that_refuses_is_told_in_the_log_without_its_secret(
    webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.statuses = [status]
    assert not send(webhook.url)
    assert len(webhook.bodies) == 1
    assert f"Expected the webhook at 127.0.0.1 to receive an alert, got status {status}" in caplog.text
    assert "secret-token" not in caplog.text


def test_nobody_at_the_address_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    assert not send(f"http://127.0.0.1:{port}/secret-token")
    assert "got ConnectionError: check RECSYS_ALERT_WEBHOOK_URL" in caplog.text
    assert "secret-token" not in caplog.text


def test_a_webhook_that_never_answers_does_not_hold_the_run_up(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        assert not send(f"http://127.0.0.1:{silent.getsockname()[1]}/secret-token", timeout_s=0.05)
    assert "the alert was logged only" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize("url", ["not a url", "ftp://host/x", "http://", "http://[", "http://exa mple/x"])
def test_an_address_that_is_none_is_told_in_the_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not send(url)
    assert "check RECSYS_ALERT_WEBHOOK_URL" in caplog.text


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (AlertKind.TASK_FAILED, logging.ERROR),
        (AlertKind.RUN_FAILED, logging.ERROR),
        (AlertKind.DEADLINE_MISSED, logging.ERROR),
        (AlertKind.ATTENTION, logging.WARNING),
    ],
)
def test_without_a_webhook_the_log_has_it(kind: AlertKind, level: int, caplog: pytest.LogCaptureFixture) -> None:
    assert not send("", Alert(kind, "summary", "d", "r", ("one", "other")))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, "alert: summary\n- one\n- other")
    ]


def test_a_long_message_is_cut(webhook: Webhook) -> None:
    assert send(webhook.url, Alert(AlertKind.ATTENTION, "s", "d", "r", ("x" * (MAX_DETAIL + 1), "short")))
    (body,) = webhook.bodies
    assert body["details"] == ["x" * MAX_DETAIL + "... (the log has all of it)", "short"]


def test_the_address_is_taken_from_the_environment_and_shown_nowhere() -> None:
    found = AlertSettings.from_environment({"RECSYS_ALERT_WEBHOOK_URL": "https://hooks/secret-token"})
    assert found.webhook_url == "https://hooks/secret-token"
    assert "secret-token" not in repr(found)
    assert AlertSettings.from_environment({}).webhook_url == ""
