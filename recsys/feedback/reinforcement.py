"""What a dislike teaches: the negative example it becomes, and when enough of them ask for a new model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from recsys.config.triggers import TriggerConfig
from recsys.errors import InputError
from recsys.feedback.adjustments import apply_feature_adjustments, calculate_feature_adjustment_from_dislike
from recsys.feedback.improvement import get_feedback_improvement_metrics
from recsys.feedback.reasons import (
    CAST_DEEMPHASIS_FACTOR,
    DISLIKE_WEIGHT_MULTIPLIER,
    FRANCHISE_DEEMPHASIS_FACTOR,
    GENRE_DEEMPHASIS_FACTOR,
    base_weight,
)
from recsys.feedback.triggers import (
    FEEDBACK_ACCUMULATION_THRESHOLD,
    BacklogEvidence,
    evaluate_triggers,
)
from recsys.records import DislikeReason

DISLIKED_RATING = 0.0

__all__ = [
    "CAST_DEEMPHASIS_FACTOR",
    "DISLIKED_RATING",
    "DISLIKE_WEIGHT_MULTIPLIER",
    "FEEDBACK_ACCUMULATION_THRESHOLD",
    "FRANCHISE_DEEMPHASIS_FACTOR",
    "GENRE_DEEMPHASIS_FACTOR",
    "NegativeExample",
    "apply_dislike_to_training_data",
    "apply_feature_adjustments",
    "calculate_feature_adjustment_from_dislike",
    "get_feedback_improvement_metrics",
    "get_untrained_negative_feedback_count",
    "should_retrain_from_feedback",
]


class Backlog(Protocol):
    """Whoever knows the negative examples that no run has claimed or used."""

    def count_backlog(self, as_of: datetime) -> int:
        """Examples recorded up to `as_of`, neither claimed nor used."""
        ...

    def backlog_evidence(self, as_of: datetime) -> BacklogEvidence:
        """Size, prediction error and features of these examples."""
        ...


@dataclass(frozen=True)
class NegativeExample:
    """A dislike as training data.

    Attributes:
        user_id: who disliked.
        movie_id: TMDB id, if the film has one.
        movie_title: the film's title.
        actual_rating: 0.0, the strongest "no".
        predicted_rating: what the model had predicted, 0 to 1; None if the film was not recommended.
        error: `predicted_rating - actual_rating`; None without a prediction.
        weight: base weight before time decay, in (0, 1].
    """

    user_id: str
    movie_id: int | None
    movie_title: str | None
    actual_rating: float
    predicted_rating: float | None
    error: float | None
    weight: float


def apply_dislike_to_training_data(
    user_id: str,
    movie_id: int | None,
    movie_title: str | None,
    predicted_score: float | None = None,
    reason: str = DislikeReason.UNSPECIFIED,
) -> NegativeExample:
    """Turns a dislike into a negative training example. Writes nothing: the store does, together with the dislike.

    Raises:
        InputError: for a reason that does not train.
    """
    weight = base_weight(reason)
    if not weight > 0:
        raise InputError(f"Expected a reason that trains, got {reason!r}: it only filters the film.")
    return NegativeExample(
        user_id=user_id,
        movie_id=movie_id,
        movie_title=movie_title,
        actual_rating=DISLIKED_RATING,
        predicted_rating=predicted_score,
        error=None if predicted_score is None else predicted_score - DISLIKED_RATING,
        weight=weight,
    )


def get_untrained_negative_feedback_count(store: Backlog, as_of: datetime) -> int:
    """How many negative examples, recorded up to `as_of`, no run has claimed or used."""
    return store.count_backlog(as_of)


def should_retrain_from_feedback(
    store: Backlog,
    as_of: datetime,
    threshold: int = FEEDBACK_ACCUMULATION_THRESHOLD,
    config: TriggerConfig | None = None,
) -> bool:
    """Whether any trigger asks for a retraining: the backlog's size, its prediction error, or a feature in it.

    Args:
        store: knows the backlog.
        as_of: cut-off on `recorded_at`.
        threshold: of the backlog's size.
        config: of the other triggers, and which ones are switched on.

    Raises:
        ValueError: if `threshold` is below 1, which would retrain every time.
    """
    if threshold < 1:
        raise ValueError(f"Expected a threshold of at least 1, got {threshold}.")
    chosen = replace(config or TriggerConfig(), threshold=threshold)
    return any(report.fired for report in evaluate_triggers(store.backlog_evidence(as_of), chosen))
