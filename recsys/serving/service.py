"""What every request works with, and how a request is read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Protocol, TypeVar, cast

from fastapi import Depends, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from recsys.errors import RecsysError, TransientError
from recsys.feedback.handler import StoredDislike
from recsys.records import Dislike
from recsys.serving.auth.failed_attempts import FailedAttempts
from recsys.serving.auth.identity import Caller, Identity
from recsys.serving.auth.rate_limits import RateLimits
from recsys.serving.config import ServingConfig
from recsys.serving.metrics import Metrics
from recsys.serving.problems import FieldError, Problem, errors_of, invalid_fields, shown
from recsys.serving.schemas import Received
from recsys.store import FeedbackStore

log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=Received)


class Recorder(Protocol):
    """Writes dislikes; `recsys.serving.recorder.DislikeRecorder` does."""

    async def record(self, dislike: Dislike) -> tuple[StoredDislike, bool]:
        """Returns what is stored, and whether it is new, after the commit."""
        ...

    def start(self) -> None:
        """Begins to write."""
        ...

    def stop(self) -> None:
        """Writes what was given to it, then ends."""
        ...


class Announcer(Protocol):
    """Notifies the scheduler that the backlog is ready; `recsys.serving.backlog_ready.BacklogAnnouncer` does."""

    def start(self) -> None:
        """Begins to look."""
        ...

    def stop(self) -> None:
        """Ends."""
        ...

    def notice(self) -> None:
        """New dislikes are on disk; returns at once."""
        ...


@dataclass(frozen=True)
class Service:
    """The parts of one running service.

    Attributes:
        store: the feedback database.
        config: limits and waiting times.
        clock: the time now, aware.
        recorder: through which dislikes are written, many in one transaction.
        announcer: of a backlog that is ready.
        identity: tells who asks.
        limits: on requests.
        failures: of authentication, by address.
        metrics: counters.
    """

    store: FeedbackStore
    config: ServingConfig
    clock: Callable[[], datetime]
    recorder: Recorder
    announcer: Announcer | None
    identity: Identity
    limits: RateLimits
    failures: FailedAttempts
    metrics: Metrics

    async def admit(self, request: Request) -> Caller:
        """Who asks, after counting the request; a Problem for strangers and for too many requests."""
        address = request.client.host if request.client else ""
        authorization, user_header = one_header(request, "authorization"), one_header(request, "x-user-id")
        try:
            caller = await self.identity.identify(
                authorization, user_header, is_limited=self.failures.is_limited(address)
            )
        except Problem as problem:
            raise (
                self.failures.count(address) if problem.status == HTTPStatus.UNAUTHORIZED else None
            ) or problem from None
        await self.limits.count(caller)
        return caller

    def require_ready(self) -> None:
        """A 503 if the database cannot be reached or has another schema."""
        try:
            self.store.require_ready()
        except TransientError:
            raise
        except RecsysError as error:  # a terminal error for this process, but a migration ends it
            log.error("not ready: %s", error)
            raise TransientError(str(error)) from error

    async def read(self, request: Request, model: type[Body], max_bytes: int) -> Body:
        """The body of a request.

        Raises:
            Problem: 413 for one beyond the limit, 415 for another type, 400 for no JSON, 422 for wrong values.
        """
        kind = (one_header(request, "content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            detail = f"Expected Content-Type: application/json, got {shown(kind) if kind else 'none'}."
            raise Problem(415, "not-json", detail)
        body = await _limited_body(request, max_bytes)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(400, "not-json", f"Expected a body of JSON, but: {found[0]['msg']}. Nothing was written.")
        raise invalid_fields(errors_of(cast("list[dict[str, object]]", found), "body"))


async def _limited_body(request: Request, limit: int) -> bytes:
    told = one_header(request, "content-length") or "0"
    if told.isdecimal() and int(told) > limit:
        raise _too_large(limit, f"{told} bytes")
    body = bytearray()
    try:
        async for chunk in request.stream():  # a length may be wrong, or not given at all
            body += chunk
            if len(body) > limit:
                raise _too_large(limit, "more")
    except ClientDisconnect as error:  # went away, or had its time; nobody reads this answer
        raise Problem(408, "too-slow", "Expected a whole body, but the connection was closed.") from error
    return bytes(body)


def _too_large(limit: int, came: str) -> Problem:
    return Problem(413, "too-large", f"Expected a body of at most {limit} bytes, got {came}. Send less at once.")


def one_header(request: Request, name: str) -> str | None:
    """A header's value; a 400 for one that comes twice, since two readers might take different ones."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        error = FieldError("header", name, "given once", f"{len(values)} times")
        raise Problem(400, "repeated-header", f"Expected one header {name}, got {len(values)}.", [error])
    return values[0] if values else None


def service_of(request: Request) -> Service:
    """The service that runs this application."""
    return cast(Service, request.app.state.service)


async def admitted(request: Request) -> Caller:
    """Dependency: who asks."""
    return await service_of(request).admit(request)


async def admitted_user(caller: Annotated[Caller, Depends(admitted)]) -> str:
    """Dependency: the user spoken for."""
    return caller.require_user()


AnyCaller = Annotated[Caller, Depends(admitted)]
User = Annotated[str, Depends(admitted_user)]
Parts = Annotated[Service, Depends(service_of)]
