"""Errors of MLflow, of its database, of the network and of the disk, by kind: try again, or do not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import NO_ROOM, NotFoundError, RecsysError, TerminalError, TransientError, is_disk_full

CONNECT_TIMEOUT_S = 8.0
MISSING = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
BUSY = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


def check_reachable(tracking_uri: str) -> None:
    """Asks a server for a sign of life, since MLflow itself waits for minutes on one that hangs.

    Raises:
        TransientError: if nothing answers within `CONNECT_TIMEOUT_S`.
    """
    import ssl
    from urllib.error import HTTPError, URLError  # they load SSL, which a store in this process does without
    from urllib.request import urlopen

    try:
        with urlopen(f"{tracking_uri.rstrip('/')}/health", timeout=CONNECT_TIMEOUT_S):
            pass
    except HTTPError:
        pass  # it answers, maybe with a question for a password: MLflow's client has that
    except OSError as error:
        if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLError):
            return  # it answers; MLflow has its own TLS settings
        raise TransientError(_away(tracking_uri, error)) from error


@contextmanager
def translated_errors(tracking_uri: str) -> Iterator[None]:
    """Turns what MLflow raises into our errors; ours pass through."""
    try:
        yield
    except RecsysError:
        raise
    except OSError as error:
        kind = TransientError if _is_transient(error) else TerminalError
        raise kind(_away(tracking_uri, error)) from error
    except _mlflow_errors() as error:
        code = getattr(error, "error_code", None)
        if code in MISSING:
            raise NotFoundError(
                f"Expected it in MLflow at {tracking_uri}, got: {error}. MLflow's Models page shows what is there."
            ) from error
        if code in BUSY or _is_transient(error):
            raise TransientError(_away(tracking_uri, error)) from error
        raise TerminalError(f"MLflow at {tracking_uri} refused: {error}") from error


def _mlflow_errors() -> tuple[type[Exception], ...]:
    """Looked up when something was raised: importing MLflow takes seconds."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError)


def _is_transient(error: BaseException | None) -> bool:
    """Whether the network, a locked database or a full disk is behind an error."""
    from sqlalchemy.exc import OperationalError

    while error is not None:
        if isinstance(error, OperationalError) or (isinstance(error, OSError) and _is_passing(error)):
            return True
        if any(os.strerror(code) in str(error) for code in NO_ROOM):  # all that a failed download leaves of its cause
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_passing(error: OSError) -> bool:
    """What `requests` raises are OSErrors without errno; a refused file or a missing one has its errno."""
    if error.errno is not None:
        return is_disk_full(error) or isinstance(error, ConnectionError | TimeoutError)
    status = getattr(getattr(error, "response", None), "status_code", None)
    is_malformed = isinstance(error, ValueError)  # an address or an answer that cannot be read
    return not is_malformed and (status is None or status >= 500 or status == 429)


def _away(tracking_uri: str, error: BaseException) -> str:
    return (
        f"Expected MLflow at {tracking_uri}, got: {getattr(error, 'orig', None) or error}. "  # not the whole SQL
        "Start the server, free disk space or correct MLFLOW_TRACKING_URI; then run the same step again."
    )
