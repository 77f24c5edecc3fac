import numpy as np
import pytest

from recsys.model.explanations import Terms, named_contributions, reason_sentence

TITLES = {"a": "Alien", "b": "Blade Runner", "t": "Transformers"}


def test_the_largest_part_comes_first() -> None:
    assert reason_sentence({"trend": 0.1, "like:a": 0.4, "like:b": 0.3}, TITLES, {}) == (
        "Because you liked Alien and Blade Runner; popular right now"
    )
    assert (
        reason_sentence({"trend": 0.9, "like:b": 0.3}, TITLES, {})
        == "Popular right now; because you liked Blade Runner"
    )


def test_what_adds_next_to_nothing_is_no_reason() -> None:
    assert reason_sentence({"trend": 1.0, "genre:Action": 0.0005}, TITLES, {}) == "Popular right now"


def test_a_dislike_that_lowered_the_score_is_told_last() -> None:
    reason = reason_sentence({"dislike:t": -0.5, "genre:Crime": 0.4}, TITLES, {})
    assert reason == "Because you like Crime; ranked lower since you disliked Transformers"


def test_a_like_that_lowered_the_score_is_not_given_as_a_reason() -> None:
    assert reason_sentence({"like:a": -0.3, "trend": 0.4}, TITLES, {}) == "Popular right now"


def test_without_contributions_the_sentence_says_so() -> None:
    assert reason_sentence({}, TITLES, {}) == "Not enough is known about you or this film yet"


def test_a_feature_is_played_down_by_the_film_that_cost_it_most() -> None:
    terms = {"like:a": 2.0, "like:b": 1.5, "adjustment:genre:Sci-Fi": -0.3}
    largest = {"genre:Sci-Fi": "t", "cast:Ann": "t", "franchise:Robots": "u"}
    assert reason_sentence(terms, TITLES, largest) == (
        "Because you liked Alien and Blade Runner; less Sci-Fi since you disliked Transformers"
    )
    both = {**terms, "adjustment:cast:Ann": -0.2, "dislike:t": -0.1}
    assert reason_sentence(both, TITLES, largest).endswith(
        "; less Sci-Fi and less of Ann since you disliked Transformers"
    )
    apart = {**terms, "adjustment:franchise:Robots": -0.2, "dislike:u": -0.1, "adjustment:cast:Ann": -0.1}
    assert reason_sentence(apart, TITLES, largest).endswith(
        "; less Sci-Fi since you disliked Transformers; less of Robots since you disliked u"
    )


def test_long_histories_keep_their_sum_and_name_the_largest() -> None:
    values = np.array([0.1, -0.5, 0.0, 0.2, 0.3, 0.05, 0.01, -0.02])
    names = np.array([f"like:{name}" for name in "abcdefgh"], dtype=object)
    long = Terms(np.full(8, 1), names, values)
    short = Terms(np.array([0, 1]), np.array(["trend", "trend"], dtype=object), np.array([0.25, 0.25]))
    first, second, third = named_contributions({"trend": short, "like": long}, 3)
    assert (first, third) == ({"trend": 0.25}, {})
    assert list(second) == ["like:b", "like:e", "trend", "like:d", "like:a", "like:f", "like:*"]
    assert second["like:*"] == pytest.approx(0.01 - 0.02)
    assert sum(second.values()) == pytest.approx(values.sum() + 0.25, abs=1e-12)
