"""Headers of every answer that tell browsers what an answer may not do."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An answer of the API is data: nothing in it runs, loads or is framed, whatever a user wrote into it.
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The page /docs: scripts and requests to this service only. Swagger UI styles elements in place and has icons as data.
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
SECURITY_HEADERS = (
    (b"content-security-policy", DATA_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class SecurityHeaders:
    """ASGI middleware: adds them to every answer, that of an unexpected error too; so it goes around all others.

    Args:
        app: what answers.
        page: the path of the one page for browsers.
    """

    def __init__(self, app: ASGIApp, page: str) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = dict(SECURITY_HEADERS)
                kind = next((value for name, value in message["headers"] if name == b"content-type"), b"")
                if scope["path"] == self._page and kind.startswith(b"text/html"):
                    own[b"content-security-policy"] = PAGE_POLICY
                message["headers"] = [one for one in message["headers"] if one[0] not in own] + list(own.items())
            await send(message)

        await self._app(scope, receive, secured if scope["type"] == "http" else send)


def install(app: FastAPI, page: str) -> None:
    """Puts `SecurityHeaders` around the whole application: what `add_middleware` adds is inside of the last error handler."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: SecurityHeaders(build(), page)  # type: ignore[method-assign]
