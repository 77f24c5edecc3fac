"""Our model on a split: the same `fit` that the nightly loop runs, with nothing chosen from outside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.accuracy.judging import Scorer, Train
from recsys.training.families.additive.fit import AdditiveFit, fit
from recsys.training.recipe.recipe import FitConfig

SPAN_SHARE = 0.25  # the loop's default half-life of sample weights: a quarter of the stream


def fit_ours(train: Train, items: pd.DataFrame, seed: int) -> tuple[Scorer, AdditiveFit]:
    """Fits and gives a scorer over the candidates."""
    events = train.split.train
    half_life_days = max(1.0, SPAN_SHARE * float(train.age_days.max(initial=0.0)))
    opinions = events[events["signal"] != "neutral"]
    is_like = opinions["signal"] == "like"
    examples = opinions[["user_id", "item_id", "occurred_at"]].assign(
        label=is_like.astype(int),
        base_weight=np.where(is_like, 1.0, 0.8),
        reason=np.where(is_like, "", "unspecified"),
    )
    neutral = events.loc[events["signal"] == "neutral", ["user_id", "item_id", "occurred_at"]]
    result = fit(
        examples, items, train.split.cut_off.to_pydatetime(), half_life_days, FitConfig(seed=seed), neutral=neutral
    )
    histories = _histories(train, half_life_days)
    columns = pd.Index(train.item_ids).get_indexer(pd.Index(result.recommender.item_ids))

    def score(users: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        wanted = train.user_ids[users]
        own = histories[histories["user_id"].isin(set(wanted))]
        scores = np.full((len(users), len(train.item_ids)), -1e9, np.float32)
        scores[:, columns] = result.recommender.score(own, list(wanted))
        return scores

    return score, result


def _histories(train: Train, half_life_days: float) -> pd.DataFrame:
    events = train.split.train
    base = np.select([events["signal"] == "like", events["signal"] == "dislike"], [1.0, 0.8], 1.0)
    faded = np.where(events["signal"] == "neutral", 1.0, 0.5 ** (train.age_days / half_life_days))
    return events[["user_id", "item_id", "signal"]].assign(
        weight=np.maximum(base * faded, 1e-300),
        reason=np.where(events["signal"] == "dislike", "unspecified", ""),
        age_days=train.age_days,
    )
