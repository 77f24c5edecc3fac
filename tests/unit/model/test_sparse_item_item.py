"""Weights from nearest items only: the closed form where all are near, close to it where the rest hardly matters."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.model import sparse_item_item
from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.sparse_item_item import sparse_item_item_weights


def tastes(num_users: int, num_items: int, num_groups: int) -> sp.csr_matrix:
    """Users who mostly meet the items of one group, like most of them, and dislike some."""
    rng = np.random.default_rng(0)
    same = rng.integers(0, num_groups, (num_users, 1)) == np.arange(num_items) % num_groups
    met = rng.random((num_users, num_items)) < np.where(same, 0.35, 0.01)
    return sp.csr_matrix(met * rng.choice([1.0, -0.4], met.shape, p=[0.85, 0.15]))


@pytest.mark.parametrize("block", [5, 64])
def test_with_all_items_near_it_is_the_dense_closed_form(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_item_item, "ITEMS_PER_BLOCK", block)
    gram = gram_matrix(sp.csr_matrix(np.random.default_rng(0).normal(size=(60, 33))))  # somebody met every two of them
    found = sparse_item_item_weights(sp.csr_matrix(gram), 0.5, 32)
    np.testing.assert_allclose(found.toarray(), item_item_weights(gram, 0.5), atol=2e-6)


def test_few_near_items_rank_nearly_as_all_do() -> None:
    signed = tastes(800, 160, 8)
    gram = gram_matrix(signed)
    dense, found = item_item_weights(gram, 8.0), sparse_item_item_weights(sp.csr_matrix(gram), 8.0, 40)
    assert found.dtype == np.float32
    assert not found.diagonal().any()
    assert np.diff(found.indptr).max() <= 40
    seen = signed.toarray() != 0
    scores = [np.where(seen, -np.inf, signed @ weights) for weights in (dense, found.toarray())]
    best = [np.argsort(-own, axis=1)[:, :10] for own in scores]
    overlap = np.mean([len(np.intersect1d(*both)) / 10 for both in zip(*best, strict=True)])
    assert overlap > 0.9


def test_items_that_nobody_shares_get_no_weights() -> None:
    """The second item was met with the first alone, the third with none."""
    found = sparse_item_item_weights(sp.csr_matrix([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), 1.0, 2)
    ridge = 2.0
    np.testing.assert_allclose(
        found.toarray(), [[0, 1 / (2 + ridge), 0], [1 / (1 + ridge), 0, 0], [0, 0, 0]], rtol=1e-6
    )
    assert found.nnz == 2


def test_no_items_give_no_weights() -> None:
    assert sparse_item_item_weights(sp.csr_matrix((0, 0)), 1.0, 10).shape == (0, 0)
    assert sparse_item_item_weights(sp.csr_matrix([[1.0]]), 1.0, 10).nnz == 0


@pytest.mark.parametrize(("reg", "num_neighbors"), [(0.0, 5), (1.0, 0)])
def test_ridge_and_neighbours_must_be_positive(reg: float, num_neighbors: int) -> None:
    with pytest.raises(ValueError, match="Expected reg > 0 and num_neighbors >= 1"):
        sparse_item_item_weights(sp.csr_matrix((2, 2)), reg, num_neighbors)
