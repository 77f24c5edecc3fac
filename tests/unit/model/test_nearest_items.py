"""Weights from nearest items only: the closed form where all are near, close to it where the rest hardly matters."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.model import nearest_items
from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.nearest_items import nearest_dot_products, sparse_item_item_weights, sparse_transition_weights
from recsys.model.transitions import transition_weights


def tastes(num_users: int, num_items: int, num_groups: int) -> sp.csr_matrix:
    """Users who mostly meet the items of one group, like most of them, and dislike some."""
    rng = np.random.default_rng(0)
    same = rng.integers(0, num_groups, (num_users, 1)) == np.arange(num_items) % num_groups
    met = rng.random((num_users, num_items)) < np.where(same, 0.35, 0.01)
    return sp.csr_matrix(met * rng.choice([1.0, -0.4], met.shape, p=[0.85, 0.15]))


@pytest.mark.parametrize("block", [1, 5_000, 10**6])
def test_with_all_items_near_it_is_the_dense_closed_form(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_items, "ENTRIES_PER_BLOCK", block)
    gram = gram_matrix(sp.csr_matrix(np.random.default_rng(0).normal(size=(60, 33))))  # somebody met every two of them
    found = sparse_item_item_weights(sp.csr_matrix(gram), 0.5, 32)
    np.testing.assert_allclose(found.toarray(), item_item_weights(gram, 0.5), atol=2e-6)


def test_with_all_items_near_what_follows_is_foretold_in_the_same_way() -> None:
    rng = np.random.default_rng(1)
    past, future = rng.normal(size=(2, 80, 20))
    future[:, 0] = past @ np.linalg.pinv(past.T @ past) @ past.T @ future[:, 0]
    moments, targets = past.T @ past, past.T @ future
    np.fill_diagonal(targets, 0.0)  # what an item says of itself is in no sparse form
    found = sparse_transition_weights(sp.csr_matrix(moments), sp.csr_matrix(targets), 0.5, 19).toarray()
    for item in range(20):  # the dense form solves with the item itself among what went before, and then drops it
        others = np.arange(20) != item
        ridge = 0.5 * np.diag(moments).mean()
        expected = np.linalg.solve(moments[np.ix_(others, others)] + ridge * np.eye(19), targets[others, item])
        np.testing.assert_allclose(found[others, item], expected, atol=2e-5)
    assert not found.diagonal().any()
    dense = transition_weights(moments, targets, 0.5)
    assert np.corrcoef(found.ravel(), dense.ravel())[0, 1] > 0.98


def test_of_learned_vectors_the_largest_products_are_kept() -> None:
    vectors = np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)
    products = vectors @ vectors.T
    np.fill_diagonal(products, 0.0)
    found = nearest_dot_products(vectors, 20).toarray()
    assert ((found != 0).sum(axis=0) == 20).all()
    np.testing.assert_allclose(found[found != 0], products[found != 0], rtol=1e-4, atol=1e-6)
    left_out = np.where(found == 0, np.abs(products), 0.0).max(axis=0)
    assert (np.where(found == 0, np.inf, np.abs(found)).min(axis=0) >= left_out - 1e-6).all()
    assert nearest_dot_products(vectors[:1], 20).nnz == 0


def test_few_near_items_rank_nearly_as_all_do() -> None:
    signed = tastes(800, 160, 8)
    gram = gram_matrix(signed)
    dense, found = item_item_weights(gram, 8.0), sparse_item_item_weights(sp.csr_matrix(gram), 8.0, 40)
    assert found.dtype == np.float32
    assert not found.diagonal().any()
    assert np.diff(found.tocsc().indptr).max() <= 40
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
