"""Lists from scores, and a catalog as a file: what every recommender needs, whatever it scores with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.model.eligible_items import BoolArray

COLUMNS = ["user_id", "rank", "item_id", "score"]
CATALOG = "catalog.parquet"
LIST_COLUMNS = ["genres", "cast", "tags"]
Positions = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


def open_items(
    histories: pd.DataFrame, user_ids: Sequence[str], item_ids: npt.NDArray[np.object_], eligible: BoolArray
) -> BoolArray:
    """Which items the list of each user may hold: eligible, and not in the history; `(num_users, num_items)`.

    Args:
        histories: see `recsys.model.histories`.
        user_ids: rows of the result, in order.
        item_ids: columns of the result, in order.
        eligible: `(num_items,)`.
    """
    is_open = np.tile(eligible, (len(user_ids), 1))
    rows = pd.Index(list(user_ids)).get_indexer(pd.Index(histories["user_id"]))
    columns = pd.Index(item_ids).get_indexer(pd.Index(histories["item_id"]))
    known = (rows >= 0) & (columns >= 0)
    is_open[rows[known], columns[known]] = False
    return is_open


def top_positions(scores: Scores, is_open: BoolArray, k: int) -> tuple[Positions, Scores]:
    """Positions and scores `(num_users, min(k, num_items))`, best first; of equal scores the lower position comes first.

    Args:
        scores: `(num_users, num_items)`.
        is_open: the same shape; what is not has the score -inf, and comes last.
        k: >= 1.
    """
    from keras import ops

    masked = np.where(is_open, scores, np.float32(-np.inf))
    top_scores, positions = ops.top_k(masked, min(k, scores.shape[1]))
    return ops.convert_to_numpy(positions), ops.convert_to_numpy(top_scores)


def as_table(
    user_ids: Sequence[str] | npt.NDArray[np.object_],
    item_ids: npt.NDArray[np.object_],
    positions: Positions,
    scores: Scores,
) -> pd.DataFrame:
    """What `top_positions` gives as `user_id`, `rank` (from 1), `item_id`, `score`; without what has the score -inf."""
    keep = np.isfinite(scores)
    row, column = np.nonzero(keep)
    return pd.DataFrame(
        {
            "user_id": np.asarray(user_ids, dtype=object)[row],
            "rank": (column + 1).astype(np.int64),
            "item_id": item_ids[positions[keep]],
            "score": scores[keep].astype(np.float64),
        }
    )


def save_catalog(catalog: pd.DataFrame, folder: Path) -> None:
    """Writes `catalog.parquet`."""
    catalog = catalog.copy()
    for column in catalog.columns.intersection(LIST_COLUMNS):
        catalog[column] = catalog[column].map(list)
    catalog.to_parquet(folder / CATALOG, index=False)


def load_catalog(folder: Path) -> pd.DataFrame:
    """Reads what `save_catalog` wrote."""
    catalog = pd.read_parquet(folder / CATALOG)
    for column in catalog.columns.intersection(LIST_COLUMNS):
        catalog[column] = [tuple(values) for values in catalog[column]]
    return catalog
