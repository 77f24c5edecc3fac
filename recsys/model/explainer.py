"""From a model to the contributions of its scores; what they are called is in `recsys.model.explanations`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.feedback.adjustments import adjustment_contributions
from recsys.model.explanations import named_contributions

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.model.feature_adjustment import FeatureVocabulary
    from recsys.model.histories import HistoryMatrices

FloatArray = npt.NDArray[np.float64]


class Explainer:
    """Splits scores of a model into signed contributions, in float64 from the model's own float32 weights.

    Args:
        model: fitted.
        item_ids: `(num_items,)`, what its positions mean.
        genre_names: of its genre columns.
        features: of the items.
    """

    def __init__(
        self,
        model: AdditiveModel,
        item_ids: npt.NDArray[np.object_],
        genre_names: tuple[str, ...],
        features: FeatureVocabulary,
    ) -> None:
        number = len(model.trend_half_lives_days)
        head = keras.ops.convert_to_numpy(model.head).astype(np.float64)
        self.weight = dict(zip(model.head_names[number:], head[number:], strict=True))
        self.regard = keras.ops.convert_to_numpy(model.regard).astype(np.float64) ** self.weight["regard_power"]
        self.trend = head[:number] @ keras.ops.convert_to_numpy(model.trends).astype(np.float64)
        self.item_item = keras.ops.convert_to_numpy(model.item_item)
        self.transitions = keras.ops.convert_to_numpy(model.transitions)
        self.disliked_together = keras.ops.convert_to_numpy(model.disliked_together)
        self.genres = keras.ops.convert_to_numpy(model.genres)
        self.genre_base = keras.ops.convert_to_numpy(model.genre_base)
        self.shrinkage = model.SHRINKAGE
        self.item_ids = item_ids
        self.genre_names = np.asarray(genre_names, dtype=object)
        self.features = features

    def explain(self, block: HistoryMatrices, row: int, positions: npt.NDArray[np.int32]) -> list[dict[str, float]]:
        """Contributions of the items at `positions` for one user.

        Args:
            block: histories.
            row: of the user.
            positions: `(k,)`.

        Returns:
            One dict per position; largest contribution first; the values sum to the item's score.
        """
        regard, trend = self.regard[positions], self.trend[positions]
        parts = self._parts(block, row, positions)
        multipliers = self.features.multipliers_by_name(block.feature_logs[row])
        result = []
        for column, position in enumerate(positions):
            terms = {"trend": float(regard[column] * trend[column])} if trend[column] else {}
            for kind, names, values in parts:
                terms |= named_contributions(kind, names, regard[column] * values[:, column])
            if multipliers:
                features = self.features.features_of(int(position))
                terms |= adjustment_contributions(math.fsum(terms.values()), features, multipliers)
            result.append(dict(sorted(terms.items(), key=lambda term: -abs(term[1]))))
        return result

    def _parts(
        self, block: HistoryMatrices, row: int, positions: npt.NDArray[np.int32]
    ) -> list[tuple[str, npt.NDArray[np.object_], FloatArray]]:
        """Kind, names `(n,)` and contributions before regard `(n, k)` of everything but the trend."""
        weight = self.weight
        liked, like_weights = _entries(block.likes, row)
        met, recency = _entries(block.recent, row)
        disliked, dislike_weights = _entries(block.dislikes, row)
        lately = weight["recent"] + weight["trend_recent"] * self.trend[positions]  # (k,)
        against = weight["dislikes"] * np.maximum(_linked(self.item_item, disliked, positions), 0.0)
        against += weight["disliked_together"] * np.maximum(_linked(self.disliked_together, disliked, positions), 0.0)
        taste = weight["genres"] * self._taste(liked, like_weights)  # (num_genres,)
        return [
            ("like", self.item_ids[liked], weight["likes"] * like_weights * _linked(self.item_item, liked, positions)),
            ("recent", self.item_ids[met], lately * recency * _linked(self.transitions, met, positions)),
            ("dislike", self.item_ids[disliked], -dislike_weights * against),
            ("genre", self.genre_names, taste[:, None] * self.genres[positions].T),
        ]

    def _taste(self, liked: npt.NDArray[np.int32], like_weights: FloatArray) -> FloatArray:
        total = float(like_weights.sum())
        profile = like_weights[:, 0] @ self.genres[liked]
        return np.asarray(np.maximum(profile - total * self.genre_base, 0.0) / (total + self.shrinkage))


def _entries(matrix: sp.csr_matrix, row: int) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Columns `(n,)` and values `(n, 1)` of a row."""
    inside = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[inside], matrix.data[inside].astype(np.float64)[:, None]


def _linked(
    weights: npt.NDArray[np.float32], sources: npt.NDArray[np.int32], targets: npt.NDArray[np.int32]
) -> FloatArray:
    """`weights[sources, targets]` as float64 `(num_sources, num_targets)`; 0 for items without item-item weights."""
    result = np.zeros((len(sources), len(targets)))
    known, wanted = sources < len(weights), targets < len(weights)
    result[np.ix_(known, wanted)] = weights[np.ix_(sources[known], targets[wanted])]
    return result
