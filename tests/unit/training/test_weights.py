import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.training.weights import sample_weights, time_decay


def test_a_like_counts_one_and_a_dislike_eight_tenths_when_new() -> None:
    np.testing.assert_allclose(sample_weights(np.array([1, 0], np.int8), np.zeros(2), 30.0), [1.0, 0.8])


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
