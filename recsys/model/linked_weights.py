"""A matrix over the linked items inside a model: dense, or sparse where a dense one would be too large."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from keras import ops

Matrix: TypeAlias = npt.NDArray[np.float32] | Any  # dense, or a sparse matrix of SciPy, which has no types


class LinkedWeights:
    """Weights from items of a history to others, kept in the variables of a layer.

    Args:
        layer: that saves and loads them.
        name: of the variable; the sparse form has `<name>_places` (int64 `(num_stored, 2)`: row, column) and
            `<name>_values`.
        num_linked: rows and columns.
        num_stored: entries of the sparse form; None: dense.
    """

    def __init__(self, layer: keras.Layer, name: str, num_linked: int, num_stored: int | None) -> None:
        self.shape = (num_linked, num_linked)
        self.is_sparse = num_stored is not None

        def variable(name: str, shape: tuple[int, ...], dtype: str = "float32") -> keras.Variable:
            return layer.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

        if num_stored is None:
            self.dense = variable(name, self.shape)
        else:
            self.places = variable(f"{name}_places", (num_stored, 2), "int64")
            self.values = variable(f"{name}_values", (num_stored,))

    def assign(self, matrix: Matrix) -> None:
        """Puts a matrix in, of the kind and with as many entries as was said."""
        if not self.is_sparse:
            self.dense.assign(matrix)
            return
        entries = sp.csr_matrix(matrix)
        entries.sort_indices()
        entries = entries.tocoo()
        self.places.assign(np.column_stack([entries.row, entries.col]).astype(np.int64))
        self.values.assign(entries.data.astype(np.float32))

    def product(self, inputs: Any, positive: bool = False) -> Any:
        """`inputs @ matrix`; float32 `(batch_size, num_linked)`.

        Args:
            inputs: float32 `(batch_size, num_linked)`.
            positive: of the matrix only what is above 0.
        """
        if not self.is_sparse:
            return ops.matmul(inputs, ops.relu(self.dense) if positive else self.dense)
        import tensorflow as tf

        values = ops.convert_to_tensor(self.values)
        matrix = tf.SparseTensor(
            ops.convert_to_tensor(self.places), ops.relu(values) if positive else values, self.shape
        )
        return tf.transpose(tf.sparse.sparse_dense_matmul(matrix, inputs, adjoint_a=True, adjoint_b=True))

    def numpy(self) -> Matrix:
        """The matrix outside of the model."""
        if not self.is_sparse:
            return np.asarray(ops.convert_to_numpy(self.dense))
        places, values = ops.convert_to_numpy(self.places), ops.convert_to_numpy(self.values)
        starts = np.searchsorted(places[:, 0], np.arange(self.shape[0] + 1))  # `assign` sorted them
        return sp.csr_matrix((values, places[:, 1], starts), self.shape)


def no_weights(num_linked: int, is_sparse: bool) -> Matrix:
    """Zeros; float32 `(num_linked, num_linked)`."""
    shape = (num_linked, num_linked)
    return sp.csr_matrix(shape, dtype=np.float32) if is_sparse else np.zeros(shape, np.float32)


def num_stored(matrix: Matrix) -> int | None:
    """Entries of a sparse matrix; None for a dense one."""
    return None if isinstance(matrix, np.ndarray) else int(matrix.nnz)


def positive_part(matrix: Matrix) -> Matrix:
    """What is above 0, elsewhere 0."""
    return np.maximum(matrix, np.float32(0.0)) if isinstance(matrix, np.ndarray) else matrix.maximum(0)
