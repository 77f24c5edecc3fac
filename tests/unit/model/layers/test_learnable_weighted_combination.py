import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.layers import LearnableWeightedCombination


def scores(seed: int, num_inputs: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(num_inputs, 8, 5)).astype(np.float32))


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_result_lies_between_the_scores_whatever_the_weights(logits: list[float], seed: int) -> None:
    layer, inputs = LearnableWeightedCombination(), scores(seed)
    layer.build([(8, 5)] * 3)
    layer.logits.assign(logits)
    combined = layer(inputs).numpy()
    assert (combined >= np.min(inputs, axis=0) - 1e-5).all()
    assert (combined <= np.max(inputs, axis=0) + 1e-5).all()
    np.testing.assert_allclose(np.sum(layer.weights_of_inputs), 1.0, rtol=1e-5)


def test_it_starts_as_the_mean_and_learns_the_weights() -> None:
    weights = np.array([0.7, 0.25, 0.05], np.float32)
    inputs = list(np.random.default_rng(1).normal(size=(3, 1600, 5)).astype(np.float32))
    parts = [keras.Input((5,)) for _ in inputs]
    layer = LearnableWeightedCombination()
    model = keras.Model(parts, layer(parts))
    np.testing.assert_allclose(layer(inputs), np.mean(inputs, axis=0), atol=1e-6)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(inputs, np.tensordot(weights, inputs, 1), epochs=1, batch_size=8, verbose=0)
    np.testing.assert_allclose(layer.weights_of_inputs, weights, atol=0.02)


def test_a_missing_score_leaves_the_mean_of_the_others() -> None:
    inputs = scores(2)
    missing = np.ones((8, 5), bool)
    missing[0, 0] = False
    inputs[1][0, 0] = np.nan
    combined = LearnableWeightedCombination()(inputs, mask=[None, missing, None]).numpy()
    assert combined[0, 0] == pytest.approx((inputs[0][0, 0] + inputs[2][0, 0]) / 2)
    np.testing.assert_allclose(combined[1:], np.mean(inputs, axis=0)[1:], atol=1e-6)
    nothing = LearnableWeightedCombination()(inputs, mask=[np.zeros((8, 5), bool)] * 3)
    assert not np.any(nothing)


@pytest.mark.parametrize("inputs", [scores(0)[0], [scores(0)[0], scores(0)[0][:, :3]]])
def test_what_is_no_list_of_scores_of_one_shape_is_refused(inputs: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="Expected a list of score tensors of one shape"):
        LearnableWeightedCombination()(inputs)


def test_the_number_of_scores_may_be_said_and_is_held_to() -> None:
    layer = LearnableWeightedCombination(num_scores=3)
    np.testing.assert_allclose(layer(scores(3)), np.mean(scores(3), axis=0), atol=1e-6)
    assert LearnableWeightedCombination.from_config(layer.get_config()).num_scores == 3
    with pytest.raises(ValueError, match=r"Expected 2 score tensors \(num_scores\), got 3"):
        LearnableWeightedCombination(num_scores=2)(scores(3))
    with pytest.raises(ValueError, match="num_scores"):
        LearnableWeightedCombination(num_scores=0)
