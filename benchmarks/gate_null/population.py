"""Users whose lists several equal systems made: what holdouts are drawn from, and what is made worse by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.metrics.accuracy import evaluate_lists

K, LIST_LENGTH = 10, 20
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Users, and the lists that each of several systems gave them.

    Attributes:
        name: for people.
        num_liked: `(num_users,)`, liked holdout items, >= 1.
        hits: per system, `user` (position) and `rank` of each liked item in the first 20 of the user's list.
        exposure: `(num_users, num_systems)`, dislike exposure@10; NaN for users who dislike nothing in the holdout.
        num_disliked: `(num_users,)`, disliked holdout items, >= 0.
        slices: `(num_users, ...)`, one text column per dimension.
    """

    name: str
    num_liked: npt.NDArray[np.int64]
    hits: tuple[pd.DataFrame, ...]
    exposure: FloatArray
    num_disliked: npt.NDArray[np.int64]
    slices: pd.DataFrame

    def listed_likes(self) -> npt.NDArray[np.int64]:
        """Liked holdout items in the first ten of each user's list, `(num_users, num_systems)`."""
        users = np.arange(len(self.num_liked))
        first = (own.loc[own["rank"] <= K, "user"] for own in self.hits)
        return np.column_stack([np.bincount(found, minlength=len(users)) for found in first])

    def listed_dislikes(self) -> npt.NDArray[np.int64]:
        """The same of disliked ones."""
        return np.rint(np.nan_to_num(self.exposure) * K).astype(np.int64)

    def lost_share(self) -> float:
        """Of the disliked items in the first ten of one system, the share that are not in another's; mean over pairs."""
        listed = self.listed_dislikes()
        systems = range(listed.shape[1])
        pairs = [(listed[:, a], listed[:, b]) for a in systems for b in systems if a != b]
        return float(np.mean([np.maximum(one - other, 0).sum() / max(one.sum(), 1) for one, other in pairs]))

    def metrics(self, system: int) -> FloatArray:
        """NDCG@10, Recall@20 and MRR of each user, `(num_users, 3)`."""
        own = self.hits[system]
        users = [f"{n:06d}" for n in range(len(self.num_liked))]
        place = own.groupby("user").cumcount()
        lists = pd.DataFrame(
            {"user_id": own["user"].map(users.__getitem__), "rank": own["rank"], "item_id": place.astype(str)}
        )
        liked = pd.DataFrame({
            "user_id": np.repeat(users, self.num_liked),
            "item_id": np.concatenate([np.arange(n) for n in self.num_liked]).astype(str),
            "label": 1,
        })  # fmt: skip
        judged = evaluate_lists({"system": lists}, liked).sort_values("user_id")
        return judged[["ndcg_at_10", "recall_at_20", "mrr"]].to_numpy(np.float64)

    def worsened(self, share: float, seed: int) -> Population:
        """Every system worse by `share` of its mean NDCG@10: see `demoted`."""
        rng = np.random.default_rng(seed)
        return replace(self, hits=tuple(demoted(own, self.num_liked, share, rng) for own in self.hits))


def demoted(
    hits: pd.DataFrame, num_liked: npt.NDArray[np.int64], share: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Hits chosen at random go down one rank, behind the item below them, until the mean NDCG@10 is worse by `share`.

    A user without a hit loses nothing, one with a hit at the top loses much, most lose nothing at all: a model gets worse
    like that, not by a factor for everybody. If one round over all hits is not enough, there is another.
    """
    user, rank = hits["user"].to_numpy(), hits["rank"].to_numpy().copy()
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, K + 2)))[np.minimum(num_liked[user], K) - 1]
    left = share * float((_gain(rank) / ideal).sum())
    while left > 0:
        taken = set(zip(user.tolist(), rank.tolist(), strict=True))
        is_free = [(u, r + 1) not in taken for u, r in zip(user.tolist(), rank.tolist(), strict=True)]
        movable = rng.permutation(np.flatnonzero((rank <= K) & np.array(is_free, bool)))
        loss = np.cumsum((_gain(rank[movable]) - _gain(rank[movable] + 1)) / ideal[movable])
        chosen = movable[: int(np.searchsorted(loss, left)) + 1]
        rank[chosen] += 1
        left -= float(loss[len(chosen) - 1])
    return hits.assign(rank=rank)


def _gain(rank: npt.NDArray[np.int64]) -> FloatArray:
    return np.where(rank <= K, 1.0 / np.log2(rank + 1.0), 0.0)


def synthetic_population(num_users: int, seed: int, num_systems: int = 2, likeness: float = 0.9) -> Population:
    """Users with one to many liked items; where systems rank one, they mostly agree.

    Args:
        num_users: how many.
        seed: of everything.
        num_systems: equal ones: each places an item at its own rank around a common one.
        likeness: share of items that a system ranks exactly as is common; for dislikes it differs a quarter as often.
    """
    rng = np.random.default_rng(seed)
    num_liked = 1 + rng.geometric(0.5, num_users) - 1 + (rng.random(num_users) < 0.1) * rng.integers(2, 10, num_users)
    user = np.repeat(np.arange(num_users), num_liked)
    common = np.floor(rng.exponential(25.0, len(user))).astype(np.int64) + 1
    hits = []
    for _ in range(num_systems):
        moved = np.maximum(1, np.rint(common * rng.lognormal(0.0, 0.5, len(user)))).astype(np.int64)
        own = pd.DataFrame({"user": user, "rank": np.where(rng.random(len(user)) < likeness, common, moved)})
        hits.append(own[own["rank"] <= LIST_LENGTH].drop_duplicates(["user", "rank"]).reset_index(drop=True))
    num_disliked = np.where(rng.random(num_users) < 0.3, rng.geometric(0.7, num_users), 0)
    # Systems mostly agree on whether they list what a user will dislike, too, which is so for 15 % of the users.
    chances = rng.random((num_users, num_systems + 1)) < 0.15
    own_way = rng.random((num_users, num_systems)) >= (3.0 + likeness) / 4.0
    listed = np.where(own_way, chances[:, 1:], chances[:, :1])
    exposure = np.where(num_disliked[:, None] > 0, 0.1 * listed, np.nan)
    slices = pd.DataFrame({
        "activity": rng.choice(["new", "light", "regular", "heavy"], num_users),
        "taste": rng.choice(["Comedy", "Drama", "Horror", "Western", "other"], num_users, p=[0.3, 0.3, 0.2, 0.1, 0.1]),
    })  # fmt: skip
    return Population("synthetic", num_liked, tuple(hits), exposure, num_disliked, slices)


def real_population(folder: Path, num_systems: int, kept: float, seed: int) -> Population:
    """The last window of a stream, ranked by fits of our model that differ by their seed and by what they were given.

    Each fit sees a random share of the events before the window, drawn with its seed. So all are equally good, and as
    alike as two versions are that the same recipe made of nearly the same data.

    Args:
        folder: of the data.
        num_systems: fits.
        kept: share of the events that each sees.
        seed: of the first fit; the others count on.
    """
    from benchmarks.accuracy.judging import Train, judgements, top_lists
    from benchmarks.accuracy.judging import test_users as users_of
    from benchmarks.accuracy.ours import fit_ours
    from benchmarks.accuracy.streams import read_stream, splits_of

    stream = read_stream(folder, seed)
    split = splits_of(stream, "time")[-1]
    judged = judgements(split)
    liked = judged[judged["label"] == 1]
    users = pd.Index(np.sort(liked["user_id"].unique()))
    hits, exposure = [], []
    for number in range(num_systems):
        events = split.train.sample(frac=kept, random_state=seed + number).sort_index()
        train = Train.of(replace(split, train=events))
        scorer, _ = fit_ours(train, stream.items, seed + number)
        lists = top_lists(train, scorer, users_of(train))
        found = lists.merge(liked, on=["user_id", "item_id"])
        hits.append(pd.DataFrame({"user": users.get_indexer(found["user_id"]), "rank": found["rank"]}))
        own = evaluate_lists({"system": lists}, judged).set_index("user_id")["dislike_exposure_at_10"]
        exposure.append(own.reindex(users).to_numpy(np.float64))
    num_liked = liked.groupby("user_id").size().reindex(users).to_numpy().astype(np.int64)
    num_disliked = (
        judged[judged["label"] == 0].groupby("user_id").size().reindex(users, fill_value=0).to_numpy().astype(np.int64)
    )
    return Population(
        name_of(folder, kept),
        num_liked,
        tuple(hits),
        np.column_stack(exposure),
        num_disliked,
        _slices(split.train, stream.items, users),
    )


def name_of(folder: Path, kept: float) -> str:
    """What people call the `real_population` of a stream."""
    return f"{folder.name}, each fit on {kept:.0%} of the events"


def _slices(train: pd.DataFrame, items: pd.DataFrame, users: pd.Index) -> pd.DataFrame:
    """Activity by thirds of history length, taste by the genre that is liked most."""
    length = train.groupby("user_id").size().reindex(users, fill_value=0)
    activity = pd.qcut(length.rank(method="first"), 3, labels=["light", "regular", "heavy"]).astype(object)
    liked = train[train["signal"] == "like"].merge(items[["item_id", "genres"]], on="item_id").explode("genres")
    counts = liked.groupby(["user_id", "genres"]).size().reset_index(name="count")
    most = counts.sort_values(["count", "genres"], ascending=[False, True]).drop_duplicates("user_id")
    taste = most.set_index("user_id")["genres"].reindex(users).fillna("unknown")
    return pd.DataFrame({
        "activity": np.where(length == 0, "new", activity), "taste": taste.to_numpy(object),
    })  # fmt: skip
