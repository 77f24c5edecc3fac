"""What holds for every loss: wrong orders cost, rows without a pair do not, and sample weights count per example."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.losses import BPRLoss, ImprovedMarginRankingLoss, SampledSoftmaxLoss

LOSSES = [
    ImprovedMarginRankingLoss,
    lambda **kw: ImprovedMarginRankingLoss(max_min_weight=1.0, avg_weight=0.0, **kw),
    lambda **kw: ImprovedMarginRankingLoss(max_min_weight=0.0, avg_weight=1.0, **kw),
    BPRLoss,
    lambda **kw: BPRLoss(temperature=0.5, **kw),
    SampledSoftmaxLoss,
    lambda **kw: SampledSoftmaxLoss(temperature=0.2, sampling_probability=0.1, **kw),
]
every_loss = pytest.mark.parametrize("make", LOSSES)


def rows(seed: int, num_rows: int = 6, num_items: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1.0, 0.0, 0.0, 1.0], (num_rows, num_items)).astype(np.float32)
    return labels, rng.normal(scale=rng.choice([0.1, 1, 10]), size=labels.shape).astype(np.float32)


def cost_and_gradient(loss: keras.losses.Loss, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    variable = tf.Variable(scores)
    with tf.GradientTape() as tape:
        cost = loss(labels, variable)
    return cost.numpy(), tape.gradient(cost, variable).numpy()


@every_loss
@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_a_wrong_order_costs_and_descent_mends_it(make: type, seed: int) -> None:
    labels, scores = rows(seed)
    costs = make(reduction=None)(labels, scores).numpy()
    _, gradients = cost_and_gradient(make(reduction="sum"), labels, scores)
    assert np.isfinite(gradients).all()
    assert (gradients[labels == -1] == 0).all()
    for row_labels, row_scores, cost, gradient in zip(labels, scores, costs, gradients, strict=True):
        positives, negatives = row_scores[row_labels == 1], row_scores[row_labels == 0]
        if len(positives) and len(negatives) and positives.min() <= negatives.max():
            assert cost > 0
            assert gradient[row_labels == 1].min() < 0 < gradient[row_labels == 0].max()
        elif not len(positives) or not len(negatives):
            assert cost == 0
            assert not gradient.any()


@every_loss
def test_ten_negatives_above_all_positives_cost_more_than_the_right_order(make: type) -> None:
    labels = np.array([[1.0] * 3 + [0.0] * 10])
    wrong = np.array([[0.0] * 3 + [5.0] * 10], np.float32)
    assert make()(labels, wrong) > 1.0
    assert make()(labels, -wrong) < make()(labels, wrong) / 10


@every_loss
def test_equal_scores_are_pulled_apart(make: type) -> None:
    _, gradient = cost_and_gradient(make(), np.array([[1.0, 0.0]], np.float32), np.zeros((1, 2), np.float32))
    assert gradient[0, 0] < 0 < gradient[0, 1]


@every_loss
@pytest.mark.parametrize("size", [1e4, 1e8])
def test_large_scores_give_finite_costs_and_gradients(make: type, size: float) -> None:
    labels, scores = rows(4)
    cost, gradient = cost_and_gradient(make(), labels, scores * np.float32(size))
    assert np.isfinite(cost)
    assert np.isfinite(gradient).all()


@every_loss
def test_sample_weights_count_per_example(make: type) -> None:
    labels, scores = rows(7, num_rows=9)  # as many rows as items: a mistaken axis would go unnoticed by shape
    weights = np.random.default_rng(0).random(9).astype(np.float32)
    costs = make(reduction=None)(labels, scores).numpy()
    assert costs.shape == (9,)
    np.testing.assert_allclose(make()(labels, scores, sample_weight=weights), (costs * weights).mean(), rtol=1e-5)
    np.testing.assert_allclose(make()(labels, scores), costs.mean(), rtol=1e-5)


@every_loss
def test_the_order_of_the_items_does_not_matter(make: type) -> None:
    labels, scores = rows(8)
    order = np.random.default_rng(1).permutation(labels.shape[1])
    np.testing.assert_allclose(make()(labels[:, order], scores[:, order]), make()(labels, scores), rtol=1e-5)


@every_loss
def test_it_is_the_same_after_saving(make: type) -> None:
    loss = make(reduction="sum", name="mine")
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    labels, scores = rows(9)
    assert float(loaded(labels, scores)) == float(loss(labels, scores))
    assert loaded.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (ImprovedMarginRankingLoss, {"margin": 0.0}),
        (ImprovedMarginRankingLoss, {"max_min_weight": 0.0, "avg_weight": 0.0}),
        (ImprovedMarginRankingLoss, {"avg_weight": -0.1}),
        (SampledSoftmaxLoss, {"temperature": 0.0}),
        (SampledSoftmaxLoss, {"sampling_probability": 0.0}),
        (SampledSoftmaxLoss, {"sampling_probability": 1.1}),
        (BPRLoss, {"temperature": 0.0}),
    ],
)
def test_arguments_out_of_range_are_refused(make: type, arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"Expected|positive"):
        make(**arguments)
