"""The item-item weights for catalogs too large for a dense B: each item is rebuilt from its nearest items only.

A dense B of 30,000 items takes 3.6 GB, and its solution grows with the cube. Column i of the dense closed form is the ridge
regression of item i on all others, `(G_others,others + ridge)^-1 G_others,i`; here the others are the `num_neighbors` items
most alike. B stays exact for what it keeps, is read in the same way (`B[j, i]` is what j in a history adds to i, so
explanations are the same sums), and takes `num_items * num_neighbors` entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

ITEMS_PER_BLOCK = (
    64  # solved at once: twice 64 * num_neighbors ^ 2 entries, and at most (64 * num_neighbors) ^ 2 between them
)


def sparse_item_item_weights(gram: sp.csr_matrix, reg: float, num_neighbors: int) -> sp.csc_matrix:
    """Solves for the weights that best rebuild each item from its nearest items.

    With `num_neighbors = num_items - 1`, and every two items met by somebody, these are the weights of
    `recsys.model.item_item.item_item_weights`.

    Args:
        gram: sparse `(num_items, num_items)`, symmetric, positive semi-definite.
        reg: > 0; the ridge is this times the mean of the diagonal.
        num_neighbors: >= 1, items that each item is rebuilt from; 100 to 200 lose little.

    Returns:
        Sparse float32 `(num_items, num_items)`, at most `num_neighbors` entries per column, none on the diagonal.

    Raises:
        ValueError: if `reg` or `num_neighbors` is not positive.

    References:
        Ning, Karypis, SLIM: Sparse Linear Methods for Top-N Recommender Systems, ICDM 2011 (section 4.2: neighbours chosen
        first); Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
    """
    if reg <= 0 or num_neighbors < 1:
        raise ValueError(f"Expected reg > 0 and num_neighbors >= 1, got {reg} and {num_neighbors}.")
    num_items = gram.shape[0]
    gram = sp.csr_matrix(gram, dtype=np.float32)
    diagonal = gram.diagonal()
    ridge = reg * max(float(diagonal.mean()), 1e-6) if num_items else 0.0
    neighbors = _nearest(gram, diagonal, min(num_neighbors, max(num_items - 1, 1)))
    weights = np.zeros(neighbors.shape, np.float32)
    for start in range(0, num_items, ITEMS_PER_BLOCK):
        block = slice(start, start + ITEMS_PER_BLOCK)
        weights[block] = _solved(gram, ridge, np.arange(num_items)[block], neighbors[block])
    kept = neighbors >= 0
    columns = np.broadcast_to(np.arange(num_items)[:, None], neighbors.shape)
    return sp.csc_matrix((weights[kept], (neighbors[kept], columns[kept])), (num_items, num_items))


def _nearest(gram: sp.csr_matrix, diagonal: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.int64]:
    """Positions of the items with the largest cosine, in size, in order of position; `(num_items, number)`, padded by -1."""
    nearest = np.full((gram.shape[0], number), -1, np.int64)
    length = np.sqrt(np.maximum(diagonal, 1e-12))
    for item in range(gram.shape[0]):
        own = slice(gram.indptr[item], gram.indptr[item + 1])
        others, alike = gram.indices[own], np.abs(gram.data[own])
        alike = np.where(others == item, 0.0, alike / length[others])
        others, alike = others[alike > 0], alike[alike > 0]
        if len(others) > number:
            others = others[np.argpartition(-alike, number - 1)[:number]]
        nearest[item, : len(others)] = np.sort(others)
    return nearest


def _solved(
    gram: sp.csr_matrix, ridge: float, items: npt.NDArray[np.int64], neighbors: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Ridge regression of each item on its neighbours; `(num_items, num_neighbors)`, 0 where there is none."""
    import tensorflow as tf

    exists, size = neighbors >= 0, neighbors.shape[1]
    near = np.union1d(items, neighbors[exists])
    among = gram[near][:, near].toarray()  # looked up many times: in a dense matrix that takes no search
    places = np.where(exists, np.searchsorted(near, neighbors), 0)
    systems = among[places[:, :, None], places[:, None, :]]  # (num_items, num_neighbors, num_neighbors)
    systems *= exists[:, :, None] & exists[:, None, :]
    systems[:, np.arange(size), np.arange(size)] += np.float32(ridge)
    targets = among[places, np.searchsorted(near, items)[:, None]] * exists  # (num_items, num_neighbors)
    found = tf.linalg.cholesky_solve(tf.linalg.cholesky(systems), targets[:, :, None])  # (num_items, num_neighbors, 1)
    return np.asarray(found[:, :, 0])
