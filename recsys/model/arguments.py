"""Checks of arguments that several layers and metrics take."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(value: Any, name: str, minimum: int = 1) -> int:
    """`value` as an int, NumPy's whole numbers included, so that it can be saved.

    Raises:
        ValueError: if it is no whole number, or below `minimum`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < minimum:
        raise ValueError(f"Expected {name} to be a whole number >= {minimum}, got {value!r}.")
    return number
