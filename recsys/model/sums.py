"""Sums over users for every two items: dense, or sparse where most pairs were never met together."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Sums: TypeAlias = npt.NDArray[np.float64] | Any  # Any: a sparse matrix of SciPy, which has no types


def empty_sums(num_items: int, is_sparse: bool) -> Sums:
    """Zeros; float64 `(num_items, num_items)`."""
    return sp.csr_matrix((num_items, num_items)) if is_sparse else np.zeros((num_items, num_items))


def added(sums: Sums, change: sp.csr_matrix) -> Sums:
    """The sums with `change`: dense ones in place, sparse ones as a new matrix."""
    if not isinstance(sums, np.ndarray):
        return sums + change
    sums += change.toarray()
    return sums
