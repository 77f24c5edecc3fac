"""Feature adjustments of many users over a vocabulary; the rules are those of `recsys.feedback.adjustments`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from recsys.feedback.adjustments import ADJUSTMENT_FLOOR, ItemFeatures, feature_name
from recsys.feedback.reasons import REASON_EFFECTS, FeatureKind, base_weight
from recsys.records import DislikeReason

FloatArray = npt.NDArray[np.float64]
FACTORS: Mapping[FeatureKind, Mapping[str, float]] = {
    kind: {
        str(reason): effect.deemphasis[kind] for reason, effect in REASON_EFFECTS.items() if kind in effect.deemphasis
    }
    for kind in FeatureKind
}


def decay_of(weights: FloatArray, reasons: Sequence[str] | npt.NDArray[np.object_]) -> FloatArray:
    """How far dislikes have faded, from their sample weights; `(n,)` in [0, 1], 0 where a reason does not train."""
    bases = {str(reason): base_weight(reason) for reason in DislikeReason}
    full = np.array([bases.get(str(reason), 0.0) for reason in reasons])
    return np.asarray(np.minimum(np.divide(weights, full, out=np.zeros(len(full)), where=full > 0), 1.0))


@dataclass(frozen=True)
class FeatureVocabulary:
    """The features of a catalog.

    Attributes:
        names: `<kind>:<name>` of every feature.
        of_items: float64 `(num_items, num_features)`: 1 where the item has the feature.
        by_kind: float64 `(num_kinds * num_items, num_features)`: the same, with a row for each kind of each item.
        power: of what dislikes leave of a feature, > 0; see `recsys.feedback.adjustments`.
    """

    names: tuple[str, ...]
    of_items: sp.csr_matrix
    by_kind: sp.csr_matrix
    power: float = 1.0

    @classmethod
    def build(cls, items: Iterable[ItemFeatures], power: float = 1.0) -> FeatureVocabulary:
        """From the features of every item, in the order of the vocabulary."""
        features = list(items)
        names: list[str] = []
        rows, places = [], []
        for number, kind in enumerate(FeatureKind):
            found = sorted({name for item in features for name in item.of_kind(kind)})
            place = {name: len(names) + n for n, name in enumerate(found)}
            names += [feature_name(kind, name) for name in found]
            for row, item in enumerate(features, start=number * len(features)):
                for name in item.of_kind(kind):
                    rows.append(row)
                    places.append(place[name])
        shape = (len(FeatureKind) * len(features), len(names))
        by_kind = sp.csr_matrix((np.ones(len(rows)), (rows, places)), shape)
        of_items = sum(by_kind[n * len(features) : (n + 1) * len(features)] for n in range(len(FeatureKind)))
        return cls(tuple(names), sp.csr_matrix(of_items), by_kind, power)

    def dislike_logs(
        self,
        rows: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        reasons: npt.NDArray[np.object_],
        decay: FloatArray,
        num_users: int,
    ) -> sp.csr_matrix:
        """Logarithms of what each dislike leaves of its item's features of each kind.

        Args:
            rows: `(num_dislikes,)`, position of the user.
            items: `(num_dislikes,)`, position of the item.
            reasons: `(num_dislikes,)`.
            decay: `(num_dislikes,)` in [0, 1].
            num_users: rows of the result.

        Returns:
            float64 `(num_users, num_kinds * num_items)`, kind by kind; below 0 where something is stored.
        """
        parts = []
        for kind in FeatureKind:
            factors = np.array([FACTORS[kind].get(str(reason), 0.0) for reason in reasons]) * decay
            chosen = factors > 0
            shape = (num_users, self.of_items.shape[0])
            parts.append(sp.csr_matrix((np.log1p(-factors[chosen]), (rows[chosen], items[chosen])), shape))
        return sp.hstack(parts, format="csr")

    def summed_logs(self, dislike_logs: sp.csr_matrix) -> sp.csr_matrix:
        """Logarithms of each user's feature multipliers.

        Args:
            dislike_logs: as `dislike_logs` gives them.

        Returns:
            float64 `(num_users, num_features)`, in [power * log(`ADJUSTMENT_FLOOR`), 0]; stored only where below 0.
        """
        total = dislike_logs @ self.by_kind
        total.data = self.power * np.maximum(total.data, np.log(ADJUSTMENT_FLOOR))
        total.eliminate_zeros()
        return total

    def user_logs(
        self,
        rows: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        reasons: npt.NDArray[np.object_],
        decay: FloatArray,
        num_users: int,
    ) -> sp.csr_matrix:
        """`summed_logs` of `dislike_logs`."""
        return self.summed_logs(self.dislike_logs(rows, items, reasons, decay, num_users))

    def largest_dislikes(self, dislike_logs: sp.csr_matrix) -> list[dict[str, int]]:
        """For each user: adjusted feature -> position of the disliked item that plays it down most.

        Args:
            dislike_logs: as `dislike_logs` gives them; of equal ones the first item is taken.
        """
        result: list[dict[str, int]] = [{} for _ in range(dislike_logs.shape[0])]
        users, sources = dislike_logs.nonzero()
        strongest_first = np.argsort(dislike_logs.data, kind="stable")
        for user, source in zip(users[strongest_first], sources[strongest_first], strict=True):
            for feature in self.by_kind.indices[self.by_kind.indptr[source] : self.by_kind.indptr[source + 1]]:
                result[user].setdefault(self.names[feature], int(source % self.of_items.shape[0]))
        return result

    def item_multipliers(self, user_logs: sp.csr_matrix) -> npt.NDArray[np.float32]:
        """Each user's multiplier of every item; float32 `(num_users, num_items)` in [0, 1]."""
        return np.asarray(np.exp((user_logs @ self.of_items.T).toarray()), np.float32)

    def multipliers_by_name(self, user_logs: sp.csr_matrix) -> dict[str, float]:
        """One user's feature multipliers; `user_logs` is `(1, num_features)`."""
        return {self.names[j]: float(np.exp(log)) for j, log in zip(user_logs.indices, user_logs.data, strict=True)}

    def features_of(self, position: int) -> list[str]:
        """Names of an item's features."""
        row = slice(self.of_items.indptr[position], self.of_items.indptr[position + 1])
        return [self.names[j] for j in self.of_items.indices[row]]


def catalog_features(catalog: pd.DataFrame) -> list[ItemFeatures]:
    """Features from a table with `genres` and, where it has them, `cast` and `franchise`."""
    none: list[None] = [None] * len(catalog)
    cast = catalog.get("cast", none)
    franchise = catalog.get("franchise", none)
    return [
        ItemFeatures(tuple(g), tuple(() if c is None else c), f if isinstance(f, str) else None)
        for g, c, f in zip(catalog["genres"], cast, franchise, strict=True)
    ]
