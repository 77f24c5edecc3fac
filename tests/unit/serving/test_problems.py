"""Errors of this package as answers."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import IntegrityError

from recsys.errors import ConflictError, DataCheckError, InputError, NotFoundError, RecsysError, TransientError
from recsys.serving.problems import problem_of, shown


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("Expected a film."), 422),
        (NotFoundError("Expected a dislike."), 404),
        (ConflictError("Expected to write."), 409),
        (TransientError("postgresql://user@secret-host is away"), 503),
        (DataCheckError("secret-host"), 500),
    ],
)
def test_each_kind_of_error_has_its_status(error: RecsysError, status: int) -> None:
    answer = problem_of(error, 5).response()
    assert answer.status_code == status
    assert answer.media_type == "application/problem+json"
    assert json.loads(answer.body)["status"] == status
    assert b"secret-host" not in answer.body
    assert (answer.headers.get("retry-after") == "5") == (status == 503)


def test_what_a_driver_says_stays_here() -> None:
    error = InputError("The feedback database postgresql://user@secret-host refused a value")
    error.__cause__ = IntegrityError("INSERT", {}, Exception("secret"))
    assert "secret" not in problem_of(error, 5).detail


@pytest.mark.parametrize("value", ["x" * 10_000, "\ud800", ["x" * 10_000], {"a": 1}, None, 5, "\0"])
def test_a_received_value_is_shown_shortly_and_as_valid_text(value: object) -> None:
    text = shown(value)
    assert len(text) < 120
    text.encode("utf-8")
