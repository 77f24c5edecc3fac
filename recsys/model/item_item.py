"""The item-item weights `B`: a linear autoencoder in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.ridge import ridge_inverse
from recsys.model.sums import Sums


def gram_matrix(signed: sp.csr_matrix, is_sparse: bool = False) -> Sums:
    """G = X'X of a sparse signed user-item matrix `(num_users, num_items)`; float64 `(num_items, num_items)`."""
    signed = signed.astype(np.float64)
    gram = signed.T @ signed
    return sp.csr_matrix(gram) if is_sparse else gram.toarray()


def item_item_weights(
    gram: npt.NDArray[np.floating[Any]], reg: float, dtype: str = "float32"
) -> npt.NDArray[np.floating[Any]]:
    """Solves for the weights that best rebuild each item from the others.

    With P = (G + reg * mean(diag(G)) * I)^-1, B = -P / diag(P) column by column, and a zero diagonal: no item explains
    itself. `reg` is relative to the mean of G's diagonal, so that one value suits small and large data sets.

    Args:
        gram: `(num_items, num_items)`, symmetric, positive semi-definite.
        reg: > 0, relative ridge.
        dtype: to compute in. In `float32` no weight is further than `FLOAT32_ERROR` of the largest from `float64`.

    Returns:
        Of `dtype`, `(num_items, num_items)`; `B[j, i]` is what item j in a history adds to the score of item i.

    Raises:
        ValueError: if `reg` is not positive.

    References:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, https://arxiv.org/abs/1905.03375.
    """
    if not len(gram):
        return gram.astype(dtype)
    weights = np.array(ridge_inverse(gram, reg, dtype))
    weights /= -np.diag(weights).copy()
    np.fill_diagonal(weights, 0.0)
    return weights
