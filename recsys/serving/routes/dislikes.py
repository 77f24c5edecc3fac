"""Dislikes: record, list, take back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from recsys.errors import InputError
from recsys.feedback.handler import StoredDislike
from recsys.feedback.reasons import reasons_table
from recsys.records import Dislike
from recsys.serving.answers import DislikeAnswer, HistoryAnswer, HistoryEntry, UndoAnswer
from recsys.serving.auth.identity import Caller
from recsys.serving.openapi import (
    IDEMPOTENCY_PARAMETER,
    SECURED,
    USER_PARAMETER,
    WITH_BODY,
    answer,
    described,
    problems,
)
from recsys.serving.problems import FieldError, Problem, invalid, not_found, shown
from recsys.serving.schemas import MAX_ID, DislikeRequest, not_in_future
from recsys.serving.service import Parts, User, one_header, service_of
from recsys.store.placeholders import TITLE, TMDB

KEY = re.compile(r"[!-~]{1,200}\Z")
LAST_PAGE = 2**63 - 1

SENT = {
    "movie_id": 12345, "movie_title": "Movie Title", "recommendation_set_id": 456, "predicted_score": 0.75,
    "reason": "wrong_genre", "feedback_text": "Not my type of movie", "genres": ["Action", "Sci-Fi"],
    "cast": ["Actor 1", "Actor 2"],
}  # fmt: skip
ANSWERED = {
    "dislike_id": 17, "item_id": "tmdb:12345", "item_is_known": True, "title": "Movie Title", "reason": "wrong_genre",
    "adjustments": {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}, "recommendation_set_id": 456,
    "recommendation_set_is_known": True, "created_at": "2026-03-01T12:00:00Z",
}  # fmt: skip
UNDONE = {
    "dislike_id": 17, "item_id": "tmdb:12345", "title": "Movie Title", "reason": "wrong_genre",
    "undone_adjustments": {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}, "retracted_at": "2026-03-01T12:00:05Z",
}  # fmt: skip
RECORDED = f"""Records that a user disliked a film. Answered when it is on disk.

{reasons_table()}

A film that the catalog does not know is accepted, as is a list that is not this user's: the answer flags both.
"""
LINKS = {"undo": {"operationId": "undo_dislike", "parameters": {"dislike_id": "$response.body#/dislike_id"}}}

router = APIRouter(tags=["Dislikes"])


@router.post(
    "/api/dislike",
    status_code=201,
    operation_id="record_dislike",
    summary="Record a thumbs-down",
    description=RECORDED,
    responses={
        201: answer(DislikeAnswer, "Recorded, on disk.", ANSWERED, links=LINKS),
        **problems(*SECURED, *WITH_BODY, 409, 410),
    },
    openapi_extra=described(DislikeRequest, SENT, (USER_PARAMETER, IDEMPOTENCY_PARAMETER)),
    response_model=None,
)
async def record_dislike(request: Request) -> Response:
    """Records that a user disliked a film; see `RECORDED` for what it says to people."""
    service = service_of(request)
    caller = await service.admit(request)
    user_id, key = caller.require_user(), _idempotency_key(request)
    body = await service.read(request, DislikeRequest, service.config.max_body_bytes)
    if body.item_id is None and body.movie_id is None and body.movie_title is None:
        raise invalid("body", "item_id", "given, or movie_id, or movie_title, to name the film", "none of them")
    now = service.clock()
    created_at = not_in_future(body.created_at, now, service.config.max_clock_skew_s)
    if created_at is None:
        raise invalid("body", "created_at", f"not in the future (now: {now.isoformat()})", body.created_at)
    stored, is_new = await service.recorder.record(_dislike(body, caller, user_id, key, created_at, now))
    if is_new:
        service.metrics.dislikes.labels(stored.dislike.reason).inc()
    else:
        _require_same(body, stored, str(key))
    told = DislikeAnswer.of(stored, body.recommendation_set_id).model_dump_json()
    return Response(told, status_code=201, media_type="application/json")


def _idempotency_key(request: Request) -> str | None:
    key = one_header(request, "idempotency-key")
    if key is not None and not KEY.match(key):
        raise invalid("header", "Idempotency-Key", "1 to 200 printable ASCII characters without spaces", key)
    return key


def _dislike(
    body: DislikeRequest, caller: Caller, user_id: str, key: str | None, created_at: datetime, now: datetime
) -> Dislike:
    return Dislike(
        user_id=user_id, created_at=created_at, recorded_at=now, item_id=body.item_id, movie_id=body.movie_id,
        movie_title=body.movie_title, reason=body.reason, feedback_text=body.feedback_text,
        predicted_score=body.predicted_score if caller.is_trusted else None, claimed_score=body.predicted_score,
        recommendation_set_id=body.recommendation_set_id, idempotency_key=key, genres=tuple(body.genres),
        cast=tuple(body.cast),
    )  # fmt: skip


def _require_same(body: DislikeRequest, stored: StoredDislike, key: str) -> None:
    """Checks that a repeated key came with the event that it named first.

    What the store works out by itself where the client says nothing (film, list, time) is not compared.
    """
    first = stored.dislike
    # A placeholder's feedback moves to the film when that comes, so an id of one may have become another by now.
    item_id = None if (body.item_id or "").startswith((TMDB, TITLE)) else body.item_id
    moment = None if body.created_at is None else min(body.created_at, first.recorded_at)
    if_given: list[tuple[str, object, object]] = [
        ("item_id", item_id, first.item_id), ("movie_id", body.movie_id, first.movie_id),
        ("movie_title", body.movie_title, first.movie_title), ("created_at", moment, first.created_at),
    ]  # fmt: skip
    always: list[tuple[str, object, object]] = [
        ("reason", body.reason, first.reason), ("feedback_text", body.feedback_text, first.feedback_text),
        ("predicted_score", body.predicted_score, first.claimed_score),
        ("genres", tuple(body.genres), first.genres), ("cast", tuple(body.cast), first.cast),
    ]  # fmt: skip
    compared = [one for one in if_given if one[1] is not None] + always
    differing = [(name, came, was) for name, came, was in compared if came != was]
    if differing:
        errors = [FieldError("body", name, f"{shown(was)} as before", shown(came)) for name, came, was in differing]
        detail = (
            f"Expected the event that the Idempotency-Key {key[:40]!r} named before (dislike {stored.dislike_id}), got another "
            f"{', '.join(name for name, *_ in differing)}. Nothing was written; take a new key for a new event."
        )
        raise Problem(422, "idempotency-key-reused", detail, errors)


@router.get(
    "/api/dislike-history",
    operation_id="list_dislikes",
    summary="A user's dislikes",
    responses=problems(*SECURED, 400, 404, 422),
    openapi_extra=described(),
)
def list_dislikes(
    service: Parts,
    user_id: User,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of entries.")] = 20,
    cursor: Annotated[
        str | None,
        Query(pattern="^[0-9]{1,19}$", description="`next_cursor` of the page before.", examples=["17"]),
    ] = None,
) -> HistoryAnswer:
    """The user's own dislikes that were not taken back, newest first."""
    before = None if cursor is None else int(cursor)
    try:
        if before is not None and before > LAST_PAGE:
            raise InputError("beyond all numbers")
        found = service.store.feedback.list_dislikes(user_id, limit + 1, before)
    except InputError as error:
        if before is None:
            raise
        raise not_found(f"Expected `cursor` to be the next_cursor of one of your pages, got {cursor}.") from error
    page = found[:limit]
    return HistoryAnswer(
        dislikes=[HistoryEntry.of(stored) for stored in page],
        next_cursor=str(page[-1].dislike_id) if len(found) > limit else None,
    )


@router.delete(
    "/api/dislike/{dislike_id}",
    operation_id="undo_dislike",
    summary="Take a dislike back",
    responses={
        200: answer(UndoAnswer, "Taken back; doing it again changes nothing.", UNDONE),
        **problems(*SECURED, 400, 404, 410, 422),
    },
    openapi_extra=described(),
)
def undo_dislike(
    service: Parts, user_id: User, dislike_id: Annotated[int, Path(ge=1, le=MAX_ID, examples=[17])]
) -> UndoAnswer:
    """Undoes exactly what the dislike did: its adjustments end, and it is no negative example any more."""
    stored = service.store.feedback.retract_dislike(user_id, dislike_id, service.clock())
    assert stored.retracted_at is not None
    return UndoAnswer(
        dislike_id=stored.dislike_id, item_id=str(stored.dislike.item_id), title=str(stored.dislike.movie_title),
        reason=stored.dislike.reason, undone_adjustments=stored.adjustments, retracted_at=stored.retracted_at,
    )  # fmt: skip
