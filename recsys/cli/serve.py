"""`recsys serve`: the feedback API."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from recsys.cli.output import flush, say
from recsys.errors import ConflictError, InputError, TerminalError
from recsys.files.private import keep_private
from recsys.settings import ApiSettings, Settings

GRACE_S = 30  # for requests under way when the service is asked to stop
MAX_PORT = 65_535
BACKLOG = 2_048  # connections that may wait
MAX_WORKERS = 64


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: RECSYS_API_HOST, or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_PORT, help="Port; 0 takes a free one. Default: RECSYS_API_PORT, or 8000."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=MAX_WORKERS, help="Processes that answer.")] = 1,
    user_limit: Annotated[
        str | None, typer.Option(help="Requests of one user, such as 300/minute, or none. Default: 300/minute.")
    ] = None,
    key_limit: Annotated[
        str | None, typer.Option(help="Requests of one API key over all its users. Default: 60000/minute.")
    ] = None,
) -> None:
    """Run the feedback API until Ctrl-C: dislikes, history, recommendations, erasure, metrics.

    Identity comes from API keys (`recsys api-key create`) or from users' JWTs (RECSYS_JWT_SECRET, or RECSYS_JWT_PUBLIC_KEY,
    with RECSYS_JWT_AUDIENCE and RECSYS_JWT_ISSUER). Without either, it listens on this machine only and refuses everything
    that is about a user.
    """
    given = {"host": host, "port": None if port is None else str(port), "rate_limit_per_user": user_limit,
             "rate_limit_per_key": key_limit}  # fmt: skip
    keep_private(Settings.from_environment().home, looks_inside=True)
    settings = replace(ApiSettings.from_environment(), **{name: v for name, v in given.items() if v is not None})
    is_configured = _check(settings)
    with _listening(settings) as listener, ExitStack() as stack:
        if workers > 1 and not settings.metrics_folder:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="recsys-metrics-"))
            settings = replace(settings, metrics_folder=folder)
        settings.use()
        _announce(settings, listener, workers, is_configured)
        _run(settings, listener, workers)


def _check(settings: ApiSettings) -> bool:
    """Finds what is wrong before anything listens. Returns whether anybody can be recognised."""
    from recsys.store import FeedbackStore
    from recsys.store.api_keys import list_keys

    try:
        from recsys.serving.auth.rate_limits import RateLimits, parse_limit
        from recsys.serving.auth.tokens import TokenVerifier
        from recsys.serving.backlog_ready import AnnouncerConfig
        from recsys.serving.config import ServingConfig
    except ModuleNotFoundError as error:
        raise TerminalError(f"Expected the package {error.name}, found none: install `recsys[api]`.") from error
    config = ServingConfig.of(settings)
    AnnouncerConfig.of(settings)
    TokenVerifier(config)
    RateLimits(config)
    parse_limit("RECSYS_RATE_LIMIT_FAILURES", config.rate_limit_failures)
    with FeedbackStore.open(Settings.from_environment().database_url) as store, store.database.reading() as connection:
        has_keys = any(key.revoked_at is None for key in list_keys(connection))
    if not (has_keys or config.has_jwt) and not _is_loopback(settings.host):
        raise InputError(
            f"Expected an API key or a JWT configuration before other machines may connect, found none for --host "
            f"{settings.host}: run `recsys api-key create --name NAME --scope act-for-users`, or set RECSYS_JWT_SECRET or "
            "RECSYS_JWT_PUBLIC_KEY, or leave --host out to listen on this machine only."
        )
    return has_keys or config.has_jwt


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _listening(settings: ApiSettings) -> Iterator[socket.socket]:
    """The socket, so that a port that is taken is found out here, with a word on what to do."""
    if not settings.port.isdecimal() or int(settings.port) > MAX_PORT:
        raise InputError(f"Expected RECSYS_API_PORT to be a port from 0 to {MAX_PORT}, got {settings.port!r}.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, int(settings.port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"Expected --host to be an address of this machine, got {settings.host!r}: {error}."
        ) from error
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except PermissionError as error:
            raise InputError(
                f"Expected a port that this user may use, got {settings.port}: take one from 1024."
            ) from error
        except OSError as error:
            raise ConflictError(
                f"Expected {settings.host} port {settings.port} to be free, but: {error.strerror}. Stop what uses it, or take "
                "another one with --port."
            ) from error
        listener.listen(BACKLOG)  # who connects from now on waits until the service has started
        listener.set_inheritable(True)
        yield listener


def _announce(settings: ApiSettings, listener: socket.socket, workers: int, is_configured: bool) -> None:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    url = f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}"
    say(f"Feedback API   {url}")
    say(f"Documentation  {url}/docs")
    say("Authenticate   Authorization: Bearer <API key, with X-User-ID: user>  or  Bearer <the user's JWT>")
    if not settings.airflow_url:
        say("Retraining     waits for the night; with RECSYS_AIRFLOW_URL it starts when a backlog is ready")
    if not is_configured:
        say(
            "               No API key and no JWT is configured: listening on this machine only, and every request about a"
        )
        say("               user is refused. Make a key: recsys api-key create --name NAME --scope act-for-users")
    if workers > 1 and settings.rate_limit_url.startswith("memory:"):
        say(
            f"Rate limits    Each of {workers} workers counts for itself; set RECSYS_RATE_LIMIT_URL=redis://... to share."
        )
    flush()


def _run(settings: ApiSettings, listener: socket.socket, workers: int) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from recsys.serving.config import ServingConfig
    from recsys.serving.guarded_http import DoorTimes, guarded

    given = ServingConfig.of(settings)
    config = uvicorn.Config(
        "recsys.serving.app:app_from_environment", factory=True, workers=workers, log_config=None, access_log=False,
        server_header=False, proxy_headers=bool(given.trusted_proxies), forwarded_allow_ips=[*given.trusted_proxies],
        http=guarded(DoorTimes(given.headers_timeout_s, given.body_timeout_s)), ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )  # fmt: skip
    if workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return
    server = uvicorn.Server(config)
    # When all is answered and written, the server sends itself the signal that stopped it, for whoever runs it to handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    if not server.started:
        raise TerminalError("Expected the service to start, but it did not: see above.")
