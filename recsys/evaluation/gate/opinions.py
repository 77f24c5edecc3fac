"""Opinions of a holdout beside the lists: what users liked and disliked, and in whose first ten it was.

One day holds few dislikes, so the gate looks at those of several: the opinions of earlier verdicts on the same champion are
pooled with the batch's own. An opinion is a pair of user and item, and counts once. The batch's own holdout comes first,
then the newest evidence: what is said of a challenger should come from lists of this one wherever there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd

PAIR = ["user_id", "item_id"]


def opinions_of(lists: Mapping[str, pd.DataFrame], judgements: pd.DataFrame, k: int = 10) -> pd.DataFrame:
    """The holdout's opinions, and for each system whether the item was among the first `k` of the user's list.

    Args:
        lists: system -> `user_id`, `rank` (from 1), `item_id`.
        judgements: `user_id`, `item_id`, `label` (1 liked, 0 disliked), one row per pair; more columns are kept.
        k: slots to look at.

    Returns:
        The judgements, with one boolean column per system.
    """
    found = judgements.reset_index(drop=True)
    pairs = pd.MultiIndex.from_frame(found[PAIR])
    for system in sorted(lists):
        top = lists[system]
        found[system] = pairs.isin(pd.MultiIndex.from_frame(top.loc[top["rank"] <= k, PAIR]))
    return found


def pooled(own: pd.DataFrame, earlier: Sequence[pd.DataFrame], since: datetime) -> pd.DataFrame:
    """The batch's own opinions, and those of earlier evidence that were recorded after `since`; each pair once.

    Args:
        own: all of these are kept.
        earlier: opinions of other evidence, the newest first, with the columns of `own`.
        since: on the stream's clock.
    """
    recent = [one.loc[one["recorded_at"] > pd.Timestamp(since), list(own)] for one in earlier]
    parts = [one for one in (own, *recent) if len(one)]
    if not parts:
        return own.reset_index(drop=True)
    return pd.concat(parts, ignore_index=True).drop_duplicates(PAIR, keep="first", ignore_index=True)


def counts_of(opinions: pd.DataFrame, challenger: str, comparator: str) -> pd.DataFrame:
    """How many liked and disliked items each user met that were in either list.

    Args:
        opinions: see `opinions_of`.
        challenger: a system.
        comparator: another one.

    Returns:
        Whole numbers by user, in the order of the users' first opinions: `num_disliked` opinions; `likes`, `dislikes`
        among the challenger's first ten; `other_likes`, `other_dislikes` among the comparator's.
    """
    liked = opinions["label"] == 1
    columns = {
        "num_disliked": ~liked,
        "likes": liked & opinions[challenger], "dislikes": ~liked & opinions[challenger],
        "other_likes": liked & opinions[comparator], "other_dislikes": ~liked & opinions[comparator],
    }  # fmt: skip
    return pd.DataFrame(columns).groupby(opinions["user_id"], sort=False).sum().astype("int64")


def met_in_lists(opinions: pd.DataFrame, system: str) -> tuple[int, int]:
    """How many liked and how many disliked items were among the system's first ten; see `opinions_of`."""
    labels = opinions.loc[opinions[system].astype(bool), "label"]
    return int((labels == 1).sum()), int((labels == 0).sum())


def likes_per_dislike(likes: int, dislikes: int) -> float | None:
    """None where no disliked item was listed: a ratio to nothing."""
    return likes / dislikes if dislikes else None
