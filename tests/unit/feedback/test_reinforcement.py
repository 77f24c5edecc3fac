from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.config.triggers import TriggerConfig
from recsys.feedback import reinforcement
from recsys.feedback.lifts import Basis, Comparison
from recsys.feedback.reinforcement import (
    apply_dislike_to_training_data,
    get_untrained_negative_feedback_count,
    should_retrain_from_feedback,
)
from recsys.feedback.triggers import BacklogEvidence

AS_OF = datetime(2013, 6, 1, tzinfo=UTC)


class CountedBacklog:
    """A backlog of one example per day of June 2013."""

    def count_backlog(self, as_of: datetime) -> int:
        return max((as_of - AS_OF).days, 0)

    def backlog_evidence(self, as_of: datetime) -> BacklogEvidence:
        return BacklogEvidence(self.count_backlog(as_of), 0, None, Comparison(Basis.OPINIONS, 0, 0, 0, ()))


def test_constants_are_those_of_the_original() -> None:
    assert reinforcement.DISLIKE_WEIGHT_MULTIPLIER == 0.8
    assert reinforcement.FEEDBACK_ACCUMULATION_THRESHOLD == 20
    assert reinforcement.GENRE_DEEMPHASIS_FACTOR == 0.15
    assert reinforcement.CAST_DEEMPHASIS_FACTOR == 0.10
    assert reinforcement.FRANCHISE_DEEMPHASIS_FACTOR == 0.12


@given(st.floats(0, 1))
def test_error_is_what_the_model_had_promised(score: float) -> None:
    example = apply_dislike_to_training_data("7", 603, "The Matrix", score)
    assert (example.actual_rating, example.predicted_rating, example.error, example.weight) == (0.0, score, score, 0.8)
    assert (example.user_id, example.movie_id, example.movie_title) == ("7", 603, "The Matrix")


def test_no_prediction_no_error() -> None:
    example = apply_dislike_to_training_data("7", None, None)
    assert example.predicted_rating is None
    assert example.error is None


@pytest.mark.parametrize(("day", "count", "retrains"), [(1, 0, False), (20, 19, False), (21, 20, True), (25, 24, True)])
def test_retrains_from_the_threshold_on(day: int, count: int, retrains: bool) -> None:
    as_of = AS_OF.replace(day=day)
    assert get_untrained_negative_feedback_count(CountedBacklog(), as_of) == count
    assert should_retrain_from_feedback(CountedBacklog(), as_of) is retrains


def test_switched_off_it_does_not_count() -> None:
    off = TriggerConfig(backlog_trigger=False)
    assert not should_retrain_from_feedback(CountedBacklog(), AS_OF.replace(day=25), config=off)


def test_wrong_predictions_and_features_ask_for_a_retraining_too() -> None:
    class Wrong(CountedBacklog):
        def backlog_evidence(self, as_of: datetime) -> BacklogEvidence:
            return BacklogEvidence(12, 12, 0.7, Comparison(Basis.OPINIONS, 0, 0, 0, ()))

    assert should_retrain_from_feedback(Wrong(), AS_OF)
    assert not should_retrain_from_feedback(Wrong(), AS_OF, config=TriggerConfig(error_trigger=False))


def test_own_threshold() -> None:
    assert should_retrain_from_feedback(CountedBacklog(), AS_OF.replace(day=2), threshold=1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        should_retrain_from_feedback(CountedBacklog(), AS_OF, threshold=0)
