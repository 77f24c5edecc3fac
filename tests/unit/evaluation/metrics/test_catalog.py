import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.evaluation.metrics.catalog import spread_of

ITEMS = [f"i{n}" for n in range(8)]


def as_lists(lists: list[list[str]]) -> pd.DataFrame:
    rows = [(f"u{n}", rank, item) for n, own in enumerate(lists) for rank, item in enumerate(own, start=1)]
    return pd.DataFrame(rows, columns=["user_id", "rank", "item_id"])


@given(st.lists(st.lists(st.sampled_from(ITEMS), unique=True, min_size=1), min_size=2, max_size=6), st.integers(1, 5))
def test_agrees_with_a_slow_reference(lists: list[list[str]], k: int) -> None:
    found = spread_of(as_lists(lists), len(ITEMS), k)
    first = [own[:k] for own in lists]
    counts = [sum(item in own for own in first) for item in ITEMS]
    apart = [abs(a - b) for a in counts for b in counts]
    shared = [len(set(a) & set(b)) for a, b in itertools.combinations(first, 2)]
    assert found["coverage_at_10"] == pytest.approx(np.mean([count > 0 for count in counts]))
    assert found["gini_at_10"] == pytest.approx(sum(apart) / (2 * len(ITEMS) * sum(counts)))
    assert found["personalisation_at_10"] == pytest.approx(1 - np.mean(shared) / np.mean([len(own) for own in first]))


@pytest.mark.parametrize(
    ("lists", "gini", "personalisation"),
    [
        ([["i0", "i1"]] * 4, 0.75, 0.0),  # a quarter of the catalog fills all lists
        ([["i0", "i1"], ["i2", "i3"], ["i4", "i5"], ["i6", "i7"]], 0.0, 1.0),
    ],
)
def test_the_two_ends(lists, gini, personalisation) -> None:
    found = spread_of(as_lists(lists), 8)
    assert found["gini_at_10"] == pytest.approx(gini)
    assert found["personalisation_at_10"] == pytest.approx(personalisation)


def test_what_cannot_be_said_is_missing() -> None:
    assert spread_of(as_lists([]), 8) == {"coverage_at_10": 0.0}
    assert set(spread_of(as_lists([["i0"]]), 8)) == {"coverage_at_10", "gini_at_10"}
