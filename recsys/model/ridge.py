"""The inverse that the closed forms need: by Cholesky in TensorFlow, on a GPU where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tensorflow as tf

LEAF = 512  # rows from which on a matrix is halved
FLOAT32_ERROR = 1e-5  # of the largest weight: how far weights solved in float32 are from those in float64


def ridge_inverse(gram: npt.NDArray[np.floating[Any]], reg: float, dtype: str = "float32") -> tf.Tensor:
    """`(G + reg * mean(diag(G)) * I)^-1`.

    The ridge is relative to the mean of the diagonal, so the condition number is at most `1 + num_items / reg` whatever
    the data: for 4,000 items and the smallest ridge of the recipe, 4, float32 loses three of its seven digits at worst.
    What is measured is better: see `FLOAT32_ERROR`, which a test and `make bench-night` check.

    Args:
        gram: `(num_items, num_items)`, symmetric, positive semi-definite, num_items > 0.
        reg: > 0.
        dtype: to compute in; `float64` is there to measure the error of `float32`.

    Returns:
        Tensor `(num_items, num_items)`.

    Raises:
        ValueError: if `reg` is not positive.
    """
    import tensorflow as tf

    if reg <= 0:
        raise ValueError(f"Expected reg > 0, got {reg}.")
    regular = gram.astype(dtype)
    regular[np.diag_indices(len(regular))] += np.asarray(reg * max(float(np.diag(gram).mean()), 1e-6), dtype)
    return _product(_lower_inverse(tf.linalg.cholesky(tf.constant(regular))))


# Solving against the identity takes 2 n^3 operations. Halving L takes two thirds of that, since the zeros above the diagonal
# are left out, and all of it is large products, which are fastest: half the time for 4,000 items on two cores.


def _lower_inverse(lower: tf.Tensor) -> tf.Tensor:
    """`L^-1` of a lower triangular matrix."""
    import tensorflow as tf

    size = int(lower.shape[0])
    if size <= LEAF:
        return tf.linalg.triangular_solve(lower, tf.eye(size, dtype=lower.dtype))
    half = size // 2
    first, last = _lower_inverse(lower[:half, :half]), _lower_inverse(lower[half:, half:])
    below = -tf.matmul(last, tf.matmul(lower[half:, :half], first))
    above = tf.zeros((half, size - half), lower.dtype)
    return tf.concat([tf.concat([first, above], 1), tf.concat([below, last], 1)], 0)


def _product(lower: tf.Tensor) -> tf.Tensor:
    """`X'X` of a lower triangular matrix X."""
    import tensorflow as tf

    size = int(lower.shape[0])
    if size <= LEAF:
        return tf.matmul(lower, lower, transpose_a=True)
    half = size // 2
    first, below, last = lower[:half, :half], lower[half:, :half], lower[half:, half:]
    corner = tf.matmul(last, below, transpose_a=True)
    top = _product(first) + tf.matmul(below, below, transpose_a=True)
    return tf.concat([tf.concat([top, tf.transpose(corner)], 1), tf.concat([corner, _product(last)], 1)], 0)
