"""What the loop asks of a recommender, whatever it is made of, and how one is saved and loaded.

Gate, behaviour tests, publishing, the registry and the API use nothing else, so a model of your own has to have these and no
more. `recsys.model.recommender.Recommender` is ours; `examples/own_model/` is another one. `recsys.model.lists` has what most
of them need: lists from scores, the catalog as a file.

| | who asks for it |
|---|---|
| `item_ids`, `catalog`, `eligible`, `recipe` | all of them |
| `features` | behaviour tests: how alike two items are |
| `score` | gate (AUC), behaviour tests |
| `top_items` | gate, behaviour tests, drift |
| `recommend` | publishing, the registry's `predict`, the model card, behaviour tests |
| `without_items` | gate and publishing: what may be recommended at another time than that of the fit |
| `save`, `load` | all that crosses from one process to the next |
| `claims_exact_contributions` | behaviour tests and gate; see `ExactRecommender` |

The API scores nothing: it serves published lists. It adjusts one between two nights, by the contributions, where every score
in it is the sum of its contributions; any other list it serves as it was published, without what the user has met since, what
may not be recommended now and what the user excludes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.errors import InputError
from recsys.model.eligible_items import BoolArray
from recsys.model.feature_adjustment import FeatureVocabulary

LOADED_BY = "loaded_by.json"
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class RecommenderProtocol(Protocol):
    """A fitted model with its vocabulary: item ids in, item ids out, each recommendation with its reason."""

    @property
    def claims_exact_contributions(self) -> bool:
        """Whether it is an `ExactRecommender`: every score is exactly the sum of its contributions.

        Who claims it is tested for it. Who does not is shown as "not claimed", and replaces a champion that does only where a
        person accepts that.
        """
        ...

    @property
    def item_ids(self) -> npt.NDArray[np.object_]:
        """The vocabulary, `(num_items,)`."""
        ...

    @property
    def catalog(self) -> pd.DataFrame:
        """One row per item, in the order of `item_ids`: at least `item_id`, `title` and `genres` (tuples of str)."""
        ...

    @property
    def features(self) -> FeatureVocabulary:
        """Genres, cast and franchises of the items: `FeatureVocabulary.build(catalog_features(catalog))`."""
        ...

    @property
    def eligible(self) -> BoolArray:
        """Which items lists may hold, `(num_items,)`."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """JSON-able: how it was fitted.

        Required: `cut_off` (ISO 8601), `half_life_days`, and `eligible`, an `EligibilityRule` as `as_dict` gives it:
        `TrainingData.recipe` has them. Optional: `calibration` (see `recsys.model.calibration`; without one no chance of being
        liked is shown), `adjustment_power` (of what dislikes take off features), `best_trend_half_life_days` (of the
        popularity baseline that the gate compares with).
        """
        ...

    def score(self, histories: pd.DataFrame, user_ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Scores of all items, seen ones included; float32 `(num_users, num_items)`.

        Args:
            histories: see `recsys.model.histories`.
            user_ids: rows of the result, in order; a user without history has a score for every item, too.
        """
        ...

    def top_items(self, histories: pd.DataFrame, user_ids: Sequence[str], k: int) -> pd.DataFrame:
        """The `k` best eligible items of each user that are not in their history.

        Columns `user_id`, `rank` (from 1), `item_id`, `score`. In the order of `user_ids`; fewer
        than `k` rows for a user who has seen nearly all.
        """
        ...

    def recommend(self, histories: pd.DataFrame, k: int = 10, user_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The same lists, with `reason` (a sentence) and `contributions` (JSON object: name -> signed number).

        Args:
            histories: see `recsys.model.histories`.
            k: list length, >= 1.
            user_ids: None: every user of `histories`, sorted.
        """
        ...

    def without_items(self, barred: frozenset[str]) -> Self:
        """The same model whose lists may hold every item but these, whatever was eligible when it was fitted."""
        ...

    def save(self, folder: Path) -> Path:
        """Writes itself into a folder, which may not be there yet, and returns it."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote; scores are equal to the bit.

        Raises:
            InputError: if a file is missing, or cannot be read.
        """
        ...


class ExactRecommender(RecommenderProtocol, Protocol):
    """What a recommender has beside the rest if it claims that its contributions are exact: what the claim is tested with."""

    def all_contributions(self, histories: pd.DataFrame, lists: pd.DataFrame) -> list[dict[str, float]]:
        """Every contribution to the score of each recommendation, none summed up in a remainder.

        Args:
            histories: see `recsys.model.histories`.
            lists: recommendations: `user_id`, `item_id`.
        """
        ...

    def scores_without(
        self, histories: pd.DataFrame, lists: pd.DataFrame, removed: Sequence[Sequence[str]]
    ) -> npt.NDArray[np.float64]:
        """Scores `(num_recommendations,)` with some items taken out of each user's history, before feature adjustments.

        Whatever else the history says, such as the taste for genres, is held at what it was: a contribution of its own.

        Args:
            histories: see `recsys.model.histories`.
            lists: recommendations: `user_id`, `item_id`.
            removed: for each of them ids of items of the user's history.
        """
        ...


def is_exact(recommender: RecommenderProtocol) -> TypeGuard[ExactRecommender]:
    """Whether it claims that its contributions are exact."""
    return recommender.claims_exact_contributions


def save_recommender(recommender: RecommenderProtocol, folder: Path) -> Path:
    """Saves a recommender with a note of the class that loads it; without one, as of old, it is ours.

    Raises:
        InputError: if no other process could import that class.
    """
    from recsys.model.recommender import Recommender

    kind = type(recommender)
    name = f"{kind.__module__}:{kind.__qualname__}"
    if not isinstance(recommender, Recommender) and (kind.__module__ == "__main__" or not _CLASS.fullmatch(name)):
        raise InputError(
            f"Expected the class of a recommender at the top of a module that can be imported, got {name}: move it there, or "
            "no other process can load the model."
        )
    recommender.save(folder)
    if not isinstance(recommender, Recommender):
        (folder / LOADED_BY).write_text(json.dumps({"class": name}, indent=2), encoding="utf-8")
    return folder


def load_recommender(folder: Path) -> RecommenderProtocol:
    """Reads what `save_recommender` wrote, and what was saved before it was there.

    Raises:
        InputError: if a file is missing or cannot be read, or the class that loads it cannot be imported.
    """
    from recsys.model.recommender import Recommender

    note = Path(folder) / LOADED_BY
    if not note.is_file():
        return Recommender.load(folder)
    try:
        name = str(json.loads(note.read_text(encoding="utf-8"))["class"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"Expected the class that loads a recommender in {note}, got a file that cannot be read: put it back from a "
            "backup, or train a new version."
        ) from error
    loaded: RecommenderProtocol = _class_named(name, note).load(Path(folder))
    return loaded


def _class_named(name: str, note: Path) -> type[RecommenderProtocol]:
    module, _, kind = name.partition(":")
    found = None
    if _CLASS.fullmatch(name):
        try:
            found = getattr(import_module(module), kind, None)
        except ImportError as error:
            raise InputError(
                f"Expected the module {module}, whose {kind} loads the model in {note.parent}, but it cannot be imported "
                f"({error}): install it here, as where the model was trained, or start from the folder that holds it."
            ) from error
    if not isinstance(found, type) or not callable(getattr(found, "load", None)):
        raise InputError(
            f"Expected {note} to name a class with `load`, such as my_model:MyRecommender, got {name!r}: put the file back "
            "from a backup, or install the version of the module that the model was trained with."
        )
    return found
