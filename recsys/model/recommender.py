"""A fitted model with its vocabulary: item ids in, item ids out, each recommendation with its reason."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.eligibility import EligibilityRule
from recsys.errors import InputError
from recsys.model.additive import AdditiveModel
from recsys.model.calibration import Calibration
from recsys.model.eligible_items import BoolArray, eligible_mask
from recsys.model.explainer import Explainer
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.histories import HistoryMatrices
from recsys.model.scorer import Scorer
from recsys.model.sentences import reason_sentence
from recsys.model.standing import HORIZON, Standing, Tops

RECOMMENDATION_COLUMNS = ["user_id", "rank", "item_id", "score", "reason", "contributions"]
FILES = MODEL, CATALOG, RECIPE = "model.keras", "catalog.parquet", "recipe.json"
LIST_COLUMNS = ["genres", "cast", "tags"]
BATCH_SIZE = 256


@dataclass
class Recommender:
    """An `AdditiveModel` and the catalog that its positions mean.

    Attributes:
        model: scores positions.
        catalog: one row per position: `item_id`, `title`, `genres` and `cast` (tuples of str), `franchise` (str or None), and
            what eligibility reads, see `recsys.model.eligible_items`.
        genre_names: names of the model's genre columns.
        recipe: JSON-able: how it was fitted (configuration, cut-off, chosen settings, rule of eligibility).
        eligible: `(num_items,)`: which items lists may hold. Left out: what was eligible as of the cut-off, by its own rule.
    """

    model: AdditiveModel
    catalog: pd.DataFrame
    genre_names: tuple[str, ...]
    recipe: dict[str, Any] = field(default_factory=dict)
    eligible: BoolArray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        self.item_ids: npt.NDArray[np.object_] = self.catalog["item_id"].to_numpy(dtype=object)
        self.positions = {item_id: position for position, item_id in enumerate(self.item_ids)}
        self.titles: dict[str, str] = dict(zip(self.catalog["item_id"], self.catalog["title"], strict=True))
        self.adjustment_power = float(self.recipe.get("adjustment_power", 1.0))
        self.features = FeatureVocabulary.build(catalog_features(self.catalog), self.adjustment_power)
        self.calibration = Calibration(**self.recipe["calibration"]) if "calibration" in self.recipe else None
        self.rule = EligibilityRule.from_dict(self.recipe.get("eligible"))
        if not self.eligible.size:
            cut_off = self.recipe.get("cut_off")
            at = None if cut_off is None else datetime.fromisoformat(cut_off)
            self.eligible = eligible_mask(self.catalog, self.rule, at)

    def with_adjustment_power(self, power: float) -> Recommender:
        """The same model, answering to feature adjustments with another power."""
        return replace(self, recipe={**self.recipe, "adjustment_power": power})

    def without_items(self, barred: frozenset[str]) -> Recommender:
        """The same model whose lists may hold every item but these, whatever was eligible when it was fitted."""
        return replace(self, eligible=~pd.Index(self.item_ids).isin(barred))

    def score(self, histories: pd.DataFrame, user_ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Scores of all items, seen ones included; float32 `(num_users, num_items)`."""
        scorer = Scorer(self.model)
        blocks = [self._scores(scorer, block) for block in self._blocks(histories, user_ids)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.item_ids)), np.float32)

    def top_items(self, histories: pd.DataFrame, user_ids: Sequence[str], k: int) -> pd.DataFrame:
        """The `k` best eligible, unseen items of each user, without explanations.

        Returns:
            Columns `user_id`, `rank` (from 1), `item_id`, `score`; fewer than `k` rows for a user who has seen nearly all.
        """
        scorer, frames = Scorer(self.model), []
        for block in self._blocks(histories, user_ids):
            positions, scores = self._top_positions(scorer, block, k)
            frames.append(self._long(block.user_ids, positions, scores))
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=RECOMMENDATION_COLUMNS[:4])

    def recommend(self, histories: pd.DataFrame, k: int = 10, user_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The `k` best eligible, unseen items of each user, each with its reason and contributions.

        Args:
            histories: see `recsys.model.histories`.
            k: list length, >= 1.
            user_ids: by default every user of `histories`. One without history gets what is popular.

        Returns:
            Columns `user_id`, `rank`, `item_id`, `score`, `reason`, `contributions` (JSON object whose values sum to
            `score` within 1e-5).
        """
        if k < 1:
            raise ValueError(f"Expected k >= 1, got {k}.")
        frames = list(self.explained_lists(histories, k, user_ids))
        if not frames:
            return pd.DataFrame(columns=RECOMMENDATION_COLUMNS)
        lists = pd.concat(frames, ignore_index=True)
        lists["contributions"] = [json.dumps(terms) for terms in lists["contributions"]]
        return lists

    def explained_lists(
        self, histories: pd.DataFrame, k: int, user_ids: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """What `recommend` gives, a few hundred users at a time, with each `contributions` a dict."""
        scorer, explainer = Scorer(self.model), self.explainer()
        for block in self._blocks(histories, user_ids):
            positions, scores = self._top_positions(scorer, block, max(k, HORIZON))
            frame = self._long(block.user_ids, positions[:, :k], scores[:, :k])
            rows, places = np.nonzero(np.isfinite(scores[:, :k]))
            explained = explainer.explain(block, rows, positions[rows, places])
            causes = explainer.largest_dislikes(block)
            standing = Standing(
                explainer, scorer, block, Tops(positions, scores, self.is_open_to(block)), self.positions
            )
            contradicted = standing.contradicted(rows, places, explained, causes)
            liked = np.diff(block.likes.indptr).tolist()
            frame["reason"] = [
                reason_sentence(terms, self.titles, causes[row], names, liked[row])
                for row, terms, names in zip(rows.tolist(), explained, contradicted, strict=True)
            ]
            frame["contributions"] = pd.Series(explained, dtype=object)
            yield frame

    def explainer(self) -> Explainer:
        """Of the model as it is now."""
        return Explainer(self.model, self.item_ids, self.genre_names, self.features)

    def matrices(self, histories: pd.DataFrame, user_ids: Sequence[str] | None = None) -> HistoryMatrices:
        """Histories over the model's vocabulary; see `HistoryMatrices.build`."""
        return HistoryMatrices.build(histories, list(self.item_ids), self.features, user_ids)

    def is_open_to(self, block: HistoryMatrices) -> BoolArray:
        """Which items the lists of these users may hold: eligible and unseen; `(num_users, num_items)`."""
        return np.asarray((block.seen.toarray() == 0) & self.eligible)

    def _blocks(self, histories: pd.DataFrame, user_ids: Sequence[str] | None) -> Iterator[HistoryMatrices]:
        return self.matrices(histories, user_ids).batches(BATCH_SIZE)

    def _scores(self, scorer: Scorer, block: HistoryMatrices) -> npt.NDArray[np.float32]:
        """Scores of a block; `(num_users, num_items)`."""
        return scorer.scores(block.sparse_opinions(), block.multipliers(self.features))

    def _top_positions(
        self, scorer: Scorer, block: HistoryMatrices, k: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Positions and scores `(num_users, min(k, num_items))`, best first; what is masked has the score -inf."""
        scores = self._scores(scorer, block)
        scores = np.where(self.is_open_to(block), scores, np.float32(-np.inf))
        top_scores, positions = keras.ops.top_k(scores, min(k, len(self.item_ids)))  # ties: the lower position first
        return keras.ops.convert_to_numpy(positions), keras.ops.convert_to_numpy(top_scores)

    def _long(
        self,
        user_ids: npt.NDArray[np.object_],
        positions: npt.NDArray[np.int32],
        scores: npt.NDArray[np.float32],
    ) -> pd.DataFrame:
        keep = np.isfinite(scores)
        row, column = np.nonzero(keep)
        return pd.DataFrame(
            {
                "user_id": user_ids[row],
                "rank": (column + 1).astype(np.int64),
                "item_id": self.item_ids[positions[keep]],
                "score": scores[keep].astype(np.float64),
            }
        )

    def save(self, folder: Path) -> Path:
        """Writes `model.keras`, `catalog.parquet` and `recipe.json` into `folder` and returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / MODEL)
        catalog = self.catalog.copy()
        for column in catalog.columns.intersection(LIST_COLUMNS):
            catalog[column] = catalog[column].map(list)
        catalog.to_parquet(folder / CATALOG, index=False)
        recipe = {"genre_names": list(self.genre_names), **self.recipe}
        (folder / RECIPE).write_text(json.dumps(recipe, indent=2, sort_keys=True), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Recommender:
        """Reads what `save` wrote; scores are equal to the bit.

        Raises:
            InputError: if a file is missing, or cannot be read.
        """
        folder = Path(folder)
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise InputError(
                f"Expected a saved recommender in {folder}, but {', '.join(missing)} is missing: "
                "download the version again, or train a new one."
            )
        with _readable(folder / RECIPE):
            recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
            genre_names = tuple(recipe.pop("genre_names"))
        with _readable(folder / CATALOG):
            catalog = pd.read_parquet(folder / CATALOG)
            for column in catalog.columns.intersection(LIST_COLUMNS):
                catalog[column] = [tuple(values) for values in catalog[column]]
        with _readable(folder / MODEL):
            model = keras.models.load_model(folder / MODEL)
        return cls(model, catalog, genre_names, recipe)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Names the file of a saved recommender that cannot be read, whatever its library says of that.

    Raises:
        InputError: with the file, and what to do.
    """
    try:
        yield
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(
            f"Expected {file.name} of a saved recommender in {file.parent}, got a file that cannot be read "
            f"({str(error)[:200]}): put it back from a backup, or train a new version."
        ) from error
