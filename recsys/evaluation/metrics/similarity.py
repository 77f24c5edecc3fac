"""How alike two items are: by genres, cast and franchise."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from recsys.feedback.reasons import FeatureKind
from recsys.model.feature_adjustment import FeatureVocabulary

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
EVERY_KIND = tuple(FeatureKind)


class ItemSimilarity:
    """Similarity of items by what is known of them.

    Of each kind of feature: the names that both items have, as a share of the names that one of them has (Jaccard 1912).
    The similarity is the mean over the kinds that at least one of the two has: sharing the genre but not the franchise
    is to be half alike. Where nothing is known of one of them (no feature of the asked kinds on either side, or none at
    all on one), it is NaN: unknown is neither alike nor different.

    Args:
        features: of the items, in their order.
    """

    def __init__(self, features: FeatureVocabulary) -> None:
        self.num_items = features.of_items.shape[0]
        self._of_kind = {
            kind: features.by_kind[n * self.num_items : (n + 1) * self.num_items] for n, kind in enumerate(FeatureKind)
        }
        self._sizes = {kind: np.diff(matrix.indptr).astype(np.float64) for kind, matrix in self._of_kind.items()}
        self.has_features = sum(self._sizes.values()) > 0

    def has_kind(self, kind: FeatureKind) -> npt.NDArray[np.bool_]:
        """Which items have features of a kind; `(num_items,)`."""
        return np.asarray(self._sizes[kind] > 0)

    def shares(self, positions: IntArray, kind: FeatureKind) -> npt.NDArray[np.bool_]:
        """Which items have a feature of a kind in common with some; `(len(positions), num_items)`."""
        matrix = self._of_kind[kind]
        return np.asarray((matrix[positions] @ matrix.T).toarray() > 0)

    def of_pairs(self, first: IntArray, second: IntArray, kinds: Collection[FeatureKind] = EVERY_KIND) -> FloatArray:
        """Similarity of pairs.

        Args:
            first: `(num_pairs,)`, positions; -1 for an item that nobody knows.
            second: the same.
            kinds: of features to look at.

        Returns:
            float64 `(num_pairs,)` in [0, 1], or NaN.
        """
        # Lists of many users hold the same few pairs: each is computed once.
        codes, places = np.unique(first * np.int64(self.num_items) + second, return_inverse=True)
        result = np.full(len(codes), np.nan)
        known = (first >= 0) & (second >= 0)
        is_known = np.zeros(len(codes), bool)
        is_known[places[known]] = True
        result[is_known] = self._of_known(codes[is_known] // self.num_items, codes[is_known] % self.num_items, kinds)
        return np.where(known, result[places], np.nan)

    def _of_known(self, first: IntArray, second: IntArray, kinds: Collection[FeatureKind]) -> FloatArray:
        total, num_kinds = np.zeros(len(first)), np.zeros(len(first))
        for kind in kinds:
            matrix, size = self._of_kind[kind], self._sizes[kind]
            shared = np.asarray(matrix[first].multiply(matrix[second]).sum(axis=1)).ravel()
            either = size[first] + size[second] - shared
            total += np.divide(shared, either, out=np.zeros(len(first)), where=either > 0)
            num_kinds += either > 0
        told = (num_kinds > 0) & self.has_features[first] & self.has_features[second]
        return np.asarray(np.divide(total, num_kinds, out=np.full(len(first), np.nan), where=told))
