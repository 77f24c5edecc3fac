from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.feedback.handler import calculate_dislike_weight, save_dislike
from recsys.records import Dislike
from recsys.validation import validate_dislike, validate_text

NOW = datetime(2013, 6, 1, 12, tzinfo=UTC)


def dislike(**changed: object) -> Dislike:
    values = {"user_id": "7", "created_at": NOW, "recorded_at": NOW, "movie_id": 603, **changed}
    return Dislike(**values)  # type: ignore[arg-type]


def test_weight_halves_with_the_half_life() -> None:
    assert calculate_dislike_weight(0, 30) == 0.8
    assert calculate_dislike_weight(30, 30) == 0.4
    assert calculate_dislike_weight(60, 30) == 0.2


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0.01, 1e4))
def test_older_never_weighs_more(age: float, older_by: float, half_life: float) -> None:
    weight = calculate_dislike_weight(age, half_life)
    assert 0 <= calculate_dislike_weight(age + older_by, half_life) <= weight <= 0.8


@pytest.mark.parametrize(("age", "half_life"), [(-1e-9, 30), (float("nan"), 30), (1, 0), (1, -1), (1, float("nan"))])
def test_impossible_ages_are_refused(age: float, half_life: float) -> None:
    with pytest.raises(ValueError, match="Expected"):
        calculate_dislike_weight(age, half_life)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user_id": ""}, "user_id"),
        ({"reason": "boring"}, r"wrong_genre, .*, got 'boring'"),
        ({"movie_id": None}, "got none of them"),
        ({"movie_id": None, "movie_title": "  "}, "got none of them"),
        ({"movie_id": 0}, "TMDB id"),
        ({"movie_id": 2**63}, "TMDB id"),
        ({"predicted_score": 1.5}, "between 0 and 1, got 1.5"),
        ({"predicted_score": float("nan")}, "between 0 and 1"),
        ({"created_at": NOW.replace(tzinfo=None)}, "created_at with a time zone"),
        ({"recorded_at": NOW.replace(tzinfo=None)}, "recorded_at with a time zone"),
        ({"recorded_at": NOW - timedelta(microseconds=1)}, "cannot be recorded before it happens"),
        ({"feedback_text": "a\0b"}, "zero bytes"),
        ({"genres": ("Drama\0",)}, "zero bytes"),
        ({"user_id": "\ud800"}, "broken characters"),
    ],
)
def test_bad_dislikes_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate_dislike(dislike(**changed))


def test_zones_may_differ() -> None:
    validate_dislike(dislike(recorded_at=NOW.astimezone(timezone(timedelta(hours=-9)))))


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")))
def test_any_proper_text_is_taken(value: str) -> None:
    validate_text(value)


def test_unknown_reason_lists_the_known_ones() -> None:
    class NoStore:
        """Must not be reached."""

    with pytest.raises(InputError, match=r"wrong_genre, poor_quality, .*, got 'boring'"):
        save_dislike(NoStore(), user_id="7", recorded_at=NOW, movie_id=603, reason="boring")  # type: ignore[arg-type]
