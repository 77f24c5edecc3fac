"""The way to MLflow: a server, or a store in this process."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.registry.errors import check_reachable
from recsys.registry.local_store import make_store, missing_store, require_own_home, require_readable

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else it looks for a uv project around the current folder
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the steps have their own retries; MLflow's default waits for minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def prepare_environment() -> None:
    """Sets what MLflow reads from the environment, before it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def quieten() -> None:
    """Leaves warnings of MLflow's only; it sets up its own logging when it is imported."""
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


class MlflowConnection:
    """Where MLflow is, and its client, made on first use."""

    def __init__(self, tracking_uri: str, artifact_root: Path, link_url: str = "") -> None:
        """Remembers where things are; connects on first use.

        Args:
            tracking_uri: `sqlite:///file` for a store in this process, or the http(s) address of a server.
            artifact_root: folder of the artifacts of a store in this process; a server keeps its own.
            link_url: what links start with, if a browser reaches the server elsewhere; default: `tracking_uri`.
        """
        self._tracking_uri = tracking_uri
        self._artifact_root = artifact_root
        self._link_url = link_url or tracking_uri

    @property
    def _is_server(self) -> bool:
        return self._tracking_uri.startswith(("http://", "https://"))

    @property
    def is_local(self) -> bool:
        """Whether its store is in this process, on this machine's disk."""
        return self._file is not None

    @property
    def _file(self) -> Path | None:
        """File of a store in this process."""
        prefix = "sqlite:///"
        return Path(self._tracking_uri.removeprefix(prefix)) if self._tracking_uri.startswith(prefix) else None

    def _make_store(self) -> None:
        """Makes the file of a store in this process; whoever only reads makes none, since what they look for is not there."""
        if self._file is None:
            return
        if not self._file.exists():
            prepare_environment()
            quieten()
        make_store(self._file, self._artifact_root)

    @cached_property
    def _client(self) -> Any:
        """MLflow's client; importing MLflow takes seconds.

        Raises:
            TerminalError: if there is no store in this process, or its file is damaged or was moved.
        """
        prepare_environment()
        if self._is_server:
            check_reachable(self._tracking_uri)
        elif self._file is None:
            raise InputError(
                f"Expected MLFLOW_TRACKING_URI to be sqlite:///FILE or http(s)://HOST, got {self._tracking_uri!r}."
            )
        from mlflow import MlflowClient

        quieten()
        if self._file is not None:
            if not self._file.exists():
                raise missing_store(self._file)
            require_readable(self._file)
            require_own_home(self._file, self._artifact_root)
        return MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._tracking_uri)
