"""Notifies Airflow that enough dislikes have gathered, once per backlog, so that retraining need not wait for the night.

A thread of its own does it: requests only leave word that something was recorded (`notice`). Airflow may be away, slow or
not there at all; then it is notified later, or the nightly run finds the backlog by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from recsys.errors import InputError, RecsysError, TransientError
from recsys.feedback.reinforcement import FEEDBACK_ACCUMULATION_THRESHOLD
from recsys.settings import ApiSettings
from recsys.store import FeedbackStore
from recsys.store.announcements import (
    Announcement,
    find_announcement,
    mark_posted,
    newest_used_batch,
    take_announcement,
)

BACKLOG_READY_URI = "recsys://feedback/backlog-ready"  # as in dags/assets.py, which cannot be imported here
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnouncerConfig:
    """Which Airflow to notify, and how patiently.

    Attributes:
        airflow_url: Airflow's address, such as `http://127.0.0.1:8080`; empty: nobody is notified.
        username: of an Airflow user who may create asset events.
        password: of that user.
        threshold: size of a backlog that is ready; the DAG decides for itself by its own threshold.
        interval_s: the backlog is counted at most once in so many seconds.
        idle_s: and at least so often, also without a notice: other programs write too.
        retry_s: wait after a failure, and time after which another process takes over from one that died; doubles
            with every failure in a row.
        max_retry_s: but not beyond this.
        timeout_s: for each request.
    """

    airflow_url: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    threshold: int = FEEDBACK_ACCUMULATION_THRESHOLD
    interval_s: float = 1.0
    idle_s: float = 60.0
    retry_s: float = 60.0
    max_retry_s: float = 900.0
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.airflow_url:
            return
        if not self.airflow_url.startswith(("http://", "https://")):
            raise InputError(f"Expected RECSYS_AIRFLOW_URL such as http://127.0.0.1:8080, got {self.airflow_url!r}.")
        if not (self.username and self.password):
            raise InputError(
                "Expected RECSYS_AIRFLOW_USERNAME and RECSYS_AIRFLOW_PASSWORD beside RECSYS_AIRFLOW_URL, got none: set "
                "both, or unset the address and leave it to the nightly run to find the backlog."
            )

    @classmethod
    def of(cls, settings: ApiSettings) -> AnnouncerConfig:
        """The configuration for the addresses and secrets of an environment."""
        return cls(settings.airflow_url, settings.airflow_username, settings.airflow_password)


class AirflowAssets:
    """Airflow's REST API, as far as it takes asset events."""

    def __init__(self, config: AnnouncerConfig) -> None:
        self._config = config
        self._url = config.airflow_url.rstrip("/")

    def post_event(self, uri: str, extra: dict[str, int | str]) -> None:
        """Creates an event of the asset with this URI.

        Raises:
            TransientError: if Airflow cannot be reached, refuses, or does not know the asset: all can be put right there.
        """
        try:
            with httpx.Client(timeout=self._config.timeout_s) as client:
                body = {"username": self._config.username, "password": self._config.password}
                token = self._ask(client, "POST", "/auth/token", json=body)["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                found = self._ask(client, "GET", "/api/v2/assets", params={"uri_pattern": uri, "limit": 100})
                ids = [asset["id"] for asset in found["assets"] if asset["uri"] == uri]
                if not ids:
                    raise TransientError(
                        f"Expected Airflow at {self._url} to know the asset {uri}, but it does not: let it read dags/."
                    )
                self._ask(client, "POST", "/api/v2/assets/events", json={"asset_id": ids[0], "extra": extra})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"Expected Airflow at {self._url} to answer, got: {error or type(error)}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TransientError(
                f"Expected Airflow's API at {self._url}, got an answer of something else ({error}): check RECSYS_AIRFLOW_URL."
            ) from error

    def _ask(self, client: httpx.Client, method: str, path: str, **given: Any) -> dict[str, Any]:
        answer = client.request(method, self._url + path, **given)
        if not answer.is_success:
            raise TransientError(
                f"Expected {method} {path} of Airflow at {self._url} to succeed, got {answer.status_code}: "
                f"{answer.text[:200]}. Check RECSYS_AIRFLOW_USERNAME, RECSYS_AIRFLOW_PASSWORD and what that user may do."
            )
        found: dict[str, Any] = answer.json()
        return found


def _utc_now() -> datetime:
    return datetime.now(UTC)


class BacklogAnnouncer:
    """Posts the asset event once per backlog; see the module.

    Of several processes one posts, whoever writes the backlog's row first; if it dies before it is done, another one
    does it. Should Airflow get the event and the answer get lost, it is posted twice: the second run finds nothing to do.

    Args:
        store: the feedback database.
        config: which Airflow to notify.
        clock: the time now, aware.
    """

    def __init__(self, store: FeedbackStore, config: AnnouncerConfig, clock: Callable[[], datetime] = _utc_now) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._airflow = AirflowAssets(config)
        self._changed = threading.Condition()
        self._is_noticed = False
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to look; without an address it does nothing."""
        if self._config.airflow_url and self._thread is None:
            self._is_stopping = False
            self._thread = threading.Thread(target=self._run, name="backlog-announcer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends, after a request under way; what was not posted is posted by the next process."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(4 * self._config.timeout_s)
            self._thread = None

    def notice(self) -> None:
        """New dislikes are on disk; returns at once."""
        with self._changed:
            self._is_noticed = True
            self._changed.notify_all()

    def look(self) -> bool:
        """Looks once, and posts if the backlog is ready and this process is the one to say so.

        Returns:
            Whether it posted.

        Raises:
            TransientError: if Airflow or the database is not available.
        """
        now = self._clock()
        with self._store.database.reading() as connection:
            after_batch = newest_used_batch(connection)
            known = find_announcement(connection, after_batch)
        if known is not None and known.posted_at is not None:
            return False
        backlog = self._store.backlog.count_backlog(now)
        if backlog < self._config.threshold:
            return False
        wanted, stale_since = Announcement(after_batch, backlog, now), now - timedelta(seconds=self._config.retry_s)
        if not self._store.database.write(lambda c: take_announcement(c, wanted, stale_since)):
            return False
        self._airflow.post_event(BACKLOG_READY_URI, {"backlog": backlog, "after_batch": after_batch})
        self._store.database.write(lambda c: mark_posted(c, after_batch, self._clock()))
        log.info("announced to Airflow: %d dislikes are waiting", backlog)
        return True

    def _run(self) -> None:
        num_failures = 0
        while True:
            try:
                self.look()
                num_failures = 0
            except RecsysError as error:
                num_failures += 1
                log.warning("the backlog was not announced, trying again later: %s", error)
            except Exception:  # whatever it was: without this thread nobody would ever notify Airflow again
                num_failures += 1
                log.exception("the backlog was not announced, trying again later")
            if not self._wait(num_failures):
                return

    def _wait(self, num_failures: int) -> bool:
        """Waits until it is time to look again; False: it is time to end."""
        config = self._config
        with self._changed:
            if num_failures:
                delay_s = min(config.retry_s * 2.0 ** min(num_failures - 1, 30), config.max_retry_s)
                self._changed.wait_for(lambda: self._is_stopping, delay_s)
            else:
                self._changed.wait_for(lambda: self._is_stopping, config.interval_s)
                self._changed.wait_for(lambda: self._is_stopping or self._is_noticed, config.idle_s)
            self._is_noticed = False
            return not self._is_stopping
