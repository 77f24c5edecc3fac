"""What values must be before any store takes them.

Checked when something is to be recorded, not when a value is made: what is stored may be older than a check, or hold what a
catalog says (such as a TMDB id of 0), and has to be readable.
"""

from __future__ import annotations

import math
from datetime import datetime

from recsys.errors import InputError
from recsys.records import Dislike, parse_reason

MAX_TMDB_ID = 2**63 - 1  # what a BIGINT holds


def validate_dislike(dislike: Dislike) -> None:
    """Checks one dislike.

    Raises:
        InputError: naming what was expected and what came.
    """
    parse_reason(dislike.reason)
    if not dislike.user_id:
        raise InputError("Expected the user_id of the user who disliked, got an empty one.")
    if not (dislike.item_id or dislike.movie_id is not None or has_title(dislike)):
        raise InputError("Expected item_id, movie_id or movie_title to name the disliked film, got none of them.")
    if dislike.movie_id is not None and not 0 < dislike.movie_id <= MAX_TMDB_ID:
        raise InputError(f"Expected movie_id to be a TMDB id, a whole number from 1 on, got {dislike.movie_id}.")
    for name, score in (("predicted_score", dislike.predicted_score), ("claimed_score", dislike.claimed_score)):
        if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
            raise InputError(f"Expected {name} between 0 and 1, got {score}.")
    _validate_times(dislike.created_at, dislike.recorded_at)
    texts = (dislike.user_id, dislike.item_id, dislike.movie_title, dislike.feedback_text, dislike.idempotency_key)
    for value in (*texts, *dislike.genres, *dislike.cast):
        validate_text(value)


def has_title(dislike: Dislike) -> bool:
    """Whether the film's title was given."""
    return bool(dislike.movie_title and dislike.movie_title.strip())


def _validate_times(created_at: datetime, recorded_at: datetime) -> None:
    for name, moment in (("created_at", created_at), ("recorded_at", recorded_at)):
        if moment.tzinfo is None:
            raise InputError(f"Expected {name} with a time zone, got {moment.isoformat()}: say which zone is meant.")
    if recorded_at < created_at:
        raise InputError(
            f"Expected recorded_at at or after created_at, got {recorded_at.isoformat()} before "
            f"{created_at.isoformat()}: a dislike cannot be recorded before it happens."
        )


def validate_text(value: str | None) -> None:
    """Checks that every database can hold a text: no zero bytes, no halves of a surrogate pair.

    Raises:
        InputError: if not.
    """
    if value is None or (value.isascii() and "\0" not in value):
        return
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"Expected text without zero bytes and broken characters, got {value[:80]!r}.")
