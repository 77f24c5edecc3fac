import numpy as np
import pytest
import scipy.sparse as sp

from recsys.model.item_item import gram_matrix, item_item_weights


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
