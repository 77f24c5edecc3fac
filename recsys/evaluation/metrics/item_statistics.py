"""What is known of items when a holdout begins: how many users met them, and their features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from recsys.evaluation.metrics.similarity import ItemSimilarity
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownItems:
    """Items and what is known of them; popularity is counted on training examples alone, whatever the systems know.

    Attributes:
        item_ids: the index; every other array is in its order.
        num_users_of: float64 `(num_items,)`: users with a training example of the item, liked or disliked.
        num_users: users with a training example.
        genre_names: sorted.
        genres: float64 `(num_items, num_genres)`: even shares of each item's genres; a row of 0 without any.
        similarity: of the items.
    """

    item_ids: pd.Index[str]
    num_users_of: FloatArray
    num_users: int
    genre_names: tuple[str, ...]
    genres: FloatArray
    similarity: ItemSimilarity

    @classmethod
    def build(cls, items: pd.DataFrame, examples: pd.DataFrame, further: Iterable[str] = ()) -> KnownItems:
        """From the catalog and the training examples up to the begin of the holdout.

        Args:
            items: `item_id`, `genres`, and `cast` and `franchise` where it has them, one row per item.
            examples: `user_id`, `item_id`, one row per pair.
            further: item ids of which nothing else may be known.
        """
        rest = pd.Index([*examples["item_id"], *further]).unique().difference(pd.Index(items["item_id"]))
        none = pd.DataFrame({"item_id": rest, "genres": [()] * len(rest), "cast": [()] * len(rest), "franchise": None})
        catalog = pd.concat([items, none], ignore_index=True) if len(none) else items
        index = pd.Index(catalog["item_id"], dtype=object)
        catalog = catalog.assign(**{name: _filled(catalog[name]) for name in {"genres", "cast"} & set(catalog)})
        met = np.bincount(index.get_indexer(pd.Index(examples["item_id"])), minlength=len(index)).astype(np.float64)
        names = tuple(sorted({genre for genres in catalog["genres"] for genre in genres}))
        return cls(
            item_ids=index,
            num_users_of=met,
            num_users=int(examples["user_id"].nunique()),
            genre_names=names,
            genres=_genre_shares(catalog["genres"], names),
            similarity=ItemSimilarity(FeatureVocabulary.build(catalog_features(catalog))),
        )

    def positions(self, top: pd.DataFrame, users: pd.Index[str], k: int) -> npt.NDArray[np.int64]:
        """The first `k` items of lists as positions, `(num_users, k)`; -1 where a slot is empty."""
        slots = np.full((len(users), k), -1, np.int64)
        shown = top[(top["rank"] <= k) & top["user_id"].isin(users)]
        columns = shown["rank"].to_numpy(np.int64) - 1
        slots[users.get_indexer(pd.Index(shown["user_id"])), columns] = self.item_ids.get_indexer(
            pd.Index(shown["item_id"])
        )
        return slots

    def popularity_percentiles(self) -> FloatArray:
        """Share of the items that fewer users met, those that as many met counting half; `(num_items,)` in (0, 1)."""
        return np.asarray((rankdata(self.num_users_of) - 0.5) / max(len(self.num_users_of), 1))

    def surprise(self) -> FloatArray:
        """`-log2` of the share of users who met the item; `(num_items,)`, >= 0.

        One user who met it is added to both counts, so that an item which nobody met has a finite value: log2 of the
        number of users.
        """
        return np.asarray(-np.log2((self.num_users_of + 1.0) / (self.num_users + 1.0)))


def _filled(column: pd.Series) -> pd.Series:
    return column.map(lambda names: () if names is None else tuple(names))


def _genre_shares(column: pd.Series, names: tuple[str, ...]) -> FloatArray:
    places: Mapping[str, int] = {name: place for place, name in enumerate(names)}
    shares = np.zeros((len(column), len(names)))
    for row, genres in enumerate(column):
        for genre in set(genres):
            shares[row, places[genre]] = 1.0 / len(set(genres))
    return shares
