"""Counterfactuals: where an item would stand in a user's list, without one item of the user's history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys.errors import InputError
from recsys.model.explanations import cited_items
from recsys.model.scorer import Scorer
from recsys.model.sentences import title_of
from recsys.model.standing import Removed, ranks_without

if TYPE_CHECKING:
    from recsys.model.recommender import Recommender

COLUMNS = ["item_id", "removed_item_id", "title", "share", "score", "rank"]
TYPES = {"share": "float64", "score": "float64", "rank": "int64"}
MAX_REMOVED = 3


def counterfactuals(
    recommender: Recommender,
    histories: pd.DataFrame,
    user_id: str,
    item_ids: Sequence[str],
    limit: int = MAX_REMOVED,
    progress: Callable[[int, int], None] = lambda done, total: None,
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
        progress: called after each of `item_ids` with how many are done, and of how many.

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
    scorer, explainer = Scorer(recommender.model), recommender.explainer()
    asked = np.array([recommender.positions[item] for item in item_ids], np.int32)
    explained = explainer.explain(block, np.zeros(len(asked), np.int64), asked, limit=None)
    candidates, frames = recommender.is_open_to(block), [pd.DataFrame(columns=COLUMNS).astype(TYPES)]
    for number, (item, terms) in enumerate(zip(item_ids, explained, strict=True)):
        shares = dict(islice(cited_items(terms).items(), limit))
        items = np.array([recommender.positions[removed] for removed in shares], np.int64)
        rows = np.zeros(len(items), np.int64)
        removed, targets = Removed(rows, items, rows - 1), np.full(len(items), asked[number])
        scores, ranks, _ = ranks_without(scorer, explainer, block, candidates, removed, targets)
        titles = [title_of(other, recommender.titles) for other in shares]
        columns = (item, list(shares), titles, list(shares.values()), scores, ranks)
        frames.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))).astype(TYPES))
        progress(number + 1, len(item_ids))
    return pd.concat(frames, ignore_index=True)


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
