"""Patterns, metrics and the service's own health."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from recsys.serving.answers import MetricsAnswer, PatternsAnswer, Status
from recsys.serving.openapi import SECURED, answer, described, problems
from recsys.serving.service import AnyCaller, Parts
from recsys.store.api_keys import Scope

PATTERNS = {
    "reason_distribution": {"wrong_genre": 5, "poor_quality": 3},
    "recent_trend": {"total_dislikes": 8, "avg_predicted_score": 0.72},
    "total_dislikes": 15,
}
METRICS = {
    "total_negative_examples": 45, "avg_prediction_error": 0.68, "max_error": 0.95, "min_error": 0.05,
    "average_dislike_predicted_score": 0.72,
}  # fmt: skip
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter()


def json_of(value: Any) -> Response:
    """JSON of a computed result; what is not finite becomes null, since JSON has no word for it."""
    return Response(json.dumps(_finite(value), default=str, allow_nan=False), media_type="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@router.get(
    "/api/dislike-patterns",
    tags=["Insight"],
    operation_id="dislike_patterns",
    summary="What dislikes have in common",
    responses={
        200: answer(PatternsAnswer, "Reasons, trend, and what is disliked more than it is shown.", PATTERNS),
        **problems(*SECURED, 400, 422),
    },
    openapi_extra=described(),
    response_model=None,
)
def dislike_patterns(
    service: Parts,
    caller: AnyCaller,
    of: Annotated[
        Literal["user", "everybody"],
        Query(description="`user`: your own; `everybody`: over all users, for keys with the scope `metrics:read`."),
    ] = "user",
) -> Response:
    """Reasons, recent trend, and the genres, cast and franchises that are disliked more than they are shown."""
    from recsys.feedback.handler import get_dislike_pattern_analysis

    if of == "everybody":
        caller.require(Scope.METRICS_READ)
        user_id = None
    else:
        user_id = caller.require_user()
    return json_of(get_dislike_pattern_analysis(service.store.insights, user_id, as_of=service.clock()))


@router.get(
    "/api/feedback-metrics",
    tags=["Insight"],
    operation_id="feedback_metrics",
    summary="Metrics of the loop",
    responses={
        200: answer(MetricsAnswer, "Errors, rates per version, and how fast dislikes take effect.", METRICS),
        **problems(*SECURED, 400, 422),
    },
    openapi_extra=described(),
    response_model=None,
)
def feedback_metrics(service: Parts, caller: AnyCaller) -> Response:
    """Numbers over all users; for keys with the scope `metrics:read`."""
    from recsys.feedback.reinforcement import get_feedback_improvement_metrics

    caller.require(Scope.METRICS_READ)
    return json_of(get_feedback_improvement_metrics(service.store.insights, as_of=service.clock()))


@router.get(
    "/metrics",
    tags=["Operations"],
    operation_id="prometheus",
    summary="For Prometheus",
    responses={
        200: {"description": "Counters.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(*SECURED, 400, 422),
    },
    openapi_extra=described(),
    response_class=Response,
)
def prometheus(service: Parts, caller: AnyCaller) -> Response:
    """Requests, times, dislikes by reason and the backlog; for keys with the scope `metrics:read`."""
    caller.require(Scope.METRICS_READ)
    return Response(service.metrics.render(), media_type=PROMETHEUS)


@router.get("/healthz", tags=["Operations"], operation_id="healthz", summary="Whether the process answers",
            responses=problems(500))  # fmt: skip
async def healthz() -> Status:
    """Asks nothing else: restart the process if this fails."""
    return Status(status="ok")


@router.get("/readyz", tags=["Operations"], operation_id="readyz", summary="Whether requests can be served",
            responses=problems(500, 503))  # fmt: skip
def readyz(service: Parts) -> Status:
    """Whether the database can be reached and has the schema of this version; 503 if not: send no requests now."""
    service.require_ready()
    return Status(status="ready")
