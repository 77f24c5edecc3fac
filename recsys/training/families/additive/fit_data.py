"""From tables to positions: the vocabulary of a model, and the events over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.config.eligibility import EligibilityRule
from recsys.model.eligible_items import BoolArray, eligible_mask
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.training.dataset.events import Events, NeutralEvents
from recsys.training.dataset.vocabulary import vocabulary
from recsys.training.recipe.recipe import FitConfig

DAY_S = 86_400.0


@dataclass(frozen=True)
class FitData:
    """What a fit learns from.

    Attributes:
        events: all of them, aged as of the cut-off.
        catalog: see `vocabulary`.
        num_linked: so many of the first items have item-item weights.
        genre_names: `(num_genres,)`.
        genres: float32 `(num_items, num_genres)`, see `genre_matrix`.
        features: of the catalog.
    """

    events: Events
    catalog: pd.DataFrame
    num_linked: int
    genre_names: tuple[str, ...]
    genres: npt.NDArray[np.float32]
    features: FeatureVocabulary

    @classmethod
    def build(
        cls,
        examples: pd.DataFrame,
        neutral: pd.DataFrame | None,
        items: pd.DataFrame,
        cut_off: datetime,
        half_life_days: float,
        config: FitConfig,
    ) -> FitData:
        """Places the tables on a vocabulary; see `recsys.training.fit.fit` for them."""
        catalog, num_linked = vocabulary(examples, items, config)
        genre_names, genres = genre_matrix(catalog)
        events = to_events(examples, neutral, catalog, cut_off, half_life_days, config.max_user_share)
        features = FeatureVocabulary.build(catalog_features(catalog))
        return cls(events, catalog, num_linked, genre_names, genres, features)

    def eligible(self, rule: EligibilityRule, at: datetime) -> BoolArray:
        """Which positions may be recommended at a time; `(num_items,)`."""
        return eligible_mask(self.catalog, rule, at)


def genre_matrix(catalog: pd.DataFrame) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Genre names, and each item's even share of its genres; float32 `(num_items, num_genres)`."""
    names = tuple(sorted({genre for genres in catalog["genres"] for genre in genres}))
    column = {name: j for j, name in enumerate(names)}
    shares = np.zeros((len(catalog), len(names)), np.float32)
    for row, genres in enumerate(catalog["genres"]):
        for genre in genres:
            shares[row, column[genre]] = 1.0 / len(genres)
    return names, shares


def to_events(
    examples: pd.DataFrame,
    neutral: pd.DataFrame | None,
    catalog: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    max_user_share: float,
) -> Events:
    """Positions and ages of training examples and neutral signals as of `cut_off`."""
    neutral = examples.iloc[:0] if neutral is None else neutral[neutral["user_id"].isin(set(examples["user_id"]))]
    users, user_ids = pd.factorize(examples["user_id"], sort=True)
    index = pd.Index(catalog["item_id"])
    return Events(
        users=users.astype(np.int64),
        items=index.get_indexer(examples["item_id"]).astype(np.int64),
        is_like=examples["label"].to_numpy() == 1,
        age_days=_age_days(examples, cut_off),
        base_weight=examples["base_weight"].to_numpy(np.float64),
        reasons=examples["reason"].to_numpy(dtype=object),
        half_life_days=half_life_days,
        as_of=cut_off,
        user_ids=np.asarray(user_ids, dtype=object),
        item_ids=catalog["item_id"].to_numpy(dtype=object),
        max_user_share=max_user_share,
        neutral=NeutralEvents(
            pd.Index(user_ids).get_indexer(neutral["user_id"]).astype(np.int64),
            index.get_indexer(neutral["item_id"]).astype(np.int64),
            _age_days(neutral, cut_off),
        ),
    )


def _age_days(events: pd.DataFrame, cut_off: datetime) -> npt.NDArray[np.float64]:
    age_s = (pd.Timestamp(cut_off) - events["occurred_at"]).dt.total_seconds().to_numpy(np.float64)
    return np.asarray(age_s / DAY_S)
