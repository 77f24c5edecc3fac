"""Synthetic streams with a known truth: tastes, likes and dislikes, popularity, and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.model.arguments import whole_number

GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Science fiction", "Thriller", "Western")
DAY_S = 86_400


@dataclass(frozen=True)
class GeneratorConfig:
    """What a stream looks like.

    Attributes:
        num_users: >= 1.
        num_items: >= 1.
        num_interactions: >= 1; a user who has met all that is out draws nothing, so a dense stream holds fewer.
        num_days: length of the stream, >= 1.
        activity_skew: standard deviation of the logarithm of users' activity, >= 0; 0 makes all equally active.
        num_tastes: latent dimensions of taste, from 1 to the number of `GENRES`: each is the liking for a genre.
        popularity_skew: exponent of Zipf's law over items, >= 0; 0 makes all equally popular, 1 is typical of catalogs.
        taste_strength: how much a user's taste decides what they watch, >= 0; 0 leaves it to popularity.
        freshness_days: half-life of an item's popularity after its release, > 0; what was out from the start does not fade.
        noise: standard deviation of what an opinion owes to chance, in units of taste, >= 0.
        like_share: share of the interactions that are likes, > 0.
        dislike_share: share that are dislikes, > 0; what is left over is neutral. Together at most 1.
    """

    num_users: int = 1_000
    num_items: int = 500
    num_interactions: int = 30_000
    num_days: int = 90
    activity_skew: float = 0.8
    num_tastes: int = 6
    popularity_skew: float = 0.8
    taste_strength: float = 1.0
    freshness_days: float = 30.0
    noise: float = 0.5
    like_share: float = 0.5
    dislike_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("num_users", "num_items", "num_interactions", "num_days"):
            whole_number(getattr(self, name), name)
        if whole_number(self.num_tastes, "num_tastes") > len(GENRES):
            raise ValueError(f"Expected num_tastes from 1 to {len(GENRES)}, got {self.num_tastes}.")
        for name in ("activity_skew", "popularity_skew", "taste_strength", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"Expected a finite {name} >= 0, got {getattr(self, name)}.")
        if not self.freshness_days > 0:
            raise ValueError(f"Expected freshness_days > 0, got {self.freshness_days}.")
        if not (self.like_share > 0 and self.dislike_share > 0 and self.like_share + self.dislike_share <= 1):
            raise ValueError(
                f"Expected like_share and dislike_share > 0 and at most 1 together, got {self.like_share} and "
                f"{self.dislike_share}."
            )


@dataclass(frozen=True)
class GeneratedStream:
    """A stream and the truth behind it.

    Attributes:
        interactions: `user_id` and `item_id` (int64 positions), `signal` (`like`, `neutral` or `dislike`), `affinity`
            (float64, the truth behind the signal, before chance) and `occurred_at` (UTC); oldest first, one row per pair.
        items: `item_id`, `title`, `genres` (tuple of str, the strongest first) and `released_at` (UTC).
        user_tastes: float64 `(num_users, num_tastes)`.
        item_tastes: float64 `(num_items, num_tastes)`, >= 0; rows sum to 1.
    """

    interactions: pd.DataFrame
    items: pd.DataFrame
    user_tastes: npt.NDArray[np.float64]
    item_tastes: npt.NDArray[np.float64]


def generate(config: GeneratorConfig, seed: int = 0, start: str = "2024-01-01") -> GeneratedStream:
    """Draws a stream; the same arguments give the same one.

    Users watch what is popular, fresh and to their taste (a softmax over the items that are out); what they then think of
    it is their affinity for its genres plus chance, cut into dislike, neutral and like at its quantiles.

    Args:
        config: what it looks like.
        seed: of everything random.
        start: its first day, ISO 8601, UTC.

    Raises:
        ValueError: if `seed` is negative or `start` is no date.
    """
    rng = np.random.default_rng(seed)
    user_tastes = rng.normal(size=(config.num_users, config.num_tastes))
    item_tastes = rng.dirichlet(np.full(config.num_tastes, 0.3), config.num_items)
    popularity = -config.popularity_skew * np.log(rng.permutation(config.num_items) + 1.0)
    # Half of the catalog is there from the first day; the rest comes out while the stream runs.
    released = np.where(
        rng.random(config.num_items) < 0.5, 0, rng.integers(0, config.num_days * DAY_S, config.num_items)
    )
    released[rng.integers(config.num_items)] = 0  # something is always out
    affinity = user_tastes @ item_tastes.T * np.sqrt(config.num_tastes)  # (num_users, num_items), of order 1
    activity = rng.lognormal(0.0, config.activity_skew, config.num_users)
    users = rng.choice(config.num_users, config.num_interactions, p=activity / activity.sum())
    seconds = np.sort(rng.integers(0, config.num_days * DAY_S, config.num_interactions))
    items = np.full(config.num_interactions, -1)
    left = np.ones(affinity.shape, bool)  # nobody meets an item twice
    for row in range(config.num_interactions):
        age_days = (seconds[row] - released) / DAY_S
        appeal = popularity + config.taste_strength * affinity[users[row]]
        appeal = appeal - np.maximum(age_days, 0.0) / config.freshness_days * np.log(2.0) * (released > 0)
        # The largest of these is a draw from the softmax (Gumbel 1954).
        drawn = np.where((age_days >= 0) & left[users[row]], appeal + rng.gumbel(size=len(appeal)), -np.inf)
        if np.isfinite(drawn).any():
            items[row] = np.argmax(drawn)
            left[users[row], items[row]] = False
    met = items >= 0
    users, items, seconds = users[met], items[met], seconds[met]
    frame = pd.DataFrame({"user_id": users, "item_id": items, "affinity": affinity[users, items], "second": seconds})
    opinion = frame["affinity"] + config.noise * rng.normal(size=len(frame))
    low, high = np.quantile(opinion, [config.dislike_share, 1.0 - config.like_share])
    frame["signal"] = np.select([opinion <= low, opinion > high], ["dislike", "like"], "neutral")
    origin = pd.Timestamp(start, tz="UTC")
    frame["occurred_at"] = origin + pd.to_timedelta(frame.pop("second"), unit="s")
    return GeneratedStream(frame, _catalog(item_tastes, released, origin), user_tastes, item_tastes)


def generate_collaborative_filtering_data(
    n_users: int = 1_000, n_items: int = 500, n_interactions: int = 10_000, random_state: int = 42
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
]:
    """Ratings of a generated stream, as arrays, for who comes from KMR's `KMRDataGenerator`.

    There ratings are noise; here they follow tastes that a model can learn, and popularity.

    Args:
        n_users: >= 1.
        n_items: >= 1.
        n_interactions: >= 1; fewer come back where users have met all there is.
        random_state: seed of everything random.

    Returns:
        `(user_ids, item_ids, ratings, user_features, item_features)`, interactions oldest first: `(n_interactions,)` each,
        positions from 0 and ratings from 1.0 to 5.0, of which 3.0 and above are likes; then the tastes behind them,
        `(n_users, num_tastes)` and `(n_items, num_tastes)`.

    Raises:
        ValueError: if a number is out of range.
    """
    config = GeneratorConfig(num_users=n_users, num_items=n_items, num_interactions=n_interactions)
    stream = generate(config, seed=random_state)
    events = stream.interactions
    is_like, affinity = events["signal"] == "like", events["affinity"]
    # Within likes, and within the rest, the stars follow the affinity that is behind the opinion.
    share = affinity.groupby(is_like).rank(pct=True)
    stars = np.where(is_like, 3 + np.minimum(np.floor(share * 3), 2), 1 + np.minimum(np.floor(share * 2), 1))
    return (
        events["user_id"].to_numpy(np.int64),
        events["item_id"].to_numpy(np.int64),
        stars.astype(np.float64),
        stream.user_tastes,
        stream.item_tastes,
    )


def _catalog(
    item_tastes: npt.NDArray[np.float64], released: npt.NDArray[np.int64], origin: pd.Timestamp
) -> pd.DataFrame:
    """Titles, and genres: the strongest of an item, and after it those that make up at least a fifth."""
    genres = []
    for row in item_tastes:
        first, *others = np.argsort(-row)
        genres.append((GENRES[first], *(GENRES[taste] for taste in others if row[taste] >= 0.2)))
    return pd.DataFrame(
        {
            "item_id": np.arange(len(item_tastes)),
            "title": [f"{own[0]} {number}" for number, own in enumerate(genres)],
            "genres": genres,
            "released_at": origin + pd.to_timedelta(released, unit="s"),
        }
    )
