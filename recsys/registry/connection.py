"""The way to MLflow: a server, or a store in this process."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.registry.errors import check_reachable
from recsys.registry.local_store import make_store, missing_store, require_own_home, require_readable, require_whole

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
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.link_url = link_url or tracking_uri

    @property
    def is_server(self) -> bool:
        """Whether MLflow is a server."""
        return self.tracking_uri.startswith(("http://", "https://"))

    @property
    def is_local(self) -> bool:
        """Whether its store is in this process, on this machine's disk."""
        return self.file is not None

    @property
    def file(self) -> Path | None:
        """File of a store in this process."""
        prefix = "sqlite:///"
        return Path(self.tracking_uri.removeprefix(prefix)) if self.tracking_uri.startswith(prefix) else None

    def make_store(self) -> None:
        """Makes the file of a store in this process; whoever only reads makes none, since what they look for is not there."""
        if self.file is None:
            return
        if not self.file.exists():
            prepare_environment()
            quieten()
        make_store(self.file, self.artifact_root)

    @cached_property
    def client(self) -> Any:
        """MLflow's client; importing MLflow takes seconds.

        Raises:
            TerminalError: if there is no store in this process, or its file is damaged or was moved.
        """
        prepare_environment()
        if self.is_server:
            check_reachable(self.tracking_uri)
        elif self.file is None:
            raise InputError(
                f"Expected MLFLOW_TRACKING_URI to be sqlite:///FILE or http(s)://HOST, got {self.tracking_uri!r}."
            )
        from mlflow import MlflowClient

        quieten()
        if self.file is not None:
            if not self.file.exists():
                raise missing_store(self.file)
            require_readable(self.file)
            require_own_home(self.file, self.artifact_root)
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def has_store(self) -> bool:
        """False where a store in this process has not been made yet."""
        return self.file is None or self.file.exists()

    def require_store(self, *, reads_all: bool = False) -> None:
        """Refuses a store in this process that is gone or damaged; for whoever knows that there are versions.

        Args:
            reads_all: also reads a whole file, which takes as long as it is large.

        Raises:
            TerminalError: naming the file.
        """
        if self.file is None:
            return
        if not self.file.exists():
            raise missing_store(self.file)
        (require_whole if reads_all else require_readable)(self.file)
