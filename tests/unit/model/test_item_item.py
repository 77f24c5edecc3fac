import numpy as np
import pytest
import scipy.sparse as sp

from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.ridge import FLOAT32_ERROR, LEAF, ridge_inverse
from recsys.training.recipe.recipe import FitConfig


@pytest.fixture
def signed() -> sp.csr_matrix:
    rng = np.random.default_rng(0)
    dense = rng.choice([0.0, 1.0, -0.3], p=[0.7, 0.25, 0.05], size=(60, 12))
    return sp.csr_matrix(dense.astype(np.float32))


def test_gram_matrix_is_x_transposed_x(signed: sp.csr_matrix) -> None:
    dense = signed.toarray()
    np.testing.assert_allclose(gram_matrix(signed), dense.T @ dense, rtol=1e-6)


def test_weights_solve_each_item_from_the_others_by_ridge_regression(signed: sp.csr_matrix) -> None:
    """The closed form equals a separate ridge regression for each item on all others, in float64."""
    dense = signed.toarray().astype(np.float64)
    weights = item_item_weights(gram_matrix(signed), reg=0.5)
    gram = dense.T @ dense
    ridge = 0.5 * np.diag(gram).mean()
    for item in range(dense.shape[1]):
        others = [j for j in range(dense.shape[1]) if j != item]
        system = gram[np.ix_(others, others)] + ridge * np.eye(len(others))
        np.testing.assert_allclose(weights[others, item], np.linalg.solve(system, gram[others, item]), atol=1e-5)


def test_no_item_explains_itself(signed: sp.csr_matrix) -> None:
    assert not np.diag(item_item_weights(gram_matrix(signed), 1.0)).any()


def test_no_items_give_no_weights() -> None:
    assert item_item_weights(np.zeros((0, 0), np.float32), 1.0).shape == (0, 0)


def test_reg_must_be_positive(signed: sp.csr_matrix) -> None:
    with pytest.raises(ValueError, match="reg > 0, got 0"):
        item_item_weights(gram_matrix(signed), 0)


def popular_first(num_users: int, num_items: int) -> sp.csr_matrix:
    """Likes and dislikes as skewed as those of real streams: the first items have a hundred times those of the last."""
    rng = np.random.default_rng(1)
    chance = np.minimum(1.0, 10.0 / (np.arange(num_items) + 10.0)) * rng.gamma(0.3, 1.0, (num_users, 1))
    likes = rng.random((num_users, num_items)) < chance
    decay = 0.5 ** rng.uniform(0, 4, likes.shape)
    return sp.csr_matrix(likes * decay * rng.choice([1.0, -0.4], likes.shape, p=[0.8, 0.2]))


def test_an_inverse_in_halves_is_the_inverse() -> None:
    gram = gram_matrix(popular_first(900, 2 * LEAF + 77))
    regular = gram + 3.0 * np.diag(gram).mean() * np.eye(len(gram))
    product = np.asarray(ridge_inverse(gram, 3.0, "float64")) @ regular
    np.testing.assert_allclose(product, np.eye(len(gram)), atol=1e-11)


def test_float32_is_as_near_to_float64_as_is_said() -> None:
    config = FitConfig()
    gram = gram_matrix(popular_first(3_000, 600))
    for reg in (*config.reg_grid, *config.transition_reg_grid, config.dislike_reg):
        exact = item_item_weights(gram, reg, "float64")
        found = item_item_weights(gram, reg)
        assert found.dtype == np.float32
        assert np.abs(found - exact).max() < FLOAT32_ERROR * np.abs(exact).max()
