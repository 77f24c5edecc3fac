"""What else a user does and gets: interactions, recommendations, being forgotten."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from recsys.records import Interaction
from recsys.serving.answers import ErasureAnswer, InteractionsAnswer, RecommendationsAnswer
from recsys.serving.openapi import SECURED, WITH_BODY, answer, described, problems
from recsys.serving.problems import forbidden, invalid
from recsys.serving.schemas import ANY_TEXT, InteractionKind, InteractionsRequest, not_in_future
from recsys.serving.service import AnyCaller, Parts, Service, User, service_of
from recsys.store.api_keys import Scope

MAX_K = 50
SENT = {
    "interactions": [
        {"item_id": "133093", "kind": "rating", "value": 9, "is_like": True, "occurred_at": "2026-03-01T12:00:00Z"},
        {"item_id": "0816692", "kind": "watch", "value": 5400},
    ]
}
LISTED = {
    "recommendation_set_id": 456, "model_version": "7", "as_of": "2026-03-01T02:00:00Z",
    "created_at": "2026-03-01T02:04:00Z", "kind": "published",
    "recommendations": [
        {
            "rank": 1, "item_id": "133093", "title": "The Matrix", "genres": ["Action", "Sci-Fi"], "score": 1.25,
            "predicted_score": 0.81, "reason": "because you liked Inception",
            "contributions": {"like:1375666": 0.75, "trend": 0.5},
        }
    ],
}  # fmt: skip
ERASED = {
    "erasure_id": 3, "user_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "erased_at": "2026-03-01T12:00:00Z", "num_rows": {"user_dislikes": 4, "interactions": 60},
    "batches": [{"batch_id": "scheduled__2026-03-01", "status": "used"}], "model_versions": ["7"],
}  # fmt: skip

router = APIRouter()


@router.post(
    "/api/interactions",
    tags=["Interactions"],
    operation_id="record_interactions",
    summary="Record what a user did with films",
    responses={
        200: answer(InteractionsAnswer, "All are on disk.", {"num_received": 2, "num_new": 2}),
        **problems(*SECURED, *WITH_BODY, 409, 410),
    },
    openapi_extra=described(InteractionsRequest, SENT),
)
async def record_interactions(request: Request) -> InteractionsAnswer:
    """Records up to 200 ratings, clicks, watches and likes of one user; all of them or none.

    May be sent again: the same film, kind and time is kept once. Films that the catalog does not know get a placeholder.
    """
    service = service_of(request)
    user_id = (await service.admit(request)).require_user()
    body = await service.read(request, InteractionsRequest, service.config.max_batch_bytes)
    rows = _interactions(service, user_id, body)
    num_new = await run_in_threadpool(lambda: service.store.feedback.insert_interactions(rows, makes_placeholders=True))
    return InteractionsAnswer(num_received=len(rows), num_new=num_new)


def _interactions(service: Service, user_id: str, body: InteractionsRequest) -> list[Interaction]:
    now = service.clock()
    rows = []
    for place, one in enumerate(body.interactions):
        moment = not_in_future(one.occurred_at, now, service.config.max_clock_skew_s)
        if moment is None:
            name = f"interactions.{place}.occurred_at"
            raise invalid("body", name, f"not in the future (now: {now.isoformat()})", one.occurred_at)
        is_like = one.kind is InteractionKind.LIKE if one.is_like is None else one.is_like
        rows.append(Interaction(user_id, one.item_id, str(one.kind), moment, now, is_like, one.value))
    return rows


@router.get(
    "/api/recommendations",
    tags=["Recommendations"],
    operation_id="recommend",
    summary="A user's recommendations",
    responses={
        200: answer(RecommendationsAnswer, "The list; that it was given is recorded.", LISTED),
        **problems(*SECURED, 400, 404, 422),
    },
    openapi_extra=described(),
)
def recommend(
    service: Parts,
    user_id: User,
    k: Annotated[int, Query(ge=1, le=MAX_K, description="Maximum number of entries.")] = 10,
) -> RecommendationsAnswer:
    """The champion's list for the user, without what was disliked or watched since, adjusted by the newest dislikes.

    404 until a first list was published.
    """
    from recsys.serving.lists import serve_list

    found = serve_list(service.store, user_id, service.clock(), k)
    items = service.store.catalog.get_items([entry.item_id for entry in found.entries])
    return RecommendationsAnswer.of(found, items)


@router.delete(
    "/api/users/{user_id:path}",
    tags=["Users"],
    operation_id="erase_user",
    summary="Erase a user",
    responses={
        200: answer(ErasureAnswer, "Erased; the audit keeps this proof.", ERASED),
        **problems(*SECURED, 400, 404, 409, 422),
    },
    openapi_extra=described(),
)
def erase_user(
    service: Parts,
    caller: AnyCaller,
    user_id: Annotated[str, Path(min_length=1, max_length=200, pattern=ANY_TEXT, examples=["user-17"])],
) -> ErasureAnswer:
    """Deletes every row about the user and names the training sets and versions that had learned from them.

    For the user's own token, a key that speaks for this user, or a key with the scope `users:erase`. The next training is
    without the user. Erasing again finds nothing and says so.
    """
    if caller.user_id != user_id and Scope.USERS_ERASE not in caller.scopes:
        raise forbidden(f"Expected this user's own request, or a key with the scope {Scope.USERS_ERASE}.")
    return ErasureAnswer.of(service.store.erasures.erase_user(user_id, caller.name, service.clock()))
