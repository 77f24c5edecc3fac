"""JSON as the database keeps it: strict, so that PostgreSQL takes what SQLite takes."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any) -> str:
    """JSON text. NaN and infinities, which JSON does not have, become null.

    Raises:
        TypeError: for a value that is not JSON-able.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def from_json(text: str) -> Any:
    """The value of JSON text."""
    return json.loads(text)
