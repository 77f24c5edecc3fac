import numpy as np
import pytest

from recsys.statistics import bootstrap
from recsys.statistics.bootstrap import mean_interval, paired_difference, resampled_means


def ndcg_like(rng: np.random.Generator, num_users: int) -> np.ndarray:
    """Mostly zeros, some up to one, as NDCG@10 is on a real holdout; mean 0.4 * 2 / 6."""
    return np.where(rng.random(num_users) < 0.4, rng.beta(2, 4, num_users), 0.0)


@pytest.mark.parametrize("relative", [False, True])
def test_the_interval_holds_the_true_difference_95_times_of_100(relative: bool) -> None:
    mean, shift = 0.4 * 2 / 6, 0.02
    truth = shift / mean if relative else shift
    held = 0
    num_trials = 400
    for seed in range(num_trials):
        rng = np.random.default_rng(seed)
        theirs = ndcg_like(rng, 300)
        mine = np.clip(theirs + 2 * shift * rng.random(300), 0, None)  # paired, better by `shift` on average
        interval = paired_difference(mine, theirs, relative=relative, seed=seed, num_resamples=400)
        held += interval.low <= truth <= interval.high
    assert 0.92 <= held / num_trials <= 0.98  # 95 % and a standard error of 1.1 %


def test_pairing_makes_the_interval_narrow() -> None:
    rng = np.random.default_rng(1)
    theirs = ndcg_like(rng, 500)
    mine = theirs + 0.01
    paired = paired_difference(mine, theirs, seed=0)
    unpaired = paired_difference(rng.permutation(mine), theirs, seed=0)
    assert paired.high - paired.low < 1e-9 < unpaired.high - unpaired.low


def test_equal_systems_differ_by_exactly_nothing() -> None:
    values = ndcg_like(np.random.default_rng(2), 333)
    for relative in (False, True):
        interval = paired_difference(values, values.copy(), relative=relative, seed=5)
        assert (interval.mean, interval.low, interval.high) == (0, 0, 0)


def test_the_seed_decides_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random((50, 2))
    whole = resampled_means(values, num_resamples=101, seed=9)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 130)  # two resamples at a time, and one left over
    np.testing.assert_array_equal(resampled_means(values, num_resamples=101, seed=9), whole)
    assert not np.array_equal(resampled_means(values, num_resamples=101, seed=10), whole)


def test_resampled_means_have_the_spread_of_a_mean() -> None:
    values = np.random.default_rng(4).normal(5, 2, (400, 1))
    means = resampled_means(values, num_resamples=4_000, seed=0)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_a_ratio_to_nothing() -> None:
    nothing, something = np.zeros(30), np.full(30, 0.1)
    both = paired_difference(nothing, nothing, relative=True, seed=0)
    assert (both.mean, both.low, both.high) == (0, 0, 0)
    for hardly in (nothing, np.full(30, 1e-310)):
        risen = paired_difference(something, hardly, relative=True, seed=0)
        assert (risen.mean, risen.low, risen.high) == (np.inf, np.inf, np.inf)


def test_a_ratio_that_is_infinite_in_some_resamples_has_ends_that_are_numbers() -> None:
    theirs = np.zeros(10)
    theirs[0] = 0.5  # a third of the resamples miss the only user
    interval = paired_difference(np.full(10, 0.1), theirs, relative=True, seed=0)
    assert interval.mean == pytest.approx(1.0)
    assert interval.low < 1.0
    assert interval.high == np.inf


def test_one_user_has_an_interval_without_width() -> None:
    interval = paired_difference(np.array([0.3]), np.array([0.2]), seed=0)
    assert interval.low == interval.high == pytest.approx(0.1)


def test_more_confidence_is_a_wider_interval() -> None:
    rng = np.random.default_rng(6)
    mine, theirs = rng.random(100), rng.random(100)
    narrow, wide = (paired_difference(mine, theirs, seed=0, confidence=c) for c in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


@pytest.mark.parametrize(
    ("first", "second", "options", "expected"),
    [
        ([1.0], [1.0, 2.0], {}, "got 1 and 2"),
        ([], [], {}, "got 0 and 0"),
        ([1.0, np.nan], [1.0, 2.0], {}, "got 1 that are not"),
        ([1.0, -2.0], [1.0, 2.0], {"relative": True}, r"got -2\.0"),
        ([1.0], [1.0], {"num_resamples": 0}, "got 0"),
        ([1.0], [1.0], {"confidence": 95}, "got 95"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, options, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        paired_difference(np.array(first), np.array(second), seed=0, **options)


def test_the_interval_of_a_mean_lies_around_it() -> None:
    values = np.random.default_rng(8).random(200)
    interval = mean_interval(values, seed=0)
    assert interval.low < interval.mean == values.mean() < interval.high
    assert np.isnan(mean_interval(values[:0], seed=0).mean)
