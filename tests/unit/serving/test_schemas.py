"""What clients may send: the models accept exactly what their JSON schemas say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from recsys.serving.config import ServingConfig
from recsys.serving.schemas import (
    MAX_INTERACTIONS,
    DislikeRequest,
    InteractionsRequest,
    not_in_future,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WIDEST = "\U0001f600"  # 12 bytes as JSON escapes it


def accepts(text: str) -> bool:
    try:
        DislikeRequest.model_validate_json(json.dumps({"movie_title": text}))
    except ValidationError:
        return False
    return True


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
@example("\x1f")
@example("\x85")
@example("\ufeff")
@example("\u200b")
@example("\n")
@example("\0")
@example("a\0")
def test_a_title_that_is_accepted_names_something_in_every_reading(text: str) -> None:
    validator = Draft202012Validator(DislikeRequest.model_json_schema())
    assert accepts(text) == validator.is_valid({"movie_title": text})
    if accepts(text):
        assert text.strip()
        assert "\0" not in text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-01t12:00:00z", NOW),
        ("2026-03-01T14:00:00+02:00", NOW),
        ("2026-03-01T12:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-03-01T12:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    sent = json.dumps({"movie_id": 1, "created_at": text})
    assert DislikeRequest.model_validate_json(sent).created_at == moment


def test_json_has_one_kind_of_number() -> None:
    found = DislikeRequest.model_validate_json('{"movie_id": 603.0, "predicted_score": 1}')
    assert (found.movie_id, found.predicted_score) == (603, 1.0)


def test_a_moment_to_record() -> None:
    hour = timedelta(hours=1)
    assert not_in_future(None, NOW, 60) == NOW
    assert not_in_future(NOW - hour, NOW, 60) == NOW - hour
    assert not_in_future(NOW + timedelta(seconds=60), NOW, 60) == NOW
    assert not_in_future(NOW + timedelta(seconds=60.1), NOW, 60) is None
    assert not_in_future(NOW + hour, NOW, 60) is None


def test_the_largest_bodies_that_the_schemas_allow_are_within_the_limits() -> None:
    dislike = {
        "item_id": WIDEST * 200, "movie_id": 2**63 - 1, "movie_title": WIDEST * 500, "recommendation_set_id": 2**63 - 1,
        "predicted_score": 0.1234567890123456, "reason": "tired_of_franchise", "feedback_text": WIDEST * 2000,
        "genres": [WIDEST * 100] * 20, "cast": [WIDEST * 100] * 50, "created_at": "2026-03-01T12:00:00.123456+00:00",
    }  # fmt: skip
    one = {
        "item_id": WIDEST * 200, "kind": "rating", "value": -123456789.1234567, "is_like": False,
        "occurred_at": "2026-03-01T12:00:00.123456+00:00",
    }  # fmt: skip
    text = json.dumps(dislike)
    assert DislikeRequest.model_validate_json(text).movie_title == WIDEST * 500
    assert len(text) <= ServingConfig().max_body_bytes
    text = json.dumps({"interactions": [one] * MAX_INTERACTIONS})
    assert len(InteractionsRequest.model_validate_json(text).interactions) == MAX_INTERACTIONS
    assert len(text) <= ServingConfig().max_batch_bytes
