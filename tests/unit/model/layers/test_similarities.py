"""Dot products and cosines of user and item vectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.layers import CosineSimilarityExplainer, NormalizedDotProductSimilarity


def vectors(seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    users, items = rng.normal(size=(3, 4)), rng.normal(size=(3, 6, 4))
    return (users * scale).astype(np.float32), (items * scale).astype(np.float32)


def test_the_score_is_the_scaled_dot_product() -> None:
    users, items = vectors(0)
    scores = NormalizedDotProductSimilarity()([users, items])  # (batch_size, num_items)
    np.testing.assert_allclose(scores, np.einsum("bd,bnd->bn", users, items) / 2.0, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 10_000), st.floats(-18, 18))
@settings(max_examples=40, deadline=None)
def test_the_explanation_is_the_cosine_whatever_the_size_of_the_vectors(seed: int, exponent: float) -> None:
    users, items = vectors(seed, 10.0**exponent)
    exact_users, exact_items = users.astype(np.float64), items.astype(np.float64)
    norms = np.linalg.norm(exact_users, axis=-1)[:, None] * np.linalg.norm(exact_items, axis=-1)
    cosines = CosineSimilarityExplainer()([users, items]).numpy()
    np.testing.assert_allclose(cosines, np.einsum("bd,bnd->bn", exact_users, exact_items) / norms, atol=1e-5)
    assert np.abs(cosines).max() <= 1.0
    assert (CosineSimilarityExplainer()([users, np.repeat(users[:, None], 2, axis=1)]).numpy() > 1 - 1e-6).all()


def test_a_vector_of_zeros_is_like_nothing_and_breaks_no_gradient() -> None:
    users, items = vectors(1)
    users[0], items[1, 2] = 0.0, 0.0
    with tf.GradientTape() as tape:
        pair = [tf.constant(users), tf.constant(items)]
        tape.watch(pair)
        cosines = CosineSimilarityExplainer()(pair)
    assert not np.any(cosines[0])
    assert cosines[1, 2] == 0
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(cosines, pair))


@pytest.mark.parametrize("layer", [NormalizedDotProductSimilarity(), CosineSimilarityExplainer()])
def test_users_may_have_an_axis_of_one_and_items_may_be_one_each(layer: keras.layers.Layer) -> None:
    users, items = vectors(2)
    expected = layer([users, items])
    np.testing.assert_array_equal(layer([users[:, None], items]), expected)
    np.testing.assert_allclose(layer([users, items[:, 0]]), expected[:, :1], rtol=1e-6)
    for user_shape, item_shape, shape in (
        ((4,), (6, 4), (None, 6)), ((1, 4), (6, 4), (None, 6)), ((4,), (4,), (None, 1)), ((4,), (None, 4), (None, None)),
    ):  # fmt: skip
        assert layer([keras.Input(user_shape), keras.Input(item_shape)]).shape == shape


@pytest.mark.parametrize("shapes", [((2, 4), (2, 6, 3)), ((2, 2, 4), (2, 6, 4)), ((4,), (2, 6, 4)), ((2, 4), (4,))])
@pytest.mark.parametrize("layer", [NormalizedDotProductSimilarity(), CosineSimilarityExplainer()])
def test_shapes_that_do_not_go_together_are_refused(
    layer: keras.layers.Layer, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match="Expected users"):
        layer([np.ones(shape, np.float32) for shape in shapes])
