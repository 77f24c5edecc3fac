"""Weights between items for catalogs too large for dense matrices: each item is predicted from few others only.

A dense B of 30,000 items takes 3.6 GB, and its solution grows with the cube. Column i of the dense closed form is the ridge
regression of item i on all others, `(G_others,others + ridge)^-1 G_others,i`; here the others are the `num_neighbors` items
that say most about it. The weights are read in the same way (`B[j, i]` is what j in a history adds to i, so explanations
are the same sums), and take `num_items * num_neighbors` entries.

References:
    Ning, Karypis, SLIM: Sparse Linear Methods for Top-N Recommender Systems, ICDM 2011 (section 4.2: neighbours chosen
    first); Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

ROWS_PER_BLOCK = 64  # of dense vectors
ENTRIES_PER_BLOCK = 2**26  # of the systems that are solved at once, in float32: 256 MiB


def sparse_item_item_weights(gram: sp.csr_matrix, reg: float, num_neighbors: int) -> sp.csr_matrix:
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
    """
    return _ridge(gram, gram, reg, num_neighbors)


def sparse_transition_weights(
    past_past: sp.csr_matrix, past_future: sp.csr_matrix, reg: float, num_neighbors: int
) -> sp.csr_matrix:
    """The weights of `recsys.model.transitions.transition_weights`, each item predicted from few others.

    Those are the same where every item follows every other, none itself, and `num_neighbors = num_items - 1`.

    Args:
        past_past: sparse `(num_items, num_items)`, symmetric, positive semi-definite.
        past_future: sparse `(num_items, num_items)`.
        reg: > 0; the ridge is this times the mean of the diagonal of `past_past`.
        num_neighbors: >= 1.

    Returns:
        Sparse float32 `(num_items, num_items)`, at most `num_neighbors` entries per column, none on the diagonal.

    Raises:
        ValueError: if `reg` or `num_neighbors` is not positive.
    """
    return _ridge(past_past, past_future, reg, num_neighbors)


def nearest_dot_products(vectors: npt.NDArray[np.float32], num_neighbors: int) -> sp.csr_matrix:
    """For every item the largest dot products, in size, with others; sparse float32 `(num_items, num_items)`.

    Args:
        vectors: `(num_items, num_dimensions)`.
        num_neighbors: >= 1, entries per column at most.
    """
    num_items = len(vectors)
    number = min(num_neighbors, max(num_items - 1, 0))
    neighbors = np.empty((num_items, number), np.int64)
    products = np.empty((num_items, number), np.float32)
    for start in range(0, num_items if number else 0, ROWS_PER_BLOCK):
        rows = np.arange(start, min(start + ROWS_PER_BLOCK, num_items))
        found = vectors[rows] @ vectors.T  # (num_rows, num_items)
        found[np.arange(len(rows)), rows] = 0.0
        neighbors[rows] = np.argpartition(-np.abs(found), number - 1, axis=1)[:, :number]
        products[rows] = np.take_along_axis(found, neighbors[rows], axis=1)
    return _as_columns(neighbors, products)


def _ridge(moments: sp.csr_matrix, targets: sp.csr_matrix, reg: float, num_neighbors: int) -> sp.csr_matrix:
    """Column i: ridge regression of column i of `targets` on the rows of `moments` that say most about it."""
    if reg <= 0 or num_neighbors < 1:
        raise ValueError(f"Expected reg > 0 and num_neighbors >= 1, got {reg} and {num_neighbors}.")
    num_items = moments.shape[0]
    moments, by_item = sp.csr_matrix(moments, dtype=np.float32), sp.csr_matrix(targets.T, dtype=np.float32)
    diagonal = moments.diagonal()
    ridge = reg * max(float(diagonal.mean()), 1e-6) if num_items else 0.0
    neighbors, wanted = _nearest(by_item, diagonal, min(num_neighbors, max(num_items - 1, 1)))
    weights = np.zeros(neighbors.shape, np.float32)
    per_block = max(ENTRIES_PER_BLOCK // neighbors.shape[1] ** 2, 1)
    for start in range(0, num_items, per_block):
        block = slice(start, start + per_block)
        weights[block] = _solved(moments, ridge, neighbors[block], wanted[block])
    return _as_columns(neighbors, weights)


def _as_columns(neighbors: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]) -> sp.csr_matrix:
    """Row i of both as column i of a sparse matrix; neighbours of -1 are left out. Histories multiply its rows."""
    num_items, kept = len(neighbors), neighbors >= 0
    columns = np.broadcast_to(np.arange(num_items)[:, None], neighbors.shape)
    return sp.csr_matrix((weights[kept], (neighbors[kept], columns[kept])), (num_items, num_items))


def _nearest(
    by_item: sp.csr_matrix, diagonal: npt.NDArray[np.float32], number: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Positions of the items that say most about each by cosine, in size, in order of position, and their entries.

    Both `(num_items, number)`; positions padded by -1, entries by 0.
    """
    nearest = np.full((by_item.shape[0], number), -1, np.int64)
    entries = np.zeros(nearest.shape, np.float32)
    length = np.sqrt(np.maximum(diagonal, 1e-12))
    for item in range(by_item.shape[0]):
        own = slice(by_item.indptr[item], by_item.indptr[item + 1])
        others, values = by_item.indices[own], by_item.data[own]
        kept = (others != item) & (values != 0)
        others, values = others[kept], values[kept]
        if len(others) > number:
            best = np.argpartition(-np.abs(values) / length[others], number - 1)[:number]
            others, values = others[best], values[best]
        order = np.argsort(others)
        nearest[item, : len(others)], entries[item, : len(others)] = others[order], values[order]
    return nearest, entries


def _solved(
    moments: sp.csr_matrix, ridge: float, neighbors: npt.NDArray[np.int64], wanted: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Ridge regression of each item on its neighbours; `(num_items, num_neighbors)`, 0 where there is none."""
    import tensorflow as tf

    size = neighbors.shape[1]
    systems = _among(moments, neighbors)
    systems[:, np.arange(size), np.arange(size)] += np.float32(ridge)
    found = tf.linalg.cholesky_solve(tf.linalg.cholesky(systems), wanted[:, :, None])  # (num_items, num_neighbors, 1)
    return np.asarray(found[:, :, 0])


def _among(moments: sp.csr_matrix, neighbors: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The moments among the neighbours of each item; `(num_items, num_neighbors, num_neighbors)`, 0 where there is none.

    Row by row of the moments: each is spread out once, and all items that have it among their neighbours read from it. To
    look the entries up item by item takes ten times as long.
    """
    number, size = neighbors.shape
    among = np.zeros((number, size, size), np.float32)
    items, places = np.nonzero(neighbors >= 0)
    order = np.argsort(neighbors[items, places], kind="stable")
    items, places = items[order], places[order]
    near, starts = np.unique(neighbors[items, places], return_index=True)
    bounds, stored = np.append(starts, len(items)).tolist(), moments.indptr.tolist()
    systems, filled = among.reshape(number * size, size), items * size + places
    spread_out = np.zeros(moments.shape[0] + 1, np.float32)  # a missing neighbour, -1, reads the last entry
    for row, start, end in zip(near.tolist(), bounds[:-1], bounds[1:], strict=True):
        own = slice(stored[row], stored[row + 1])
        spread_out[moments.indices[own]] = moments.data[own]
        systems[filled[start:end]] = spread_out.take(neighbors[items[start:end]])
        spread_out[moments.indices[own]] = 0.0
    return among
