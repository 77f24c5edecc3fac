"""Arrow columns as text, so that Parquet files go through the same checks as CSV files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def text_column(column: pa.ChunkedArray) -> Any:
    """Any Arrow column as a column of text.

    Args:
        column: numbers, text, times (naive ones are UTC), dates or lists of text.

    Returns:
        A pandas-readable array of text; null stays null, and NaN is null: it is how pandas writes a missing number. Lists
        become `a|b`, times ISO 8601 in UTC, and floats without
        a fraction lose their `.0`: whole-number columns with gaps are floats when pandas wrote them.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_column(column.cast(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        known = (None if row is None else [part for part in row if part and part == part] for row in column.to_pylist())
        values = [None if row is None else "|".join(map(str, row)) for row in known]
        return pa.array(values, pa.string()).to_pandas()
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_timestamp(kind):
        # A zoned Arrow time prints in its zone, a naive one without any: both are moved to UTC, to the microsecond.
        in_utc = pc.assume_timezone(column, "UTC") if kind.tz is None else column.cast(pa.timestamp(kind.unit, "UTC"))
        return in_utc.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.string()).to_pandas()
    text = column.cast(pa.string())
    text.validate(full=True)  # a file may call bytes text that are none
    return text.to_pandas()
