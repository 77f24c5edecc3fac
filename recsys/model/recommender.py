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
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.config.eligibility import EligibilityRule
from recsys.errors import InputError
from recsys.model.additive import AdditiveModel
from recsys.model.calibration import Calibration
from recsys.model.eligible_items import BoolArray, eligible_mask
from recsys.model.explainer import Explainer
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.histories import HistoryMatrices
from recsys.model.lists import CATALOG, as_table, load_catalog, save_catalog, top_positions
from recsys.model.scorer import Scorer
from recsys.model.sentences import reason_sentence
from recsys.model.standing import HORIZON, Standing, Tops

RECOMMENDATION_COLUMNS = ["user_id", "rank", "item_id", "score", "reason", "contributions"]
MODEL, RECIPE = "model.keras", "recipe.json"
FILES = (MODEL, CATALOG, RECIPE)
BATCH_SIZE = 256


@dataclass
class Recommender:
    """An `AdditiveModel` and the catalog that its positions mean; an `ExactRecommender`, see `recsys.model.protocol`.

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
    claims_exact_contributions: ClassVar[bool] = True

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
            frames.append(as_table(block.user_ids, self.item_ids, positions, scores))
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
            frame = as_table(block.user_ids, self.item_ids, positions[:, :k], scores[:, :k])
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

    def all_contributions(self, histories: pd.DataFrame, lists: pd.DataFrame) -> list[dict[str, float]]:
        """See `ExactRecommender`."""
        block, rows, positions = self._placed(histories, lists)
        return self.explainer().explain(block, rows, positions, limit=None)

    def scores_without(
        self, histories: pd.DataFrame, lists: pd.DataFrame, removed: Sequence[Sequence[str]]
    ) -> npt.NDArray[np.float64]:
        """See `ExactRecommender`. Asks the Keras model itself, not what scores and explains beside it."""
        block, rows, positions = self._placed(histories, lists)
        taste = keras.ops.convert_to_numpy(self.model.taste(block.likes.toarray()))[rows]
        gone = [[self.positions[item_id] for item_id in items] for items in removed]
        scores = [np.zeros(0)]
        for start in range(0, len(rows), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            opinions = block.without(rows[part], gone[part]).opinions()
            found = keras.ops.convert_to_numpy(self.model({**opinions, "taste": taste[part]}))
            scores.append(np.take_along_axis(found, positions[part, None], axis=1)[:, 0])
        return np.concatenate(scores)

    def _placed(
        self, histories: pd.DataFrame, lists: pd.DataFrame
    ) -> tuple[HistoryMatrices, npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Histories of the users of recommendations; for each of these the user's row and the item's position."""
        block = self.matrices(histories, list(lists["user_id"].unique()))
        rows = pd.Index(block.user_ids).get_indexer(pd.Index(lists["user_id"]))
        return block, rows, np.array([self.positions[item] for item in lists["item_id"]], np.int32)

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
        return top_positions(self._scores(scorer, block), self.is_open_to(block), k)

    def save(self, folder: Path) -> Path:
        """Writes `model.keras`, `catalog.parquet` and `recipe.json` into `folder` and returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / MODEL)
        save_catalog(self.catalog, folder)
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
            catalog = load_catalog(folder)
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
