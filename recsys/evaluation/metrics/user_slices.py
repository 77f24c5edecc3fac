"""Slices: groups of the holdout's users for whom a model must not be worse, whatever it is on average.

- `activity`: `new` (no event before the holdout); thirds of the others by events: `light`, `regular`, `heavy`.
- `taste`: the genre of most of the user's likes; `other` where few users share it, `unknown` without a liked genre.
- `recency`: time from the user's last event to the holdout: `within a day`, `within a week`, `within a month`,
  `longer ago`, `never`.
- `collateral`: `likes what others disliked` who likes an item in the holdout that was lately disliked more than expected;
  else `rest`.

Everything but the holdout's likes in `collateral` is from before the holdout: no slice depends on what a system did.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.metrics.item_statistics import KnownItems

DIMENSIONS = ("activity", "taste", "recency", "collateral")
RECENCY_BANDS = ((1.0, "within a day"), (7.0, "within a week"), (30.0, "within a month"), (np.inf, "longer ago"))
MIN_TASTE_SHARE = 0.05  # of the users, for a genre to be a slice of its own
LATELY_DAYS = 30.0  # opinions of these days make up how an item was lately received
MIN_DISLIKERS = 2  # one opinion is no reception
DISLIKED, REST = "likes what others disliked", "rest"


def slice_users(
    users: pd.Index[str],
    histories: pd.DataFrame,
    judgements: pd.DataFrame,
    examples: pd.DataFrame,
    liked_genres: npt.NDArray[np.float64],
    known: KnownItems,
    begins_at: datetime,
) -> pd.DataFrame:
    """Puts each user of a holdout into one slice of every dimension.

    Args:
        users: of the holdout.
        histories: see `recsys.model.histories`; what was known when the holdout began.
        judgements: the holdout: `user_id`, `item_id`, `label`.
        examples: training examples up to the begin of the holdout: `item_id`, `label`, `occurred_at`.
        liked_genres: see `beyond_accuracy.liked_genres_of`, for these users.
        known: what the columns of `liked_genres` mean.
        begins_at: of the holdout.

    Returns:
        `user_id` and one text column for each of `DIMENSIONS`.
    """
    return pd.DataFrame({
        "user_id": users,
        "activity": activity(users, histories),
        "taste": taste(liked_genres, known.genre_names),
        "recency": recency(users, histories),
        "collateral": collateral(users, judgements, lately_disliked(examples, begins_at)),
    })  # fmt: skip


def activity(users: pd.Index[str], histories: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Thirds by length of the history; users with histories of one length are never separated, so thirds may be uneven."""
    lengths = histories.groupby("user_id").size().reindex(users, fill_value=0).to_numpy(np.float64)
    names = np.full(len(users), "new", dtype=object)
    known = lengths > 0
    if known.any():
        low, high = np.quantile(lengths[known], [1 / 3, 2 / 3])
        names[known] = np.select([lengths <= low, lengths <= high], ["light", "regular"], "heavy")[known]
    return names


def taste(liked_genres: npt.NDArray[np.float64], genre_names: tuple[str, ...]) -> npt.NDArray[np.object_]:
    """The genre with most of each user's likes; of equal ones the first by name."""
    if not genre_names:
        return np.full(len(liked_genres), "unknown", dtype=object)
    best = liked_genres.argmax(axis=1)
    told = liked_genres.max(axis=1) > 0
    sizes = np.bincount(best[told], minlength=len(genre_names))
    is_own = sizes >= max(1.0, MIN_TASTE_SHARE * len(liked_genres))
    names = np.where(is_own[best], np.array(genre_names, dtype=object)[best], "other")
    return np.where(told, names, "unknown")


def recency(users: pd.Index[str], histories: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The band of the days since each user's last event; where events have no age, all are `within a day`."""
    ages = histories["age_days"] if "age_days" in histories else pd.Series(0.0, index=histories.index)
    newest = ages.groupby(histories["user_id"]).min().reindex(users).to_numpy(np.float64)
    bands = np.select([newest <= end for end, _ in RECENCY_BANDS], [name for _, name in RECENCY_BANDS], "never")
    return bands.astype(object)


def lately_disliked(examples: pd.DataFrame, begins_at: datetime) -> set[str]:
    """Items that met with more dislikes than expected: what a model that learns from dislikes now holds back.

    Among the opinions of the last `LATELY_DAYS`, at least `MIN_DISLIKERS` disliked the item, and dislikes are a larger
    share of its opinions than of all.
    """
    age_days = (pd.Timestamp(begins_at) - examples["occurred_at"]).dt.total_seconds() / 86_400.0
    lately = examples[age_days <= LATELY_DAYS]
    if lately.empty:
        return set()
    disliked = (lately["label"] == 0).groupby(lately["item_id"]).agg(["sum", "mean"])
    usual = float((lately["label"] == 0).mean())
    return set(disliked.index[(disliked["sum"] >= MIN_DISLIKERS) & (disliked["mean"] > usual)])


def collateral(users: pd.Index[str], judgements: pd.DataFrame, disliked: set[str]) -> npt.NDArray[np.object_]:
    """Who likes in the holdout what others disliked lately."""
    hit = judgements[(judgements["label"] == 1) & judgements["item_id"].isin(disliked)]
    return np.where(users.isin(set(hit["user_id"])), DISLIKED, REST).astype(object)
