"""Records dislikes and gives them back, under the names of the documents.

Every way in ends in the store's one function that checks and records them: `save_dislike` here, the import, and the API, whose
recorder writes those of many requests in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from recsys.errors import InputError
from recsys.feedback.patterns import get_dislike_pattern_analysis
from recsys.feedback.reasons import base_weight
from recsys.records import Dislike, DislikeReason, RecordedDislike, parse_reason

__all__ = [
    "DislikeStore",
    "Impact",
    "StoredDislike",
    "calculate_dislike_weight",
    "get_dislike_pattern_analysis",
    "get_user_dislikes",
    "record_feedback_impact",
    "save_dislike",
    "save_dislikes",
]


@dataclass(frozen=True)
class StoredDislike:
    """A dislike as the store has it: `dislike.item_id`, `.movie_id` and `.movie_title` are resolved.

    Attributes:
        dislike_id: its number.
        dislike: what was recorded; `predicted_score` is the one that counts.
        retracted_at: when the user took it back, or None.
        adjustments: what it did at once: feature (`genre:Action`) -> change of its importance, in (-1, 0).
    """

    dislike_id: int
    dislike: Dislike
    retracted_at: datetime | None = None
    adjustments: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Impact:
    """One thing that a dislike did to the model.

    Attributes:
        dislike_id: the dislike.
        model_version_id: the version it changed; None while there was no champion.
        impact_type: `genre_deemphasis`, `cast_deemphasis`, `franchise_deemphasis`, `filter`, `negative_example`, or a
            word of your own.
        feature_affected: such as `genre:Action` or `item:42`.
        adjustment_magnitude: size of the change, -1 to 1.
        applied_at: when.
    """

    dislike_id: int
    model_version_id: str | None
    impact_type: str
    feature_affected: str
    adjustment_magnitude: float
    applied_at: datetime


class DislikeStore(Protocol):
    """What the functions here need from a store."""

    def record_impact(self, impact: Impact) -> int:
        """Writes an impact and returns its number."""
        ...

    def record_dislikes(self, rows: Sequence[Dislike]) -> list[RecordedDislike]:
        """Writes dislikes and their negative examples in one transaction."""
        ...

    def list_dislikes(self, user_id: str, limit: int = 100, before: int | None = None) -> list[StoredDislike]:
        """A user's dislikes that were not taken back, newest first."""
        ...


def save_dislike(
    store: DislikeStore,
    *,
    user_id: str,
    recorded_at: datetime,
    created_at: datetime | None = None,
    item_id: str | None = None,
    movie_id: int | None = None,
    movie_title: str | None = None,
    recommendation_set_id: int | None = None,
    predicted_score: float | None = None,
    reason: str = DislikeReason.UNSPECIFIED,
    feedback_text: str | None = None,
    genres: Sequence[str] = (),
    cast: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> int:
    """Records one dislike together with its negative example.

    Args:
        store: where to.
        user_id: who disliked.
        recorded_at: now.
        created_at: when the user clicked; by default `recorded_at`.
        item_id: the film's id in our catalog; or
        movie_id: its TMDB id; or
        movie_title: at least its title.
        recommendation_set_id: the list that held it; looked up if it is not given.
        predicted_score: what the model had predicted, 0 to 1. Where the user was given the film in a list that is known,
            the list's own score counts instead.
        reason: one of `DislikeReason`; `already_watched` filters the film and does not train.
        feedback_text: the user's own words.
        genres: of the film, as the client saw them.
        cast: of the film, as the client saw it.
        idempotency_key: the same key of the same user twice is one dislike.

    Returns:
        The `dislike_id`; of the first call, if the key was used before.

    Raises:
        InputError: if a value is not what it should be.
    """
    dislike = Dislike(
        user_id=user_id, created_at=created_at or recorded_at, recorded_at=recorded_at, item_id=item_id,
        movie_id=movie_id, movie_title=movie_title, reason=parse_reason(reason), feedback_text=feedback_text,
        predicted_score=predicted_score, recommendation_set_id=recommendation_set_id, idempotency_key=idempotency_key,
        genres=tuple(genres), cast=tuple(cast),
    )  # fmt: skip
    return save_dislikes(store, [dislike])[0].dislike_id


def save_dislikes(store: DislikeStore, dislikes: Sequence[Dislike]) -> list[RecordedDislike]:
    """Records many dislikes in one transaction: all of them or none. The result is in the order of `dislikes`."""
    return store.record_dislikes(dislikes)


def get_user_dislikes(
    store: DislikeStore, user_id: str, limit: int = 100, before: int | None = None
) -> list[StoredDislike]:
    """A user's dislikes that were not taken back, newest first; `before` is the last `dislike_id` of the page before.

    Raises:
        InputError: if `limit` is below 1, or `before` is no dislike of this user.
    """
    if limit < 1:
        raise InputError(f"Expected a limit of at least 1, got {limit}.")
    return store.list_dislikes(user_id, limit, before)


def record_feedback_impact(
    store: DislikeStore,
    dislike_id: int,
    model_version_id: str | None,
    impact_type: str,
    feature_affected: str,
    adjustment_magnitude: float,
    applied_at: datetime,
) -> int:
    """Records what a dislike did to a model version; see `Impact`. Returns the `impact_id`.

    What a dislike does at once, and that it trained a version, is recorded by the store itself.

    Raises:
        InputError: if the magnitude is not in -1 to 1, or there is no such dislike.
    """
    if not -1.0 <= adjustment_magnitude <= 1.0:
        raise InputError(f"Expected adjustment_magnitude between -1 and 1, got {adjustment_magnitude}.")
    if not impact_type or not feature_affected:
        raise InputError("Expected impact_type and feature_affected to say what changed, got an empty one.")
    return store.record_impact(
        Impact(dislike_id, model_version_id, impact_type, feature_affected, adjustment_magnitude, applied_at)
    )


def calculate_dislike_weight(age_days: float, half_life_days: float, reason: str = DislikeReason.UNSPECIFIED) -> float:
    """What a dislike counts in training: 0.8, times the decay by age, times its reason (see `feedback.reasons`).

    Args:
        age_days: days since the user clicked, as of the run's cut-off, >= 0.
        half_life_days: age at which the weight has halved, > 0.
        reason: one of `DislikeReason`; 0.0 comes back for one that does not train.

    Raises:
        ValueError: if the age is negative (a dislike after the cut-off: leakage) or the half-life is not positive.
    """
    if not half_life_days > 0:
        raise ValueError(f"Expected half_life_days > 0, got {half_life_days}.")
    if not age_days >= 0:
        raise ValueError(f"Expected age_days >= 0, got {age_days}: a dislike after the cut-off leaks.")
    return float(base_weight(reason) * 0.5 ** (age_days / half_life_days))
