"""What items of a history add to others: a matrix over the linked items, and what stands in where it knows little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from keras import ops

FloatArray = npt.NDArray[np.float32]
Matrix: TypeAlias = npt.NDArray[np.float32] | Any  # dense, or a sparse matrix of SciPy, which has no types


@dataclass(frozen=True)
class Associations:
    """What an item j of a history adds to an item i: `matrix[j, i] + typical[j] * unsure[i]`.

    A ridge holds the weights of an item back where it has been met seldom, and an item that nobody has met has none. Without
    the second part every new item would stand behind all others for whoever has a history, however many flock to it; with it
    a new item gets what j adds to items on average.

    Attributes:
        matrix: float32 `(num_linked, num_linked)`, dense or sparse.
        typical: float32 `(num_linked,)`: mean of each row, by how much the items are liked.
        unsure: float32 `(num_items,)` in [0, 1]: how far the ridge held back the weights of an item; 1 for one that is not
            linked.
    """

    matrix: Matrix
    typical: FloatArray
    unsure: FloatArray

    @classmethod
    def plain(cls, matrix: Matrix, num_items: int) -> Associations:
        """The matrix alone."""
        return cls(matrix, np.zeros(matrix.shape[0], np.float32), np.zeros(num_items, np.float32))

    @classmethod
    def none(cls, num_linked: int, num_items: int, is_sparse: bool) -> Associations:
        """Nothing adds anything."""
        shape = (num_linked, num_linked)
        matrix = sp.csr_matrix(shape, dtype=np.float32) if is_sparse else np.zeros(shape, np.float32)
        return cls.plain(matrix, num_items)

    @property
    def num_stored(self) -> int | None:
        """Entries of a sparse matrix; None for a dense one."""
        return None if isinstance(self.matrix, np.ndarray) else int(self.matrix.nnz)

    def positive_part(self) -> Associations:
        """Of the matrix what is above 0, and nothing that stands in."""
        matrix = self.matrix
        matrix = np.maximum(matrix, np.float32(0.0)) if isinstance(matrix, np.ndarray) else matrix.maximum(0)
        return Associations.plain(matrix, len(self.unsure))

    def added_by(self, histories: sp.csr_matrix) -> FloatArray:
        """What histories add to every item; float32 `(num_users, num_items)`.

        Args:
            histories: sparse `(num_users, num_items)`.
        """
        known = histories[:, : len(self.typical)]
        found = known @ self.matrix
        added = np.outer(known @ self.typical, self.unsure).astype(np.float32)
        added[:, : len(self.typical)] += found.toarray() if sp.issparse(found) else found
        return added

    def between(self, items: npt.NDArray[np.int32], targets: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """What `items`, linked ones, add to `targets`, one by one; float64 `(num_pairs,)`."""
        added = self.typical[items].astype(np.float64) * self.unsure[targets]
        linked = np.flatnonzero(targets < len(self.typical))
        if len(linked):  # of no entry a sparse matrix gives another sparse one, of some a row
            found = self.matrix[items[linked], targets[linked]]
            added[linked] += np.asarray(found, np.float64).ravel()
        return added

    def positively_between(
        self, items: npt.NDArray[np.int32], targets: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float64]:
        """The same of `positive_part`, without a copy of the matrix."""
        added = np.zeros(len(items))
        linked = np.flatnonzero(targets < len(self.typical))
        if len(linked):
            found = self.matrix[items[linked], targets[linked]]
            added[linked] = np.maximum(np.asarray(found, np.float64).ravel(), 0.0)
        return added


class LinkedWeights:
    """`Associations` in the variables of a layer.

    Args:
        layer: that saves and loads them.
        name: of the matrix; a sparse one has `<name>_places` (int64 `(num_stored, 2)`: row, column) and `<name>_values`.
        num_linked: rows and columns.
        num_items: linked or not.
        num_stored: entries of a sparse matrix; None: dense.
    """

    def __init__(self, layer: keras.Layer, name: str, num_linked: int, num_items: int, num_stored: int | None) -> None:
        self.shape = (num_linked, num_linked)
        self.num_items = num_items
        self.is_sparse = num_stored is not None

        def variable(name: str, shape: tuple[int, ...], dtype: str = "float32") -> keras.Variable:
            return layer.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

        if num_stored is None:
            self.dense = variable(name, self.shape)
        else:
            self.places = variable(f"{name}_places", (num_stored, 2), "int64")
            self.values = variable(f"{name}_values", (num_stored,))
        self.typical = variable(f"{name}_typical", (num_linked,))
        self.unsure = variable(f"{name}_unsure", (num_items,))

    def assign(self, associations: Associations) -> None:
        """Puts values in; the matrix of the kind and with as many entries as was said."""
        if self.is_sparse:
            entries = sp.csr_matrix(associations.matrix)
            entries.sort_indices()
            entries = entries.tocoo()
            self.places.assign(np.column_stack([entries.row, entries.col]).astype(np.int64))
            self.values.assign(entries.data.astype(np.float32))
        else:
            self.dense.assign(associations.matrix)
        self.typical.assign(associations.typical)
        self.unsure.assign(associations.unsure)

    def added_by(self, histories: Any) -> Any:
        """What histories add to every item; both float32 `(batch_size, num_items)`."""
        known = histories[:, : self.shape[0]]
        total = ops.matmul(known, ops.expand_dims(self.typical, 1))  # (batch_size, 1)
        return self._padded(self._product(known, positive=False)) + total * self.unsure

    def positively_added_by(self, histories: Any) -> Any:
        """The same of `Associations.positive_part`."""
        return self._padded(self._product(histories[:, : self.shape[0]], positive=True))

    def _padded(self, linked: Any) -> Any:
        return ops.pad(linked, [[0, 0], [0, self.num_items - self.shape[0]]])  # (batch_size, num_items)

    def _product(self, known: Any, positive: bool) -> Any:
        if not self.is_sparse:
            return ops.matmul(known, ops.relu(self.dense) if positive else self.dense)
        import tensorflow as tf

        values = ops.convert_to_tensor(self.values)
        matrix = tf.SparseTensor(
            ops.convert_to_tensor(self.places), ops.relu(values) if positive else values, self.shape
        )
        return tf.transpose(tf.sparse.sparse_dense_matmul(matrix, known, adjoint_a=True, adjoint_b=True))

    def numpy(self) -> Associations:
        """The values outside of the model."""
        typical, unsure = (own.numpy() for own in (self.typical, self.unsure))
        if not self.is_sparse:
            return Associations(self.dense.numpy(), typical, unsure)
        places, values = self.places.numpy(), self.values.numpy()
        starts = np.searchsorted(places[:, 0], np.arange(self.shape[0] + 1))  # `assign` sorted them
        return Associations(sp.csr_matrix((values, places[:, 1], starts), self.shape), typical, unsure)
