"""Feature adjustments: what each reason does, that it multiplies, fades, has a floor and is undone exactly."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.feedback.adjustments import (
    ADJUSTMENT_FLOOR,
    adjustment_contributions,
    apply_feature_adjustments,
    calculate_feature_adjustment_from_dislike,
    largest_dislikes,
)
from recsys.feedback.reasons import REASON_EFFECTS, base_weight
from recsys.records import DislikeReason, Item, UserSignal
from recsys.serving.lists import current_adjustments

FILM = {"genres": ("Action", "Sci-Fi"), "cast": ("Ann", "Bob"), "franchise": "Robots"}
NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("wrong_genre", {"genre:Action": -0.15, "genre:Sci-Fi": -0.15}),
        ("poor_quality", {"cast:Ann": -0.10, "cast:Bob": -0.10}),
        ("not_interested", {"genre:Action": -0.075, "genre:Sci-Fi": -0.075}),
        ("tired_of_franchise", {"franchise:Robots": -0.12}),
        ("already_watched", {}),
        ("unspecified", {}),
    ],
)
def test_each_reason_adjusts_its_features(reason: str, expected: dict[str, float]) -> None:
    assert calculate_feature_adjustment_from_dislike(reason, **FILM) == pytest.approx(expected)


def test_every_reason_has_an_effect() -> None:
    assert set(REASON_EFFECTS) == set(DislikeReason)
    weights = {str(reason): base_weight(reason) for reason in DislikeReason}
    assert weights == {
        "wrong_genre": 0.8, "poor_quality": 0.8, "not_interested": 0.4, "tired_of_franchise": 0.8,
        "already_watched": 0.0, "unspecified": 0.8,
    }  # fmt: skip


def test_an_adjustment_fades_with_the_half_life() -> None:
    new, old = (calculate_feature_adjustment_from_dislike("wrong_genre", ["A"], [], None, age, 10.0) for age in (0, 10))
    assert old["genre:A"] == pytest.approx(new["genre:A"] / 2)


@pytest.mark.parametrize(("age_days", "half_life_days"), [(-1.0, 10.0), (1.0, 0.0), (1.0, float("nan"))])
def test_a_dislike_from_the_future_is_refused(age_days: float, half_life_days: float) -> None:
    with pytest.raises(ValueError, match="age_days"):
        calculate_feature_adjustment_from_dislike("wrong_genre", ["A"], [], None, age_days, half_life_days)


def test_dislikes_multiply_down_to_the_floor() -> None:
    one = calculate_feature_adjustment_from_dislike("wrong_genre", ["A"])
    assert apply_feature_adjustments({"genre:A": 2.0, "genre:B": 1.0}, [one, one]) == pytest.approx(
        {"genre:A": 2.0 * 0.85**2, "genre:B": 1.0}
    )
    assert apply_feature_adjustments({}, [one] * 100) == {"genre:A": ADJUSTMENT_FLOOR}


def test_a_version_that_answers_more_strongly_raises_what_is_left_to_its_power() -> None:
    one = calculate_feature_adjustment_from_dislike("wrong_genre", ["A"])
    assert apply_feature_adjustments({}, [one, one], 3.0) == pytest.approx({"genre:A": 0.85**6})
    assert apply_feature_adjustments({}, [one] * 100, 3.0) == {"genre:A": ADJUSTMENT_FLOOR**3}


CHANGES = st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(-0.15, -0.001), max_size=3), max_size=12)


@given(CHANGES, st.integers(0, 11), st.randoms())
def test_the_order_does_not_matter_and_a_retraction_undoes_exactly(
    changes: list[dict[str, float]], taken_back: int, random: object
) -> None:
    shuffled = list(changes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert apply_feature_adjustments({}, shuffled) == apply_feature_adjustments({}, changes)
    left = [change for number, change in enumerate(changes) if number != taken_back]
    undone = apply_feature_adjustments({}, left)
    assert all(ADJUSTMENT_FLOOR <= value <= 1 for value in undone.values())
    if taken_back < len(changes):
        before = apply_feature_adjustments({}, changes)
        assert all(before[name] <= undone.get(name, 1.0) for name in before)


@given(
    st.floats(-5, 5),
    st.lists(st.sampled_from("abcd"), unique=True),
    st.dictionaries(st.sampled_from("abcd"), st.floats(ADJUSTMENT_FLOOR, 1.0)),
)
def test_contributions_sum_to_what_the_multiplier_takes(
    score: float, features: list[str], multipliers: dict[str, float]
) -> None:
    terms = adjustment_contributions(score, features, multipliers)
    left = math.prod(multipliers.get(name, 1.0) for name in features)
    assert math.fsum(terms.values()) == pytest.approx((left - 1) * max(score, 0.0), abs=1e-12)
    assert all(value <= 0 for value in terms.values())


def test_of_one_user_only_the_dislikes_that_hold_count() -> None:
    items = {"x": Item("x", "X", ("Action",)), "y": Item("y", "Y", ("Action",))}
    signals = [
        UserSignal("x", "dislike", "wrong_genre", NOW - timedelta(days=10)),
        UserSignal("y", "like", "", NOW),
        UserSignal("gone", "dislike", "wrong_genre", NOW),
    ]
    assert current_adjustments(signals, items, 10.0, NOW) == {"x": pytest.approx({"genre:Action": -0.075})}
    assert current_adjustments(signals[1:], items, 10.0, NOW) == {}


def test_the_largest_dislike_of_a_feature_is_the_one_that_changes_it_most() -> None:
    adjustments = {
        "x": {"genre:Action": -0.075, "genre:Drama": -0.075},
        "y": {"genre:Action": -0.15},
        "z": {"genre:Action": -0.15, "cast:Ann": -0.1},
    }
    assert largest_dislikes(adjustments) == {"genre:Action": "y", "genre:Drama": "x", "cast:Ann": "z"}
