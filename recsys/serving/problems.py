"""Errors as RFC 9457 problem details: which field, what was expected, what came.

No answer holds a traceback, a secret, or what a database driver said; the log does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from recsys.errors import ConflictError, ErasedError, InputError, NotFoundError, RecsysError, TransientError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:recsys:problem:"
MAX_ERRORS = 5  # a client that sends rubbish needs no list of all of it
MAX_ERRORS_BYTES = 1_400  # of the list: an answer stays below 2 kB, whatever came
MAX_SHOWN = 40  # characters of a received value, or of the name of a field that does not exist
MAX_EXPECTED = 160
MAX_DETAIL = 500

# How pydantic begins its messages -> how "Expected x to be ..." goes on.
PYDANTIC_WORDS = {
    "Input should be ": "", "Value error, ": "", "String should have ": "text with ", "List should have ": "a list with ",
}  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FieldError:
    """One wrong value. `place`: body, query, path or header."""

    place: str
    field: str
    expected: str
    received: str

    def as_json(self) -> dict[str, str]:
        """As it stands in an answer."""
        return {"in": self.place, "field": self.field, "expected": self.expected, "received": self.received}


@dataclass
class Problem(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        kind: ends the `type`: `urn:recsys:problem:<kind>`; see docs/api.md.
        detail: a sentence for people: expected, came, what to do.
        errors: the wrong values.
        headers: to send along.
    """

    status: int
    kind: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer."""
        content: dict[str, Any] = {
            "type": TYPE_PREFIX + self.kind, "title": HTTPStatus(self.status).phrase, "status": self.status,
            "detail": self.detail if len(self.detail) <= MAX_DETAIL else f"{self.detail[:MAX_DETAIL]}...",
        }  # fmt: skip
        if self.errors:
            content["errors"] = _bounded([error.as_json() for error in self.errors])
        headers = {**self.headers, "Cache-Control": "no-store"}
        return JSONResponse(content, self.status, headers=headers, media_type=MEDIA_TYPE)


def _bounded(errors: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The first errors, as many as may be shown; at least one."""
    room = MAX_ERRORS_BYTES
    chosen: list[dict[str, str]] = []
    for error in errors[:MAX_ERRORS]:
        room -= len(json.dumps(error, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if chosen and room < 0:
            break
        chosen.append(error)
    return chosen


def shown(value: object) -> str:
    """A received value, short enough to show and always fit for JSON."""
    if isinstance(value, datetime):
        value = value.isoformat()
    text = value if isinstance(value, str) else repr(value)
    quoted = f"'{text}'" if isinstance(value, str) else text
    if len(quoted) > MAX_SHOWN:
        quoted = f"{quoted[:MAX_SHOWN]}... ({len(text)} characters)"
    return quoted.encode("utf-8", "backslashreplace").decode("utf-8")


def invalid(place: str, name: str, expected: str, received: object) -> Problem:
    """422 for one wrong value."""
    return invalid_fields([FieldError(place, name, expected, shown(received))])


def invalid_fields(errors: Sequence[FieldError]) -> Problem:
    """422 for wrong values."""
    first = errors[0]
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    detail = f"Expected {first.field} ({first.place}) to be {first.expected}, got {first.received}{more}."
    return Problem(422, "invalid-values", f"{detail} Nothing was written; correct it.", errors)


def errors_of(errors: Sequence[Mapping[str, Any]], place: str | None = None) -> list[FieldError]:
    """Pydantic's errors in our words. `place`: where the values stood, if `loc` does not begin with it."""
    found = []
    for error in errors:
        location = [str(part) for part in error["loc"]]
        where = place or (location.pop(0) if location else "body")
        name = _short(".".join(location)) or where
        received = "nothing" if error["type"] == "missing" else shown(error.get("input"))
        found.append(FieldError(where, name, _expected(error)[:MAX_EXPECTED], received))
    return found


def _short(name: str) -> str:
    """The name of a field, of which a client may make up any."""
    text = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}... ({len(name)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _expected(error: Mapping[str, Any]) -> str:
    kind, message = str(error["type"]), str(error["msg"])
    if kind == "missing":
        return "given"
    if kind == "extra_forbidden":
        return "left out: there is no such field"
    if kind == "string_pattern_mismatch":
        return f"text that matches {error['ctx']['pattern']}"
    if kind == "int_parsing":
        return "a whole number"
    for start, ours in PYDANTIC_WORDS.items():
        if message.startswith(start):
            return ours + message.removeprefix(start)
    return message[:1].lower() + message[1:]


def not_found(detail: str) -> Problem:
    """404."""
    return Problem(404, "not-found", detail)


def unauthorized(detail: str, reason: str = "") -> Problem:
    """401; `reason`: `invalid_token` where one was given."""
    challenge = f'Bearer realm="recsys", error="{reason}"' if reason else 'Bearer realm="recsys"'
    return Problem(401, "not-authenticated", detail, headers={"WWW-Authenticate": challenge})


def forbidden(detail: str, errors: Sequence[FieldError] = ()) -> Problem:
    """403."""
    return Problem(403, "not-allowed", detail, errors)


def problem_of(error: RecsysError, retry_after_s: int) -> Problem:
    """The answer to an error of this package."""
    if isinstance(error, TransientError):
        log.warning("answered 503: %s", error)
        detail = (
            f"The service cannot answer now: its database is away or busy. Try again in {retry_after_s} s, a dislike with the "
            "same Idempotency-Key."
        )
        return Problem(503, "try-again", detail, headers={"Retry-After": str(retry_after_s)})
    if isinstance(error.__cause__, SQLAlchemyError):
        # Its text may quote the database's address, and what was to be written: neither is for an answer or a log.
        log.error("refused by the database: %s", cause_of(error.__cause__))
        told = "The database refused a value. Nothing was written; send plainer values."
    else:
        told = str(error)
    if isinstance(error, InputError):
        return Problem(422, "invalid-values", told)
    if isinstance(error, NotFoundError):
        return not_found(told)
    if isinstance(error, ErasedError):
        return Problem(410, "user-erased", told)
    if isinstance(error, ConflictError):
        return Problem(409, "conflict", told)
    log.error("unexpected", exc_info=error)
    return unexpected()


def cause_of(error: SQLAlchemyError) -> str:
    """What a database refused, in words that hold no value: the kind of error, and the constraint where it names one."""
    original = getattr(error, "orig", None)
    constraint = getattr(getattr(original, "diag", None), "constraint_name", None)
    named = constraint or str(getattr(original, "sqlite_errorname", ""))
    return f"{type(original or error).__name__}{f' ({named})' if named else ''}"


def unexpected() -> Problem:
    """500."""
    return Problem(500, "unexpected", "An unexpected error occurred. It was logged; try again later.")


def install(app: FastAPI, retry_after_s: int) -> None:
    """Makes every error of the application a problem."""

    async def of_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, RecsysError)
        return problem_of(error, retry_after_s).response()

    async def of_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid_fields(errors_of(error.errors())).response()

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _of_http(request, error).response()

    async def of_anything(request: Request, error: Exception) -> Response:
        return unexpected().response()

    app.add_exception_handler(Problem, of_problem)
    app.add_exception_handler(RecsysError, of_ours)
    app.add_exception_handler(RequestValidationError, of_parameters)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(Exception, of_anything)


def _methods(request: Request) -> list[str]:
    """The methods of all routes of the path; the framework names those of the first alone."""
    matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


def _of_http(request: Request, error: HTTPException) -> Problem:
    what = f"{request.method} {shown(request.url.path)}"
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return not_found(f"Expected a path of this API, got {what}: see /docs.")
    if error.status_code == 405:
        allowed = ", ".join(_methods(request))
        headers = {**{name: value for name, value in headers.items() if name.lower() != "allow"}, "Allow": allowed}
        return Problem(405, "method-not-allowed", f"Expected the method {allowed}, got {what}.", headers=headers)
    return Problem(error.status_code, "refused", str(error.detail), headers=headers)
