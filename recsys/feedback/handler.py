"""Records dislikes and gives them back. The one way in, for the API, the imports and the tests alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from recsys.errors import InputError
from recsys.feedback.dislike_checks import parse_reason
from recsys.feedback.reinforcement import DISLIKE_WEIGHT_MULTIPLIER
from recsys.records import Dislike, DislikeReason, RecordedDislike


@dataclass(frozen=True)
class StoredDislike:
    """A dislike as the store has it: `dislike.item_id`, `.movie_id` and `.movie_title` are resolved."""

    dislike_id: int
    dislike: Dislike


class DislikeStore(Protocol):
    """What the functions here need from a store."""

    def record_dislikes(self, rows: Sequence[Dislike]) -> list[RecordedDislike]:
        """Writes dislikes and their negative examples in one transaction."""
        ...

    def list_dislikes(self, user_id: str, limit: int = 100) -> list[StoredDislike]:
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
        recommendation_set_id: the list that held it.
        predicted_score: what the model had predicted, 0 to 1.
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


def get_user_dislikes(store: DislikeStore, user_id: str, limit: int = 100) -> list[StoredDislike]:
    """A user's dislikes that were not taken back, newest first.

    Raises:
        InputError: if `limit` is below 1.
    """
    if limit < 1:
        raise InputError(f"Expected a limit of at least 1, got {limit}.")
    return store.list_dislikes(user_id, limit)


def calculate_dislike_weight(age_days: float, half_life_days: float) -> float:
    """What a dislike counts in training: `0.8 * 0.5 ** (age_days / half_life_days)`.

    Args:
        age_days: days since the user clicked, as of the run's cut-off, >= 0.
        half_life_days: age at which the weight has halved, > 0.

    Raises:
        ValueError: if the age is negative (a dislike after the cut-off: leakage) or the half-life is not positive.
    """
    if not half_life_days > 0:
        raise ValueError(f"Expected half_life_days > 0, got {half_life_days}.")
    if not age_days >= 0:
        raise ValueError(f"Expected age_days >= 0, got {age_days}: a dislike after the cut-off leaks.")
    return float(DISLIKE_WEIGHT_MULTIPLIER * 0.5 ** (age_days / half_life_days))
