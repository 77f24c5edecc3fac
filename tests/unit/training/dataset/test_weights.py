import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.training.dataset.weights import time_decay, user_share_factors


def test_a_weight_halves_with_every_half_life() -> None:
    np.testing.assert_allclose(time_decay(np.array([0.0, 10.0, 20.0]), 10.0), [1, 0.5, 0.25])


@given(st.floats(0, 10_000), st.floats(0, 10_000), st.floats(50, 1e6))
def test_an_older_event_never_counts_more(first: float, second: float, half_life_days: float) -> None:
    younger, older = sorted([first, second])
    weights = time_decay(np.array([younger, older]), half_life_days)
    assert weights[0] >= weights[1] > 0


def test_an_event_after_the_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="leaks"):
        time_decay(np.array([-1.0]), 10.0)


WEIGHTS = st.lists(st.tuples(st.integers(0, 30), st.floats(1e-6, 1.0)), min_size=1, max_size=200)


@given(WEIGHTS, st.floats(0.01, 1.0))
def test_no_user_holds_more_than_the_share_and_only_heavy_ones_are_cut(
    rows: list[tuple[int, float]], max_share: float
) -> None:
    users, weights = np.array([user for user, _ in rows]), np.array([weight for _, weight in rows])
    factors = user_share_factors(users, weights, max_share)
    before, after = np.bincount(users, weights), np.bincount(users, weights * factors[users])
    share = max(max_share, 2 / (before > 0).sum())
    if share < 1:
        assert after.max() <= share * after.sum() * (1 + 1e-9)
    cut = factors < 1
    assert (factors > 0).all()
    if cut.any():  # who was cut holds exactly the share, and everybody below it was left alone
        np.testing.assert_allclose(after[cut], share * after.sum(), rtol=1e-9)
        assert before[~cut].max(initial=0.0) <= share * after.sum() * (1 + 1e-9)


def test_an_even_crowd_is_left_alone() -> None:
    users = np.repeat(np.arange(500), 3)
    np.testing.assert_array_equal(user_share_factors(users, np.ones(1_500), 0.01), np.ones(500))


@pytest.mark.parametrize("max_share", [0.0, -1.0, 1.5])
def test_a_share_that_is_none_is_refused(max_share: float) -> None:
    with pytest.raises(ValueError, match="max_share"):
        user_share_factors(np.array([0]), np.array([1.0]), max_share)
