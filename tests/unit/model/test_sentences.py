"""Contributions in words."""

import pytest

from recsys.model.sentences import citable, reason_sentence, row_in_words

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
    assert reason_sentence({"trend": 0.0611, "like:a": 0.0011}, TITLES, {}) == "Popular right now"
    assert list(citable({"trend": 0.94, "like:a": 0.06, "like:b": 0.04, "dislike:t": -0.04})) == ["trend", "like:a"]


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
        '; less Sci-Fi since you disliked Transformers; less of Robots since you disliked "u"'
    )


def test_what_the_counterfactual_would_contradict_is_not_named() -> None:
    terms = {"trend": 0.5, "like:a": 0.3, "like:b": 0.2, "dislike:t": -0.2, "adjustment:genre:Sci-Fi": -0.1}
    largest = {"genre:Sci-Fi": "t"}
    wrong = {"like:a", "dislike:t", "adjustment:genre:Sci-Fi"}
    assert reason_sentence(terms, TITLES, largest, wrong) == "Popular right now; because you liked Blade Runner"


def test_what_else_counts_is_said_where_what_is_named_covers_too_little() -> None:
    terms = {"like:a": 0.2, "like:b": 0.15, "like:*": 0.5, "trend": 0.15}
    assert reason_sentence(terms, TITLES, {}, num_liked=25) == (
        "Because you liked Alien, Blade Runner and 23 other films; popular right now"
    )
    assert reason_sentence(terms, TITLES, {}) == (
        "Because you liked Alien, Blade Runner and other films; popular right now"
    )
    assert reason_sentence({**terms, "like:*": 0.05}, TITLES, {}, num_liked=25) == (
        "Because you liked Alien and Blade Runner; popular right now"
    )


@pytest.mark.parametrize(
    ("terms", "num_liked", "sentence"),
    [
        ({"like:*": 0.6, "trend": 0.4}, 14, "Popular right now; 14 films you liked count towards it"),
        ({"like:a": 0.6, "trend": 0.4}, 1, "Popular right now; 1 film you liked counts towards it"),
        ({"like:*": 1.0}, None, "Films you liked count towards it"),
        ({"recent:*": 0.6, "trend": 0.4}, 3, "Popular right now; films you watched lately count towards it"),
        (
            {"recent:b": 0.3, "recent:*": 0.7},
            3,
            "Often comes next after Blade Runner and other films you watched lately",
        ),
        ({"genre:Crime": 0.3, "genre:Drama": 0.7}, 3, "Because you like Drama"),
        ({"genre:Crime": 0.5, "genre:Drama": 0.5}, 3, "Because you like Crime and its other genres"),
        ({"genre:*": 1.0}, 3, "Genres you like count towards it"),
    ],
)
def test_each_kind_has_words_for_its_remainder(terms: dict[str, float], num_liked: int | None, sentence: str) -> None:
    assert reason_sentence(terms, TITLES, {}, {"like:a"}, num_liked) == sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("trend", "popular right now"),
        ("like:a", "you liked Alien"),
        ("like:gone", 'you liked "gone"'),
        ("like:*", "other films you liked"),
        ("recent:b", "often comes next after Blade Runner"),
        ("recent:*", "often comes next after other films you watched lately"),
        ("dislike:t", "goes with Transformers, which you disliked"),
        ("dislike:*", "goes with other films you disliked"),
        ("genre:Crime", "you like Crime"),
        ("genre:*", "you like other genres of this film"),
        ("adjustment:genre:Sci-Fi", "less Sci-Fi since your dislikes"),
        ("adjustment:cast:Ann", "less of Ann since your dislikes"),
        ("of my own", "of my own"),
    ],
)
def test_every_row_has_words_with_titles(name: str, words: str) -> None:
    assert row_in_words(name, TITLES) == words


def test_an_item_that_has_its_id_for_a_title_is_cited_in_quotes() -> None:
    assert reason_sentence({"like:tt0133093": 1.0}, {"tt0133093": "tt0133093"}, {}) == 'Because you liked "tt0133093"'
