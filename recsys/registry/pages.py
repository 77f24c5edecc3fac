"""MLflow's server behind a login, with pages that open for model training: `mlflow server --app-name recsys`.

**The login.** Whoever reaches MLflow's server may replace a model, so nothing but `/health`, which says OK, is answered
without one: pages, files, REST API, GraphQL and artifacts alike, also what a later MLflow adds. It is HTTP's Basic
authentication with one name and password, `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`: MLflow's client sends
what these say, a browser asks for them. Without them the server does not start. For a login per person run MLflow's own
`--app-name basic-auth` instead; the steps send the same two variables. (That application leaves static files and
`server-info` open and needs Flask-WTF, which the lock does not hold.)

**The pages.** MLflow 3.17 opens in its mode for language models, which has no model registry and shows our experiment as
"Traces 0", and lays a chat panel over the first page. No tag of an experiment and no option of the server changes that: both
choices are kept in the browser. So the first page that a browser gets makes them, unless they were made before; a person can
still change them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any

from recsys.errors import InputError
from recsys.files.private import keep_private
from recsys.settings import RegistryLogin, Settings

OPEN_PATH = "/health"  # who starts the server asks it whether it is up
REFUSED = b"Expected a login: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or those in your browser.\n"
CHOICES = {
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
}
SCRIPT = (
    "<script>for (const [name, value] of Object.entries("
    + json.dumps({name: json.dumps(value) for name, value in CHOICES.items()})
    + ")) if (localStorage.getItem(name) === null) localStorage.setItem(name, value);</script>"
)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class LoginGate:
    """Lets only requests with the login through to an ASGI application; the outermost layer, so no route is before it.

    Args:
        app: what is behind it.
        login: what is asked for.

    Raises:
        InputError: if the login is empty, or its name holds a colon.
    """

    def __init__(self, app: App, login: RegistryLogin) -> None:
        if not (login.username and login.password) or ":" in login.username:
            raise InputError(
                "Expected MLFLOW_TRACKING_USERNAME, without a colon, and MLFLOW_TRACKING_PASSWORD for MLflow's server to ask "
                "for, found none: set both, also where the steps run. `make up` makes them by itself."
            )
        self._app = app
        self._expected = f"{login.username}:{login.password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or hands it on."""
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [
                (b"www-authenticate", b'Basic realm="MLflow", charset="UTF-8"'),
                (b"content-type", b"text/plain"),
            ]
            headers.append((b"content-length", str(len(REFUSED)).encode()))
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSED})

    def _may_pass(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and scope["path"] == OPEN_PATH:
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and compare_digest(_credentials(given[0]), self._expected)


def _credentials(header: bytes) -> bytes:
    """`name:password` of an Authorization header; empty if it is another kind or makes no sense."""
    kind, _, encoded = header.partition(b" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if kind.lower() == b"basic" else b""
    except (binascii.Error, ValueError):
        return b""


def create_app() -> Any:
    """MLflow's own application, as `mlflow server` would run it, with the script in its page and the login before all."""
    keep_private(Settings.from_environment().home, looks_inside=True)  # MLflow has made its database by now
    login = RegistryLogin.from_environment()
    from mlflow.server import app as pages
    from mlflow.server.fastapi_app import app

    pages.after_request(_with_choices)
    return LoginGate(app, login)


def _with_choices(response: Any) -> Any:
    """Puts the script before all others of the page; other answers pass as they are."""
    from flask import request

    if request.endpoint == "serve" and response.status_code == 200:  # the one page; what it shows it asks for by itself
        response.direct_passthrough = False  # else a file is sent as it lies there
        response.set_data(response.get_data(as_text=True).replace("<head>", f"<head>{SCRIPT}", 1))
        for header in ("ETag", "Last-Modified"):  # they are those of the file without the script
            response.headers.pop(header, None)
    return response
