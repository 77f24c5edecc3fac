import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.layers import FeedbackAdjustmentLayer

FEEDBACK = np.linspace(0, 1, 41, dtype=np.float32)[:, None]  # dislike to like


def of(*feedback: float) -> np.ndarray:
    return np.array([feedback], np.float32)


def with_raw_weights(rng: np.random.Generator, scale: float) -> FeedbackAdjustmentLayer:
    layer = FeedbackAdjustmentLayer(num_segments=int(rng.integers(2, 6)))
    layer.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in layer.weights])
    return layer


def assert_monotone(layer: FeedbackAdjustmentLayer, scores: np.ndarray) -> None:
    """More dislike never means a higher score, and neutral feedback none other."""
    tiled = np.repeat(scores[None], len(FEEDBACK), axis=0)  # (num_feedback, num_items)
    adjusted = layer([tiled, FEEDBACK]).numpy()
    assert not np.isnan(adjusted).any()
    with np.errstate(invalid="ignore"):  # minus infinity less itself
        assert not (np.diff(adjusted, axis=0) < 0).any()
    np.testing.assert_array_equal(adjusted[20], scores)


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0, 1e3, 1e8, 1e37]), st.sampled_from([0.1, 3.0, 1e4, 1e20])
)
@settings(max_examples=60, deadline=None)
def test_more_dislike_never_means_a_higher_score_whatever_the_weights(seed: int, scale: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    scores = np.append(rng.normal(scale=spread, size=30), [0.0, -0.0, -np.inf]).astype(np.float32)
    assert_monotone(with_raw_weights(rng, scale), scores)


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD(1e4), keras.optimizers.Adam(50.0)])
def test_it_stays_so_when_training_asks_for_the_opposite(optimizer: keras.optimizers.Optimizer) -> None:
    """The targets reward dislikes: what is disliked most should score highest."""
    rng = np.random.default_rng(3)
    scores, feedback = rng.normal(size=(64, 5)).astype(np.float32), rng.random((64, 5)).astype(np.float32)
    inputs = [keras.Input((5,)), keras.Input((5,))]
    layer = FeedbackAdjustmentLayer()
    model = keras.Model(inputs, layer(inputs))
    model.compile(optimizer, "mse")
    model.fit([scores, feedback], scores - 20 * (feedback - 0.5), epochs=3, batch_size=16, verbose=0)
    assert any(np.any(weight != 0) for weight in layer.get_weights())
    assert_monotone(layer, np.linspace(-4, 4, 9, dtype=np.float32))


def test_dislike_lowers_and_like_raises_negative_scores_too() -> None:
    scores = np.array([[-3.0, -0.1, 0.0, 2.0]], np.float32)
    layer = FeedbackAdjustmentLayer()
    assert (layer([scores, of(0.3)]).numpy() < scores).all()
    assert (layer([scores, of(0.7)]).numpy() > scores).all()


def test_one_value_per_user_can_turn_the_users_list_over() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0]], np.float32)
    layer = FeedbackAdjustmentLayer()
    best = {value: int(np.argmax(layer([scores, of(value)]))) for value in (0.0, 0.4, 0.5, 1.0)}
    assert best == {0.0: 0, 0.4: 3, 0.5: 3, 1.0: 3}


def test_feedback_per_item_moves_only_its_item() -> None:
    scores = np.array([[1.0, 2.0, 3.0]], np.float32)
    adjusted = FeedbackAdjustmentLayer()([scores, of(0.5, 0.9, 0.1)]).numpy()
    assert adjusted[0, 0] == 1.0
    assert adjusted[0, 1] > 2.0
    assert adjusted[0, 2] < 3.0


def test_feedback_out_of_range_is_cut_and_unknown_feedback_is_neutral() -> None:
    scores = np.array([[1.0, -2.0, 3.0]], np.float32)
    layer = FeedbackAdjustmentLayer()
    np.testing.assert_array_equal(layer([scores, of(-3.0, 7.0, np.nan)]), layer([scores, of(0.0, 1.0, 0.5)]))
    np.testing.assert_array_equal(layer([scores, np.array([[0, 1, 1]])]), layer([scores, of(0.0, 1.0, 1.0)]))


def test_gradient_descent_finds_how_feedback_works() -> None:
    """Targets come from strengths and curves that a new layer does not have; it learns to tell them on new data."""
    rng = np.random.default_rng(5)

    def observe(num: int) -> tuple[list[np.ndarray], np.ndarray]:
        scores, feedback = rng.normal(scale=2, size=(num, 8)), rng.random((num, 8))
        dislike, like = np.maximum(1 - 2 * feedback, 0) ** 2, np.maximum(2 * feedback - 1, 0) ** 0.5
        height = np.log1p(np.exp(scores))
        targets = scores + like * (0.3 + 0.5 * height) - dislike * (2.0 + 3.0 * height)
        return [scores.astype(np.float32), feedback.astype(np.float32)], targets.astype(np.float32)

    inputs = [keras.Input((8,)), keras.Input((8,))]
    layer = FeedbackAdjustmentLayer(l2_reg=0.0)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    unseen, targets = observe(500)
    before = model.evaluate(unseen, targets, verbose=0)
    model.fit(*observe(2000), epochs=8, batch_size=50, verbose=0)
    assert model.evaluate(unseen, targets, verbose=0) < 0.02 * before
    np.testing.assert_allclose(layer.strengths, [[2.0, 3.0], [0.3, 0.5]], atol=0.15)


def test_without_evidence_it_is_drawn_back_to_how_it_was_made() -> None:
    layer = FeedbackAdjustmentLayer(l2_reg=0.1)
    layer.raw_strengths.assign([[2.0, 2.0], [2.0, 2.0]])
    assert float(sum(layer.losses)) == pytest.approx(0.1 * 16)
    layer.raw_strengths.assign(tf.zeros((2, 2)))
    np.testing.assert_allclose(layer.strengths, layer.INITIAL_STRENGTH, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1)])
def test_feedback_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected scores"):
        FeedbackAdjustmentLayer()([np.ones((2, 3), np.float32), np.ones(shape, np.float32)])


@pytest.mark.parametrize("arguments", [{"num_segments": 1}, {"l2_reg": -1.0}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        FeedbackAdjustmentLayer(**arguments)
