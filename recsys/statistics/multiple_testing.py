"""Holm's correction: many tests at once, and still seldom a false alarm."""

from __future__ import annotations

from collections.abc import Sequence


def holm_adjusted(p_values: Sequence[float], num_tests: int | None = None) -> list[float]:
    """P-values times the number of hypotheses that are still open, in the order of the given ones; never above 1.

    SciPy corrects for the false discovery rate only, not for the chance of any false alarm, so these are our own few lines.

    Args:
        p_values: of the tests that were made, in [0, 1].
        num_tests: how many hypotheses there were, the given ones included; those not given count as 1. None: no others.

    References:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    total = len(p_values) if num_tests is None else num_tests
    adjusted, highest = list(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, p_values[index] * max(1, total - place)))
        adjusted[index] = highest
    return adjusted
