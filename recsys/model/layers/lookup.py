"""Rows of a table by id, where an unknown id has a row of zeros."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def is_known(ids: Any, num_rows: int) -> Any:
    """Which ids are rows of a table; bool, shape of `ids`.

    Raises:
        ValueError: if the ids are not integers.
    """
    wide = _wide(ids)
    return ops.logical_and(wide >= 0, wide < num_rows)


def look_up(table: Any, ids: Any) -> Any:
    """The rows of `table` `(num_rows, ...)` at integer `ids` of any shape; zeros, without a gradient, for an unknown id."""
    wide = _wide(ids)
    known = is_known(ids, table.shape[0])
    rows = ops.take(table, ops.where(known, wide, ops.zeros_like(wide)), axis=0)
    known = ops.reshape(known, (*ops.shape(known), *(1 for _ in table.shape[1:])))
    return ops.where(known, rows, ops.zeros_like(rows))


def _wide(ids: Any) -> Any:
    """The ids in a type that holds every number of rows."""
    dtype = keras.backend.standardize_dtype(ids.dtype)
    if not keras.backend.is_int_dtype(dtype):
        raise ValueError(f"Expected integer ids, got {dtype}: cast them to int32.")
    return ids if dtype == "int32" else ops.cast(ids, "int64")
