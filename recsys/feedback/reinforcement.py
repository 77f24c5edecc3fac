"""What a dislike teaches: the negative example it becomes, and when enough of them ask for a new model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

DISLIKE_WEIGHT_MULTIPLIER = 0.8  # weight of a dislike in training; a like has 1.0
FEEDBACK_ACCUMULATION_THRESHOLD = 20  # retrain after so many dislikes
GENRE_DEEMPHASIS_FACTOR = 0.15  # a disliked item's genres count so much less
CAST_DEEMPHASIS_FACTOR = 0.10
FRANCHISE_DEEMPHASIS_FACTOR = 0.12
DISLIKED_RATING = 0.0


class Backlog(Protocol):
    """Whoever knows the negative examples that no run has claimed or used."""

    def count_backlog(self, as_of: datetime) -> int:
        """Examples recorded up to `as_of`, neither claimed nor used."""
        ...


@dataclass(frozen=True)
class NegativeExample:
    """A dislike as training data.

    Attributes:
        user_id: who disliked.
        movie_id: TMDB id, if the film has one.
        movie_title: the film's title.
        actual_rating: 0.0, the strongest "no".
        predicted_rating: what the model had promised, 0 to 1; None if the film was not recommended.
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
    user_id: str, movie_id: int | None, movie_title: str | None, predicted_score: float | None = None
) -> NegativeExample:
    """Turns a dislike into a negative training example. Writes nothing: the store does, together with the dislike."""
    return NegativeExample(
        user_id=user_id,
        movie_id=movie_id,
        movie_title=movie_title,
        actual_rating=DISLIKED_RATING,
        predicted_rating=predicted_score,
        error=None if predicted_score is None else predicted_score - DISLIKED_RATING,
        weight=DISLIKE_WEIGHT_MULTIPLIER,
    )


def get_untrained_negative_feedback_count(store: Backlog, as_of: datetime) -> int:
    """How many negative examples, recorded up to `as_of`, no run has claimed or used."""
    return store.count_backlog(as_of)


def should_retrain_from_feedback(
    store: Backlog, as_of: datetime, threshold: int = FEEDBACK_ACCUMULATION_THRESHOLD
) -> bool:
    """Whether the backlog as of the cut-off has reached the threshold.

    Raises:
        ValueError: if `threshold` is below 1, which would retrain every time.
    """
    if threshold < 1:
        raise ValueError(f"Expected a threshold of at least 1, got {threshold}.")
    return get_untrained_negative_feedback_count(store, as_of) >= threshold
