"""The API's description: every answer that can come, with examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from recsys import __version__
from recsys.serving.problems import MEDIA_TYPE, TYPE_PREFIX
from recsys.serving.schemas import DislikeRequest, InteractionsRequest, ItemRequest

REF = "#/components/schemas/{model}"
USER_HEADER_PATTERN = "^[!-~]{1,200}$"
KEY_PATTERN = "^[!-~]{1,200}$"

DESCRIPTIONS = {
    400: "The body is no JSON, or a header came twice.",
    401: "The caller is unknown: no bearer token, or one that is wrong, revoked or expired.",
    403: "The caller may not do this.",
    404: "It does not exist, or belongs to another user.",
    409: "Another request changed the same data at the same time; send it again.",
    410: "The user was erased. Whoever runs the service can bring them back.",
    413: "The body is larger than 128 KiB, or than 1 MiB where many things come at once.",
    415: "The body is not `application/json`.",
    422: "A value is not what was expected.",
    429: "Too many requests of this user or API key.",
    500: "An unexpected error occurred.",
    503: "The database is not available; try again after `Retry-After` seconds.",
}
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {
        "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True},
        "RateLimit": {"schema": {"type": "string"}, "required": True},
        "RateLimit-Policy": {"schema": {"type": "string"}, "required": True},
    },
    503: {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}},
}
PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": f"^{TYPE_PREFIX}[a-z-]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was expected, what came, what to do."},
        "errors": {
            "type": "array",
            "description": "The wrong values.",
            "items": {
                "type": "object",
                "required": ["in", "field", "expected", "received"],
                "properties": {
                    "in": {"enum": ["body", "query", "path", "header"]},
                    "field": {"type": "string"},
                    "expected": {"type": "string"},
                    "received": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": f"{TYPE_PREFIX}invalid-values",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "Expected reason (body) to be 'wrong_genre', 'poor_quality' ..., got 'too_long'. Nothing was written; "
            "correct it.",
            "errors": [{"in": "body", "field": "reason", "expected": "'wrong_genre' ...", "received": "'too_long'"}],
        }
    ],
}
SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made by `recsys api-key create`, or a user's own JSON Web Token, whose `sub` is the user.",
    }
}
SECURED = (401, 403, 429, 500, 503)
WITH_BODY = (400, 413, 415, 422)

USER_PARAMETER = {
    "name": "X-User-ID",
    "in": "header",
    "required": False,
    "description": "The user this is about. Counts only together with an API key that may speak for users.",
    "schema": {"type": "string", "pattern": USER_HEADER_PATTERN, "examples": ["user-17"]},
}
IDEMPOTENCY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this event: sent again with the same key, it is recorded once and gets the same answer. The same "
    "key with another event is refused with 422.",
    "schema": {"type": "string", "pattern": KEY_PATTERN, "examples": ["6ad7f3e2-1f4b-4bb0-9d1c-9f8b5a3b1c55"]},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for these error answers."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted(set(statuses)):
        schema = {"$ref": REF.format(model="Problem")}
        described[status] = {"description": DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        if status in HEADERS:
            described[status]["headers"] = HEADERS[status]
    return described


def answer(model: type[BaseModel], description: str, example: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One good answer of a route that makes its response itself, or gives an example of it."""
    content = {"application/json": {"schema": {"$ref": REF.format(model=model.__name__)}, "example": example}}
    return {"description": description, "content": content, **more}


def described(
    body: type[BaseModel] | None = None,
    example: dict[str, Any] | None = None,
    parameters: tuple[dict[str, Any], ...] = (USER_PARAMETER,),
    *,
    secured: bool = True,
) -> dict[str, Any]:
    """What FastAPI cannot see of a route: the headers and the body that it reads by itself."""
    extra: dict[str, Any] = {"parameters": list(parameters)} if parameters else {}
    if secured:
        extra["security"] = [{"bearer": []}]
    if body is not None:
        content = {"schema": {"$ref": REF.format(model=body.__name__)}, "example": example}
        extra["requestBody"] = {"required": True, "content": {"application/json": content}}
    return extra


def install(app: FastAPI, answers: tuple[type[BaseModel], ...]) -> None:
    """Makes the application describe itself completely."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=__version__, description=app.description, routes=app.routes)
            components = schema.setdefault("components", {})
            known = components.setdefault("schemas", {})
            received = [(model, "validation") for model in (DislikeRequest, InteractionsRequest, ItemRequest)]
            sent = [(model, "serialization") for model in answers]
            _, definitions = models_json_schema([*received, *sent], ref_template=REF)  # type: ignore[list-item]
            for name, one in definitions["$defs"].items():
                known.setdefault(name, one)
            known["Problem"] = PROBLEM
            components["securitySchemes"] = SECURITY
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
