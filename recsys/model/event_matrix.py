"""From events to a sparse matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp


def event_matrix(
    values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], shape: tuple[int, int]
) -> sp.csr_matrix:
    """Sparse float32 matrix with `values` at the events; zeros are dropped, what is at one place is added up.

    Args:
        values: `(num_events,)`.
        rows: `(num_events,)`, positions of users.
        columns: `(num_events,)`, positions of items; events with -1 are left out.
        shape: of the result.
    """
    keep = (values != 0) & (columns >= 0)
    return sp.csr_matrix((values[keep].astype(np.float32), (rows[keep], columns[keep])), shape)
