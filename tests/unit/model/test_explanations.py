import numpy as np

from recsys.model.explanations import named_contributions, reason_sentence

TITLES = {"a": "Alien", "b": "Blade Runner", "t": "Transformers"}


def test_the_largest_part_comes_first() -> None:
    assert reason_sentence({"trend": 0.1, "like:a": 0.4, "like:b": 0.3}, TITLES) == (
        "Because you liked Alien and Blade Runner; popular right now"
    )
    assert reason_sentence({"trend": 0.9, "like:b": 0.3}, TITLES) == "Popular right now; because you liked Blade Runner"


def test_what_adds_next_to_nothing_is_no_reason() -> None:
    assert reason_sentence({"trend": 1.0, "genre:Action": 0.0005}, TITLES) == "Popular right now"


def test_a_dislike_that_lowered_the_score_is_told_last() -> None:
    reason = reason_sentence({"dislike:t": -0.5, "genre:Crime": 0.4}, TITLES)
    assert reason == "Because you like Crime; ranked lower since you disliked Transformers"


def test_a_like_that_lowered_the_score_is_not_given_as_a_reason() -> None:
    assert reason_sentence({"like:a": -0.3, "trend": 0.4}, TITLES) == "Popular right now"


def test_without_contributions_the_sentence_says_so() -> None:
    assert reason_sentence({}, TITLES) == "Not enough is known about you or this film yet"


def test_long_histories_keep_their_sum_and_name_the_largest() -> None:
    values = np.array([0.1, -0.5, 0.0, 0.2, 0.3, 0.05, 0.01, -0.02])
    named = named_contributions("like", np.array(list("abcdefgh"), dtype=object), values)
    assert list(named)[:2] == ["like:b", "like:e"]
    assert set(named) == {"like:b", "like:e", "like:d", "like:a", "like:f", "like:*"}
    assert abs(sum(named.values()) - values.sum()) < 1e-12
