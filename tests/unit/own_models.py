"""A recommender and a family that are not ours, as small as they can be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.errors import InputError
from recsys.model.eligible_items import BoolArray, eligible_mask
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.lists import as_table, load_catalog, open_items, save_catalog, top_positions
from recsys.training.families.base import FitResult, TrainingData
from recsys.training.families.validation import validation_ndcg
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial


@dataclass
class Popular:
    """The same scores for everybody."""

    scores: npt.NDArray[np.float32]
    catalog: pd.DataFrame
    recipe: dict[str, Any]
    eligible: BoolArray
    claims_exact_contributions = False

    def __post_init__(self) -> None:
        self.item_ids = self.catalog["item_id"].to_numpy(dtype=object)
        self.features = FeatureVocabulary.build(catalog_features(self.catalog))

    def score(self, histories: pd.DataFrame, user_ids: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.tile(self.scores, (len(user_ids), 1))

    def top_items(self, histories: pd.DataFrame, user_ids: Sequence[str], k: int) -> pd.DataFrame:
        is_open = open_items(histories, user_ids, self.item_ids, self.eligible)
        return as_table(user_ids, self.item_ids, *top_positions(self.score(histories, user_ids), is_open, k))

    def recommend(self, histories: pd.DataFrame, k: int = 10, user_ids: Sequence[str] | None = None) -> pd.DataFrame:
        users = sorted(histories["user_id"].unique()) if user_ids is None else list(user_ids)
        return self.top_items(histories, users, k).assign(reason="Popular.", contributions="{}")

    def without_items(self, barred: frozenset[str]) -> Self:
        return replace(self, eligible=~np.isin(self.item_ids, list(barred)))

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_catalog(self.catalog, folder)
        np.savez(folder / "arrays.npz", scores=self.scores, eligible=self.eligible)
        (folder / "recipe.json").write_text(json.dumps(self.recipe), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> Self:
        if not (folder / "arrays.npz").is_file():
            raise InputError(f"Expected arrays.npz in {folder}.")
        with np.load(folder / "arrays.npz") as arrays:
            own = {name: arrays[name] for name in arrays.files}
        recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        return cls(catalog=load_catalog(folder), recipe=recipe, **own)


class PopularFamily:
    """Counts likes; the second candidate counts none, and so knows nothing."""

    name, version = "popular", "1"

    def candidates(self, config: FitConfig) -> Sequence[Candidate]:
        return [Candidate(self.name, f"popular-{sign:g}", {"sign": sign}) for sign in (1.0, 0.0)]

    def try_candidate(self, candidate: Candidate, data: TrainingData, config: FitConfig) -> Trial:
        return Trial(candidate, *validation_ndcg(lambda past: self._fitted(candidate, past, config), data, config))

    def fit(self, trial: Trial, data: TrainingData, config: FitConfig, judged: FitResult | None = None) -> FitResult:
        return FitResult(recommender=self._fitted(trial.candidate, data, config), params={})

    def keep(self, trial: Trial, params: Mapping[str, Any]) -> Trial:
        return trial

    def _fitted(self, candidate: Candidate, data: TrainingData, config: FitConfig) -> Popular:
        catalog = data.catalog(config)
        counts = data.examples.groupby("item_id")["label"].sum().reindex(catalog["item_id"]).to_numpy(np.float32)
        eligible = eligible_mask(catalog, config.eligible, data.cut_off)
        return Popular(candidate.settings["sign"] * counts, catalog, data.recipe(config), eligible)
