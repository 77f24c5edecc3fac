"""What a night passes to its steps; the steps are recorded answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recsys import pipeline
from recsys.errors import DataCheckError
from recsys.pipeline.night import run_night

AS_OF = datetime(2013, 6, 14, tzinfo=UTC)
WALL = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
ANSWERS: dict[str, dict[str, Any]] = {
    "check_backlog": {"retrain": True, "reason": "enough"},
    "list_candidates": {"candidates": ["one", "other"]},
    "train_challenger": {"model_version": "6"},
    "evaluate_challenger": {"model_version": "7"},  # trained anew, if a user was erased meanwhile
    "decide_promotion": {"verdict": "promote", "reasons": ["better"], "model_version": "7"},
    "refit_challenger": {"model_version": "8"},
    "promote": {"to_version": "8"},
}
TIMED = ["check_backlog", "claim_backlog", "settle_backlog", "decide_promotion", "promote", "publish_recommendations"]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Step -> the arguments it was called with, in the order of the calls."""
    calls: dict[str, dict[str, Any]] = {}

    def stand_in(name: str) -> Callable[..., dict[str, Any]]:
        def answer(**arguments: Any) -> dict[str, Any]:
            calls[name] = arguments
            if name == arguments.get("batch_id"):
                raise DataCheckError("Expected weights up to 1, got 2.")
            return dict(ANSWERS.get(name, {}))

        return answer

    for name in pipeline.STEPS:
        monkeypatch.setitem(pipeline.STEPS, name, stand_in(name))
    return calls


class Clock:
    """A minute later each time it is read."""

    def __init__(self) -> None:
        self.now = WALL

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def test_each_step_writes_the_time_at_which_it_runs_and_not_that_of_the_night_s_begin(
    given: dict[str, dict[str, Any]],
) -> None:
    run_night("night", AS_OF, Clock())
    assert [name for name, arguments in given.items() if "now" in arguments] == TIMED
    assert [given[name]["now"] for name in TIMED] == [WALL + timedelta(minutes=n) for n in range(1, 7)]
    assert {given[name]["as_of"] for name in given if "as_of" in given[name]} == {AS_OF}


def test_what_was_claimed_goes_back_at_the_time_of_the_failure(given: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(DataCheckError):
        run_night("validate_training_set", AS_OF, Clock())  # the run that is named after the step that fails
    assert given["settle_backlog"] == {"batch_id": "validate_training_set", "now": WALL + timedelta(minutes=3)}
