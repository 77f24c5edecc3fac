import numpy as np
import pytest

from recsys.model.trend import decayed_counts, trend_matrix

POSITIONS = np.array([0, 0, 1, 2])
AGES = np.array([0.0, 2.0, 1.0, 8.0])


def test_an_event_counts_half_after_one_half_life() -> None:
    np.testing.assert_allclose(decayed_counts(POSITIONS, AGES, 4, 2.0), [1.5, 0.5**0.5, 0.0625, 0.0])


def test_a_very_long_half_life_is_plain_popularity() -> None:
    np.testing.assert_allclose(decayed_counts(POSITIONS, AGES, 3, 1e9), [2, 1, 1], rtol=1e-6)


def test_each_trend_is_scaled_to_its_top_item() -> None:
    trends = trend_matrix(POSITIONS, AGES, 4, [1.0, 100.0])
    assert trends.shape == (2, 4)
    assert trends.dtype == np.float32
    np.testing.assert_allclose(trends.max(axis=1), 1.0)


def test_without_events_every_trend_is_zero() -> None:
    assert not trend_matrix(np.array([], np.int64), np.array([]), 3, [1.0]).any()


def test_an_event_after_the_cut_off_is_refused_as_a_leak() -> None:
    with pytest.raises(ValueError, match="after the cut-off"):
        decayed_counts(POSITIONS, np.array([0.0, 1.0, -0.1, 2.0]), 3, 1.0)


def test_a_half_life_must_be_positive() -> None:
    with pytest.raises(ValueError, match="half_life_days > 0, got 0"):
        decayed_counts(POSITIONS, AGES, 3, 0)
