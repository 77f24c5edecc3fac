"""The way to MLflow: a server, or a store in this process."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.registry_errors import check_reachable
from recsys.registry_file import make_store, require_own_home

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
    def _file(self) -> Path | None:
        """File of a store in this process."""
        prefix = "sqlite:///"
        return Path(self._tracking_uri.removeprefix(prefix)) if self._tracking_uri.startswith(prefix) else None

    @cached_property
    def _client(self) -> Any:
        """MLflow's client; importing MLflow takes seconds and opening a new SQLite store migrates it."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if self._is_server:
            check_reachable(self._tracking_uri)
        elif self._file is None:
            raise InputError(
                f"Expected MLFLOW_TRACKING_URI to be sqlite:///FILE or http(s)://HOST, got {self._tracking_uri!r}."
            )
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        if self._file is not None:
            make_store(self._file, self._artifact_root)
            require_own_home(self._file, self._artifact_root)
        return MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._tracking_uri)
