"""The item-item weights `B`: a linear autoencoder in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp


def gram_matrix(signed: sp.csr_matrix) -> npt.NDArray[np.float32]:
    """G = X'X of a sparse signed user-item matrix `(num_users, num_items)`; float32 `(num_items, num_items)`."""
    return np.asarray((signed.T @ signed).todense(), dtype=np.float32)


def item_item_weights(gram: npt.NDArray[np.float32], reg: float) -> npt.NDArray[np.float32]:
    """Solves for the weights that best rebuild each item from the others.

    With P = (G + reg * mean(diag(G)) * I)^-1, B = -P / diag(P) column by column, and a zero diagonal: no item explains
    itself. `reg` is relative to the mean of G's diagonal, so that one value suits small and large data sets.

    Args:
        gram: float32 `(num_items, num_items)`, symmetric, positive semi-definite.
        reg: > 0, relative ridge.

    Returns:
        float32 `(num_items, num_items)`; `B[j, i]` is what item j in a history adds to the score of item i.

    Raises:
        ValueError: if `reg` is not positive.

    References:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, https://arxiv.org/abs/1905.03375.
    """
    import tensorflow as tf

    if reg <= 0:
        raise ValueError(f"Expected reg > 0, got {reg}.")
    num_items = gram.shape[0]
    if num_items == 0:
        return gram
    ridge = reg * max(float(np.diag(gram).mean()), 1e-6)
    regular = tf.convert_to_tensor(gram) + ridge * tf.eye(num_items)
    precision = tf.linalg.cholesky_solve(tf.linalg.cholesky(regular), tf.eye(num_items))  # (num_items, num_items)
    weights = (-precision / tf.linalg.diag_part(precision)[tf.newaxis, :]).numpy()
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, dtype=np.float32)
