"""How the lists of a system spread: over the catalog, and from user to user. One number a system, no user has it alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.metrics.accuracy import coverage

SYSTEM_METRICS = ("coverage_at_10", "gini_at_10", "personalisation_at_10")


def spread_of(top: pd.DataFrame, num_items: int, k: int = 10) -> dict[str, float]:
    """Coverage, concentration and personalisation of lists.

    Args:
        top: `user_id`, `rank` (from 1), `item_id`.
        num_items: in the catalog; more if the lists hold more.
        k: slots to look at; the names end on `_at_10` after its default.

    Returns:
        - `coverage_at_10`: share of the catalog that is in anybody's list; in [0, 1].
        - `gini_at_10`: Gini coefficient of how often items are listed, those that never are among them; 0: all alike,
          towards 1: few items fill all lists.
        - `personalisation_at_10`: 1 - the mean share of slots that two users' lists have in common, over all pairs of
          users; in [0, 1].

        Without lists there is no Gini coefficient, and with fewer than two no personalisation: their names are missing.
    """
    shown = top[top["rank"] <= k]
    counts = shown["item_id"].value_counts().to_numpy().astype(np.float64)
    num_items = max(num_items, len(counts))
    found = {"coverage_at_10": coverage(top, num_items, k)}
    num_lists = int(shown["user_id"].nunique())
    if num_lists:
        found["gini_at_10"] = gini(counts, num_items)
    if num_lists > 1:
        shared = (counts * (counts - 1.0)).sum() / (num_lists * (num_lists - 1.0))  # slots, a mean over pairs of lists
        found["personalisation_at_10"] = float(1.0 - shared / (counts.sum() / num_lists))
    return found


def gini(counts: npt.NDArray[np.float64], num_items: int) -> float:
    """Gini coefficient of `counts` and of the zeros that make them up to `num_items`; in [0, 1)."""
    ordered = np.sort(counts)
    ranks = np.arange(num_items - len(ordered) + 1, num_items + 1, dtype=np.float64)
    return float(2.0 * (ranks * ordered).sum() / (num_items * ordered.sum()) - (num_items + 1.0) / num_items)
