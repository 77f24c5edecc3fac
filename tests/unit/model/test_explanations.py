"""From the terms of a score to contributions with names."""

import numpy as np
import pytest

from recsys.model.explanations import MAX_NAMED_ITEMS, TINY, Terms, named_contributions, without_tiny


def likes_of(values: list[float], score: int = 0) -> Terms:
    names = np.array([f"like:{n}" for n in range(len(values))], dtype=object)
    return Terms(np.full(len(values), score), names, np.array(values))


def test_long_histories_keep_their_sum_and_name_the_largest() -> None:
    values = np.array([0.1, -0.5, 0.0, 0.2, 0.3, 0.05, 0.01, -0.02])
    names = np.array([f"like:{name}" for name in "abcdefgh"], dtype=object)
    long = Terms(np.full(8, 1), names, values)
    short = Terms(np.array([0, 1]), np.array(["trend", "trend"], dtype=object), np.array([0.25, 0.25]))
    first, second, third = named_contributions({"trend": short, "like": long}, 3)
    assert (first, third) == ({"trend": 0.25}, {})
    assert list(second) == ["like:b", "like:e", "trend", "like:d", "like:a", "like:*"]
    assert second["like:*"] == pytest.approx(0.05 + 0.01 - 0.02)
    assert sum(second.values()) == pytest.approx(values.sum() + 0.25, abs=1e-12)


def test_a_remainder_that_would_be_large_is_split_over_its_items() -> None:
    """A history in which everything counts alike: five names would leave three quarters without one."""
    (named,) = named_contributions({"like": likes_of([0.05] * 20)}, 1)
    assert len(named) == 19
    assert named["like:*"] == pytest.approx(2 * 0.05)
    (longer,) = named_contributions({"like": likes_of([0.05] * 200)}, 1)
    assert len(longer) == MAX_NAMED_ITEMS + 1
    assert sum(longer.values()) == pytest.approx(10.0)


def test_a_remainder_of_one_term_has_its_name() -> None:
    (named,) = named_contributions({"like": likes_of([0.5, 0.4, 0.01])}, 1)
    assert list(named) == ["like:0", "like:1", "like:2"]


def test_what_would_be_shown_as_zero_is_added_to_the_largest_row() -> None:
    (named,) = named_contributions({"like": likes_of([0.5, -3e-8, 2e-8, 0.1])}, 1)
    assert list(named) == ["like:0", "like:3"]
    assert sum(named.values()) == pytest.approx(0.6 - 1e-8, abs=1e-15)
    assert named_contributions({"like": likes_of([3e-8, -2e-8])}, 1) == [{}]
    terms = {"trend": 0.5, "like:a": 0.2, "adjustment:genre:Drama": -4e-7}
    assert without_tiny(terms) == {"trend": 0.5 - 4e-7, "like:a": 0.2}
    assert min(map(abs, without_tiny(terms).values())) >= TINY


def test_everything_is_named_where_all_is_asked_for() -> None:
    (named,) = named_contributions({"like": likes_of([0.5, -3e-8, *[0.01] * 30])}, 1, limit=None)
    assert len(named) == 32
