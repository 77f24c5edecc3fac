"""What may be recommended: the product changes items, users exclude some."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from recsys.errors import ErasedError
from recsys.serving.catalog_answers import ExclusionAnswer, ExclusionsAnswer, ItemAnswer
from recsys.serving.openapi import SECURED, WITH_BODY, answer, described, problems
from recsys.serving.problems import invalid
from recsys.serving.schemas import VISIBLE, ItemRequest
from recsys.serving.service import Parts, User, service_of
from recsys.store.api_keys import Scope

SENT = {"is_hidden": False, "available_from": "2026-03-01T00:00:00Z", "tags": ["spring"]}
ITEM = {
    "item_id": "133093", "title": "The Matrix", "genres": ["Action", "Sci-Fi"], "cast": ["Keanu Reeves"],
    "franchise": "The Matrix", "release_year": 1999, "tmdb_id": 603, "imdb_id": "tt0133093", "tags": ["spring"],
    "available_from": "2026-03-01T00:00:00Z", "available_until": "2026-06-01T00:00:00Z", "is_hidden": False,
}  # fmt: skip
EXCLUSION = {"item_id": "133093", "title": "The Matrix", "recorded_at": "2026-03-01T12:00:00Z"}
ItemPath = Annotated[
    str,
    Path(
        min_length=1, max_length=200, pattern=VISIBLE, examples=["133093"], description="The film's id in the catalog."
    ),
]

router = APIRouter()


@router.put(
    "/api/items/{item_id:path}",
    tags=["Catalog"],
    operation_id="put_item",
    summary="Say when and whether a film may be recommended",
    responses={
        200: answer(ItemAnswer, "The item as it is now.", ITEM),
        **problems(*SECURED, *WITH_BODY, 404, 409),
    },
    openapi_extra=described(ItemRequest, SENT),
)
async def put_item(request: Request, item_id: ItemPath) -> ItemAnswer:
    """Changes an item, or adds one, for which a title is needed. Needs a key with the scope `catalog:write`.

    A field that is left out keeps its value; null empties it. Sent again, it changes nothing. A film that was hidden or has
    expired is in no list from now on, also where it was published before. Training still sees it.
    """
    service = service_of(request)
    caller = await service.admit(request)
    caller.require(Scope.CATALOG_WRITE)
    body = await service.read(request, ItemRequest, service.config.max_body_bytes)
    if body.available_from and body.available_until and body.available_from >= body.available_until:
        raise invalid("body", "available_until", "later than available_from", body.available_until)
    values = body.values()
    item = await run_in_threadpool(lambda: service.store.catalog.change_item(item_id, values, service.clock()))
    return ItemAnswer.of(item)


@router.get(
    "/api/exclusions",
    tags=["Exclusions"],
    operation_id="list_exclusions",
    summary="What a user excludes",
    responses={
        200: answer(ExclusionsAnswer, "All of them, newest first.", {"exclusions": [EXCLUSION]}),
        **problems(*SECURED, 400, 422),
    },
    openapi_extra=described(),
)
def list_exclusions(service: Parts, user_id: User) -> ExclusionsAnswer:
    """Films that the user wants to see no more, newest first."""
    found = service.store.catalog.list_exclusions(user_id)
    return ExclusionsAnswer.of(found, service.store.catalog.get_items([one.item_id for one in found]))


@router.put(
    "/api/exclusions/{item_id:path}",
    tags=["Exclusions"],
    operation_id="exclude_item",
    summary="Exclude a film",
    responses={
        200: answer(ExclusionAnswer, "It is excluded; sent again, the first time counts.", EXCLUSION),
        **problems(*SECURED, 400, 404, 410, 422),
    },
    openapi_extra=described(),
)
def exclude_item(service: Parts, user_id: User, item_id: ItemPath) -> ExclusionAnswer:
    """Keeps a film out of the user's lists from now on. It is no opinion: the model learns nothing from it."""
    found = service.store.catalog.exclude_item(user_id, item_id, service.clock())
    item = service.store.catalog.get_items([item_id]).get(item_id)
    if item is None:  # it went with the user, who was erased just now
        raise ErasedError.of(frozenset([user_id]))
    return ExclusionAnswer.of(found, item)


@router.delete(
    "/api/exclusions/{item_id:path}",
    tags=["Exclusions"],
    operation_id="include_item",
    summary="Take an exclusion back",
    responses={
        200: answer(ExclusionsAnswer, "What is still excluded.", {"exclusions": []}),
        **problems(*SECURED, 400, 404, 410, 422),
    },
    openapi_extra=described(),
)
def include_item(service: Parts, user_id: User, item_id: ItemPath) -> ExclusionsAnswer:
    """The film may be in the user's lists again. Done twice, it is the same as once; 404 if it never was excluded."""
    service.store.catalog.include_item(user_id, item_id, service.clock())
    return list_exclusions(service, user_id)
