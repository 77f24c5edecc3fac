"""Alerts: what a person should look at, written to the log and posted to a webhook where there is one.

The webhook (`RECSYS_ALERT_WEBHOOK_URL`) gets one POST per alert, with this JSON object:

| field | type | meaning |
|---|---|---|
| `text` | string | all of it in words, for chat tools that take `{"text": ...}`; what users sent is inert in it |
| `kind` | string | `task_failed`, `run_failed`, `deadline_missed` or `attention` |
| `summary` | string | one line |
| `details` | list of strings | the error's message, or each thing to look at; may hold what users sent, as it came |
| `dag_id`, `run_id` | string | the run |
| `task_id` | string or null | the task; null where it is about the whole run |
| `due_at` | string or null | when the run was due, or its deadline; ISO 8601 |
| `link` | string or null | the task or run in Airflow |

Any answer with a status below 300 counts as received. A webhook that is away, slow or refuses is tried twice more and then
logged: an alert never makes a run fail. It can arrive twice, if the answer to the first attempt got lost.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from recsys.errors import InputError, RecsysError, TransientError
from recsys.foreign_text import in_chat, set_in
from recsys.settings import AlertSettings

TIMEOUT_S = 5.0  # of each attempt, for the connection and for the answer
ATTEMPTS, PAUSE_S = 3, 0.2
BUSY = (429, 502, 503, 504)
MAX_DETAIL = 2_000  # characters; a traceback belongs in the log
log = logging.getLogger(__name__)


class AlertKind(StrEnum):
    """What an alert is about."""

    TASK_FAILED = "task_failed"
    RUN_FAILED = "run_failed"
    DEADLINE_MISSED = "deadline_missed"
    ATTENTION = "attention"  # the run is green, but what it found needs a look


LEVELS = {
    AlertKind.TASK_FAILED: logging.ERROR,
    AlertKind.RUN_FAILED: logging.ERROR,
    AlertKind.DEADLINE_MISSED: logging.ERROR,
    AlertKind.ATTENTION: logging.WARNING,
}


@dataclass(frozen=True)
class Alert:
    """One alert; the fields are those of the table above.

    Attributes:
        kind: what it is about.
        summary: one line.
        dag_id: of the run.
        run_id: of the run.
        details: what to look at.
        task_id: of the task; None where it is about the whole run.
        due_at: when the run was due, or its deadline, ISO 8601.
        link: to the task or run.
    """

    kind: AlertKind
    summary: str
    dag_id: str
    run_id: str
    details: tuple[str, ...] = ()
    task_id: str | None = None
    due_at: str | None = None
    link: str | None = None

    def as_body(self) -> dict[str, Any]:
        """What the webhook gets: JSON-able."""
        details = [_shortened(detail) for detail in self.details]
        text = self._in_words([in_chat(words) for words in (self.summary, *details)])
        return {"text": text, **asdict(self), "kind": str(self.kind), "details": details}

    def for_log(self) -> str:
        """All of it in words, for people and for a terminal."""
        return self._in_words([set_in(_shortened(words)) for words in (self.summary, *self.details)])

    def _in_words(self, lines: Sequence[str]) -> str:
        return "\n".join([lines[0], *(f"- {detail}" for detail in lines[1:]), *filter(None, [self.link])])


def _shortened(detail: str) -> str:
    return detail if len(detail) <= MAX_DETAIL else f"{detail[:MAX_DETAIL]}... (the log has all of it)"


def deliver(alert: Alert, settings: AlertSettings | None = None, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Writes an alert to the log, and posts it where a webhook is set; never raises for a webhook.

    Args:
        alert: what to send.
        settings: by default those of the environment.
        timeout_s: of each attempt.

    Returns:
        Whether the webhook received it.
    """
    url = (settings or AlertSettings.from_environment()).webhook_url
    log.log(LEVELS[alert.kind], "alert: %s", alert.for_log())
    if not url:
        return False
    try:
        post(alert.as_body(), url, timeout_s)
    except RecsysError as error:
        log.error("the alert was logged only: %s", error)
        return False
    return True


@retry(
    retry=retry_if_exception_type(TransientError),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_fixed(PAUSE_S),
    reraise=True,
)
def post(body: dict[str, Any], url: str, timeout_s: float = TIMEOUT_S) -> None:
    """Posts JSON to a webhook, up to three times while it is away or busy.

    Args:
        body: JSON-able.
        url: of the webhook. Its path may be a secret: messages name the host alone.
        timeout_s: of each attempt.

    Raises:
        TransientError: if the webhook is away or busy.
        InputError: if it refuses, or the address is none.
    """
    import requests

    try:
        # A redirected POST becomes a GET without a body: that would look like success.
        status = requests.post(url, json=body, timeout=timeout_s, allow_redirects=False).status_code
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(_expected(url, type(error).__name__)) from error
    except (requests.RequestException, ValueError) as error:
        raise InputError(_expected(url, type(error).__name__)) from error
    if status in BUSY:
        raise TransientError(_expected(url, f"status {status}"))
    if status >= 300:
        raise InputError(_expected(url, f"status {status}"))


def _expected(url: str, came: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return (
        f"Expected the webhook at {host or 'an address without a host'} to receive an alert, got {came}: check "
        "RECSYS_ALERT_WEBHOOK_URL, and whether that host can be reached from here."
    )
