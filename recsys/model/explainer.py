"""From a model to the contributions of its scores; what they are called is in `recsys.model.explanations`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.model.explanations import MAX_NAMED_ITEMS, Terms, named_contributions, with_adjustments, without_tiny
from recsys.model.linked_weights import Associations

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
        head = model.head.numpy().astype(np.float64)
        self.weight = dict(zip(model.head_names[number:], head[number:], strict=True))
        self.regard = model.regard.numpy().astype(np.float64) ** self.weight["regard_power"]
        self.trend = head[:number] @ model.trends.numpy().astype(np.float64)
        self.num_linked = model.num_linked
        self.item_item = model.item_item.numpy()
        self.transitions = model.transitions.numpy()
        self.disliked_together = model.disliked_together.numpy()
        self.genres = model.genres.numpy()
        self.genre_base = model.genre_base.numpy()
        self.shrinkage = model.SHRINKAGE
        self.item_ids = item_ids
        self.labels = {kind: _labels(kind, item_ids) for kind in ("like", "recent", "dislike")}
        self.labels["genre"] = _labels("genre", genre_names)
        self.features = features

    def explain(
        self,
        block: HistoryMatrices,
        rows: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int32],
        limit: int | None = MAX_NAMED_ITEMS,
    ) -> list[dict[str, float]]:
        """Contributions of many scores at once.

        Args:
            block: histories.
            rows: `(num_scores,)`, of the users.
            positions: `(num_scores,)`, of the items.
            limit: of the contributions that are named, see `named_contributions`; None: all are.

        Returns:
            One dict per score: largest contribution first, the values sum to the score.
        """
        result = named_contributions(self._terms(block, rows, positions), len(rows), limit)
        logs = self.features.summed_logs(block.dislike_logs)
        for row in np.unique(rows[np.diff(logs.indptr)[rows] > 0]):
            multipliers = self.features.multipliers_by_name(logs[row])
            for score in np.flatnonzero(rows == row):
                features = self.features.features_of(positions[score])
                adjusted = with_adjustments(result[score], features, multipliers)
                result[score] = adjusted if limit is None else without_tiny(adjusted)
        return result

    def largest_dislikes(self, block: HistoryMatrices) -> list[dict[str, str]]:
        """For every user of the block: adjusted feature -> id of the disliked item that plays it down most."""
        found = self.features.largest_dislikes(block.dislike_logs)
        return [{name: str(self.item_ids[item]) for name, item in own.items()} for own in found]

    def _terms(
        self, block: HistoryMatrices, rows: npt.NDArray[np.int64], positions: npt.NDArray[np.int32]
    ) -> dict[str, Terms]:
        """Everything that is no adjustment, by kind."""
        weight, labels = self.weight, self.labels
        regard, trend = self.regard[positions], self.trend[positions]
        scores = np.arange(len(rows))
        terms = {"trend": Terms(scores, np.asarray(["trend"] * len(rows), dtype=object), regard * trend)}

        def add(kind: str, pairs: Pairs, values: FloatArray) -> None:
            terms[kind] = Terms(pairs.scores, labels[kind][pairs.items], regard[pairs.scores] * values)

        pairs = self._pairs(block.likes, rows, positions)
        add("like", pairs, weight["likes"] * pairs.weights * pairs.added(self.item_item))
        pairs = self._pairs(block.recent, rows, positions)
        lately = weight["recent"] + weight["trend_recent"] * trend  # (num_scores,)
        add("recent", pairs, lately[pairs.scores] * pairs.weights * pairs.added(self.transitions))
        pairs = self._pairs(block.dislikes, rows, positions)
        add("dislike", pairs, -pairs.weights * self._against(pairs))

        liked = weight["genres"] * self._taste(block.likes)[rows] * self.genres[positions]  # (num_scores, num_genres)
        of, genre = np.nonzero(liked)
        terms["genre"] = Terms(of, labels["genre"][genre], regard[of] * liked[of, genre])
        return terms

    def _pairs(self, matrix: sp.csr_matrix, rows: npt.NDArray[np.int64], positions: npt.NDArray[np.int32]) -> Pairs:
        """Each score with each item of its user in `matrix` that has weights."""
        own = matrix[rows]
        scores = np.repeat(np.arange(len(rows)), np.diff(own.indptr))
        known = own.indices < self.num_linked
        scores = scores[known]
        return Pairs(scores, own.indices[known], own.data[known].astype(np.float64), positions[scores])

    def lost(
        self,
        block: HistoryMatrices,
        rows: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        genres: npt.NDArray[np.int64],
        targets: npt.NDArray[np.int64] | npt.NDArray[np.int32],
    ) -> FloatArray:
        """By how much scores before adjustments fall without an item of the history, or a genre of the taste.

        Args:
            block: histories.
            rows: `(num_removed,)`, of the users.
            items: `(num_removed,)`, positions of the items that are removed; -1: none.
            genres: `(num_removed,)`, positions of the genres that are removed; -1: none.
            targets: `(num_removed, num_targets)`, positions of the items that are scored.

        Returns:
            `(num_removed, num_targets)`; below 0 where the score rises.
        """
        weight = self.weight
        lost = np.zeros(targets.shape)

        def add(matrix: sp.csr_matrix, added: Callable[[Pairs], FloatArray]) -> None:
            own = np.where(items >= 0, np.asarray(matrix[rows, np.maximum(items, 0)], np.float64).ravel(), 0.0)
            chosen = np.flatnonzero((own != 0) & (items < self.num_linked))
            of = np.repeat(chosen, targets.shape[1])
            pairs = Pairs(of, items[of].astype(np.int32), own[of], targets[chosen].ravel().astype(np.int32))
            lost[chosen] += (pairs.weights * added(pairs)).reshape(len(chosen), targets.shape[1])

        add(block.likes, lambda pairs: weight["likes"] * pairs.added(self.item_item))
        lately = weight["recent"] + weight["trend_recent"] * self.trend
        add(block.recent, lambda pairs: lately[pairs.targets] * pairs.added(self.transitions))
        add(block.dislikes, lambda pairs: -self._against(pairs))
        if weight["genres"] > 0 and self.genres.shape[1]:
            taste = self._taste(block.likes)[rows] - self._taste_without(block.likes, rows, items, genres)
            lost += weight["genres"] * np.einsum("rg,rtg->rt", taste, self.genres[targets])
        return np.asarray(self.regard[targets] * lost)

    def _against(self, pairs: Pairs) -> FloatArray:
        """What disliked items take off, before their weights in the history."""
        similar = self.item_item.positively_between(pairs.items, pairs.targets)
        together = self.disliked_together.positively_between(pairs.items, pairs.targets)
        return np.asarray(self.weight["dislikes"] * similar + self.weight["disliked_together"] * together)

    def _taste_without(
        self,
        likes: sp.csr_matrix,
        rows: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        genres: npt.NDArray[np.int64],
    ) -> FloatArray:
        """The taste without one like, or one genre of it; `(num_removed, num_genres)`."""
        columns = np.maximum(items, 0)
        own = np.where(items >= 0, np.asarray(likes[rows, columns], np.float64).ravel(), 0.0)[:, None]
        weights = likes.astype(np.float64)
        total = np.asarray(weights.sum(axis=1))[rows] - own
        liked = np.asarray(weights @ self.genres)[rows] - own * self.genres[columns]
        taste = np.maximum(liked - total * self.genre_base, 0.0) / (total + self.shrinkage)
        taste[np.flatnonzero(genres >= 0), genres[genres >= 0]] = 0.0
        return np.asarray(taste)

    def _taste(self, likes: sp.csr_matrix) -> FloatArray:
        """See `AdditiveModel.taste`; float64 `(num_users, num_genres)`."""
        weights = likes.astype(np.float64)
        total = np.asarray(weights.sum(axis=1))  # (num_users, 1)
        return np.asarray(np.maximum(weights @ self.genres - total * self.genre_base, 0.0) / (total + self.shrinkage))


class Pairs(NamedTuple):
    """Scores beside the items of their users' histories; arrays of one length.

    Attributes:
        scores: which score.
        items: position of the item in the history.
        weights: of that item in the history.
        targets: position of the item that is scored.
    """

    scores: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    weights: FloatArray
    targets: npt.NDArray[np.int32]

    def added(self, associations: Associations) -> FloatArray:
        """What the items add to the targets, before their weights in the history."""
        return associations.between(self.items, self.targets)


def _labels(kind: str, names: Iterable[str]) -> npt.NDArray[np.object_]:
    """Names of the contributions of one kind, by position."""
    return np.asarray([f"{kind}:{name}" for name in names], dtype=object)
