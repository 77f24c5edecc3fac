"""Counterfactuals: where an item would stand in a user's list, had one item of the user's history told nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.errors import InputError
from recsys.model.explanations import cited_items

if TYPE_CHECKING:
    from recsys.model.recommender import Recommender

COLUMNS = ["item_id", "removed_item_id", "title", "share", "score", "rank"]
MAX_REMOVED = 3


def counterfactuals(
    recommender: Recommender,
    histories: pd.DataFrame,
    user_id: str,
    item_ids: Sequence[str],
    limit: int = MAX_REMOVED,
) -> pd.DataFrame:
    """What items would score, and where they would rank, without the items of the history that count most for them.

    "Without" sets an item's entries to 0 in what the model reads of the user (`HistoryMatrices.without`): its like or
    dislike, its place among the last events, and what it plays down. The other items keep their weights. So the score
    changes by exactly the removed item's share, and by what the item did to the user's taste for genres and to feature
    adjustments, which are contributions of their own. Every item is scored again: the rank is exact. The removed item is
    still seen, so it is no candidate itself.

    Args:
        recommender: the model.
        histories: see `recsys.model.histories`; only the user's rows are read.
        user_id: one without history has no counterfactuals.
        item_ids: which items to ask about, such as those of the user's list.
        limit: at most so many removed items each, those with the largest share.

    Returns:
        Columns `item_id`, `removed_item_id`, `title` (of the removed item), `share` (signed: what the removed item's
        contributions add to the score), `score` and `rank` (from 1, among the eligible items that the user has not seen)
        without it. In the order of `item_ids`, the largest share first.

    Raises:
        InputError: if the model does not know an item.
    """
    if unknown := [item for item in item_ids if item not in recommender.positions]:
        raise InputError(
            f"Expected items that the model knows, got {unknown[0]!r} ({len(unknown)} of {len(item_ids)} unknown): "
            "ask about items of the user's list, or retrain."
        )
    block = recommender.matrices(histories[histories["user_id"] == user_id], [user_id])
    explained = recommender.explainer().explain(
        block,
        np.zeros(len(item_ids), np.int64),
        np.array([recommender.positions[item] for item in item_ids], np.int32),
        limit=len(recommender.item_ids),
    )
    found = [
        (item, removed, recommender.titles[removed], share)
        for item, terms in zip(item_ids, explained, strict=True)
        for removed, share in islice(cited_items(terms).items(), limit)
    ]
    result = pd.DataFrame(found, columns=COLUMNS[:4])
    targets = np.array([recommender.positions[item] for item in result["item_id"]], np.int64)
    removed = [[recommender.positions[item]] for item in result["removed_item_id"]]
    without = block.without(np.zeros(len(result), np.int64), removed)
    scores = keras.ops.convert_to_numpy(recommender.model(without.inputs(recommender.features)))
    result["score"] = scores[np.arange(len(result)), targets].astype(np.float64)
    result["rank"] = _ranks(scores, targets, recommender.is_open_to(without))
    return result


def _ranks(
    scores: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], is_open: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Rank of each row's target among the items that its list may hold; of equal scores the lower position comes first."""
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < targets[:, None]
    better = (scores > own) | ((scores == own) & earlier)  # (num_rows, num_items)
    return np.asarray(1 + (better & is_open).sum(axis=1), np.int64)


def counterfactual_sentence(removed: Iterable[tuple[str, int]]) -> str:
    """Such as "Without Alien it would be rank 34, without Blade Runner rank 20".

    Args:
        removed: title of a removed item, and the rank without it.

    Returns:
        Empty if nothing was removed.
    """
    told = [f"without {title} {'it would be ' if n == 0 else ''}rank {rank}" for n, (title, rank) in enumerate(removed)]
    sentence = ", ".join(told)
    return sentence[:1].upper() + sentence[1:]
