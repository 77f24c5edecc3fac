"""What each loss is worth, against the formula of its docstring, pair by pair."""

import keras_rs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.losses import BPRLoss, ImprovedMarginRankingLoss, SampledSoftmaxLoss


@st.composite
def one_row(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    scores = st.floats(-20, 20, width=32)
    items = draw(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), scores), min_size=1, max_size=12))
    return np.array([[label for label, _ in items]], np.float32), np.array([[s for _, s in items]], np.float32)


def pair_differences(row: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Positive less negative, of every pair; `(num_positives, num_negatives)`."""
    labels, scores = row[0][0], row[1][0].astype(np.float64)
    return scores[labels == 1][:, None] - scores[labels == 0][None]


@given(one_row(), st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=40, deadline=None)
def test_improved_margin_ranking(row: tuple[np.ndarray, np.ndarray], margin: float) -> None:
    hinges = np.maximum(margin - pair_differences(row), 0)
    expected = 0.6 * np.sqrt((hinges**2).mean()) + 0.4 * hinges.mean() if hinges.size else 0.0
    assert float(ImprovedMarginRankingLoss(margin)(*row)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(one_row())
@settings(max_examples=20, deadline=None)
def test_its_mean_over_pairs_is_the_pairwise_hinge_of_keras_rs(row: tuple[np.ndarray, np.ndarray]) -> None:
    num_pairs = max(pair_differences(row).size, 1)
    expected = np.sum(keras_rs.losses.PairwiseHingeLoss(reduction=None)(*row)) / num_pairs
    loss = ImprovedMarginRankingLoss(max_min_weight=0.0, avg_weight=1.0)
    assert float(loss(*row)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(one_row(), st.sampled_from([0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_bpr(row: tuple[np.ndarray, np.ndarray], temperature: float) -> None:
    costs = np.logaddexp(0, -pair_differences(row) / temperature)
    loss = BPRLoss(temperature=temperature)
    assert float(loss(*row)) == pytest.approx(costs.mean() if costs.size else 0.0, rel=1e-4, abs=1e-5)


@given(one_row(), st.sampled_from([0.5, 1.0]), st.sampled_from([0.01, 1.0]))
@settings(max_examples=40, deadline=None)
def test_sampled_softmax(row: tuple[np.ndarray, np.ndarray], temperature: float, probability: float) -> None:
    rivals = np.exp(-pair_differences(row) / temperature).sum(axis=1) / probability  # (num_positives,)
    expected = np.log1p(rivals).mean() if rivals.size else 0.0
    loss = SampledSoftmaxLoss(temperature, probability)
    assert float(loss(*row)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_sample_of_negatives_estimates_the_full_softmax() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(1, 2001)).astype(np.float32)
    labels = np.zeros_like(scores)
    labels[0, 0] = 1.0
    full = float(SampledSoftmaxLoss()(labels, scores))
    sampled = []
    for _ in range(50):
        listed = np.append(0, 1 + rng.choice(2000, 200, replace=False))
        sampled.append(float(SampledSoftmaxLoss(sampling_probability=0.1)(labels[:, listed], scores[:, listed])))
    assert np.mean(sampled) == pytest.approx(full, abs=0.05)
    assert float(SampledSoftmaxLoss()(labels[:, :201], scores[:, :201])) < full - 1  # uncorrected


def test_the_worked_example_of_the_margin_loss() -> None:
    """Positives 0.8 and 0.1, negatives 0.2 and 0: the worst pair is 0.1 with 0.2, and counts for most."""
    hinges = np.array([1 - 0.6, 1 - 0.8, 1 + 0.1, 1 - 0.1])
    cost = ImprovedMarginRankingLoss()(np.array([[1, 1, 0, 0]]), np.array([[0.8, 0.1, 0.2, 0.0]]))
    assert float(cost) == pytest.approx(0.6 * np.sqrt(np.mean(hinges**2)) + 0.4 * np.mean(hinges), rel=1e-5)


def test_a_small_violation_among_large_scores_still_costs_what_it_should() -> None:
    labels, scores = np.array([[1, 1, 0, 0, 0]]), np.array([[5e4, 2.0, 2.5, -4e4, 1.0]])
    cost = ImprovedMarginRankingLoss()(labels, scores)  # one pair is 0.5 the wrong way, of one margin is exactly kept
    assert float(cost) == pytest.approx(0.6 * np.sqrt(1.5**2 / 6) + 0.4 * 1.5 / 6, rel=1e-5)


def test_margins_kept_by_every_pair_cost_exactly_nothing() -> None:
    assert float(ImprovedMarginRankingLoss()(np.array([[1, 0, 1, 0]]), np.array([[3.0, 1.5, 2.5, -7.0]]))) == 0.0
