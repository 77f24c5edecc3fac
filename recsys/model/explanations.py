"""From the terms of a score to signed contributions, and to one sentence that a user understands.

| contribution | what it says |
|---|---|
| `trend` | how popular the item is just now |
| `like:<item_id>` | liked together with what the user liked |
| `recent:<item_id>` | often comes next after what the user liked or watched lately |
| `dislike:<item_id>` | goes with what the user disliked |
| `genre:<name>` | the user likes the genre more than others do |
| `adjustment:<kind>:<name>` | what the user's dislikes take off genres, cast and franchises |

`like:*`, `recent:*` and `dislike:*` hold what is left of a long history: the sum stays exact while a stored list stays short.
All but the adjustments include the item's regard, which scales them alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.feedback.adjustments import adjustment_contributions

if TYPE_CHECKING:
    from recsys.model.additive import AdditiveModel
    from recsys.model.feature_adjustment import FeatureVocabulary
    from recsys.model.histories import HistoryMatrices

FloatArray = npt.NDArray[np.float64]
MAX_NAMED_ITEMS = 5
REST = "*"
MIN_SHARE = 0.01  # of the absolute contributions: what adds less is no reason
CARRIED_BY = {
    "trend": "popular right now",
    "like": "because you liked {}",
    "recent": "often comes next after {}",
    "genre": "because you like {}",
}


def named_contributions(
    kind: str, names: npt.NDArray[np.object_], values: npt.NDArray[np.float64], limit: int = MAX_NAMED_ITEMS
) -> dict[str, float]:
    """The `limit` largest contributions by name, and the sum of the others under `<kind>:*`.

    Args:
        kind: prefix, such as `like`.
        names: `(n,)`.
        values: `(n,)`, signed; zeros are left out.
        limit: how many are named.
    """
    found = [(float(values[j]), str(names[j])) for j in np.flatnonzero(values)]
    found.sort(key=lambda pair: -abs(pair[0]))
    result = {f"{kind}:{name}": value for value, name in found[:limit]}
    if len(found) > limit:
        result[f"{kind}:{REST}"] = math.fsum(value for value, _ in found[limit:])
    return result


def reason_sentence(contributions: Mapping[str, float], titles: Mapping[str, str]) -> str:
    """Says what carried a recommendation, in one sentence, the largest part first.

    Args:
        contributions: signed contributions of one recommendation, as named above.
        titles: item id -> title; an id without one is cited as it is.

    Returns:
        Such as "Because you liked Alien and Blade Runner; popular right now". What adds less than a hundredth of the
        whole is left out.
    """
    least = MIN_SHARE * sum(map(abs, contributions.values()))
    carrying: dict[str, list[tuple[float, str]]] = {}  # kind -> size and name, largest first
    against: dict[str, list[str]] = {}
    for name, value in sorted(contributions.items(), key=lambda term: -abs(term[1])):
        kind, _, about = name.partition(":")
        if about == REST or abs(value) < least:
            continue
        if value > 0:
            carrying.setdefault(kind, []).append((value, about))
        elif value < 0:
            against.setdefault(kind, []).append(about)
    parts = []
    for kind, phrase in CARRIED_BY.items():
        if found := carrying.get(kind):
            cited = " and ".join(titles.get(about, about) for _, about in found[: 1 if kind == "genre" else 2])
            parts.append((-sum(value for value, _ in found), phrase.format(cited)))
    told = [text for _, text in sorted(parts, key=lambda part: part[0])]
    if adjusted := against.get("adjustment"):
        told.append(f"less of {' and '.join(about.partition(':')[2] for about in adjusted[:2])} since your dislikes")
    if disliked := against.get("dislike"):
        told.append(f"ranked lower since you disliked {titles.get(disliked[0], disliked[0])}")
    sentence = "; ".join(told) or "not enough is known about you or this film yet"
    return sentence[0].upper() + sentence[1:]


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
