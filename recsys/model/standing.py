"""Where recommendations would stand without single items of a history: which contributions a reason may not name.

"Because you liked Alien" says that the recommendation would stand lower, or at least no higher, had the like not been;
"ranked lower since you disliked Transformers" that it would stand higher. Whether that is so also depends on what the item
did to all others. So each item that a sentence might cite is taken out of its user's history, and the user's best
`HORIZON` items are scored again:

- What raised an item is contradicted if it would stand higher without it. The best items alone give a bound: more of all
  items can only be in front of it.
- What lowered an item is contradicted unless it would stand higher without it. Few pass on the best items alone; for them
  all items are scored again (`ranks_without`), as `recsys.model.counterfactual` does.

Where two scores are closer than rounding the sentence says less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.feedback.adjustments import ADJUSTMENT
from recsys.model.explainer import Explainer
from recsys.model.histories import HistoryMatrices
from recsys.model.scorer import Scorer
from recsys.model.sentences import citable

HORIZON = 100
"""So many of a user's best items are scored again for each item that a reason might cite; the list is the first of them."""
CLOSE = 1e-6
"""Scores that differ by less than this part of the largest are taken for equal: float32 has rounded them."""
BATCH_SIZE = 32  # histories scored over all items at a time: some megabytes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64] | npt.NDArray[np.int32]


class Tops(NamedTuple):
    """The best items of the users of a block.

    Attributes:
        positions: `(num_users, num_best)`, best first.
        scores: the same shape; -inf where a user has no more candidates.
        candidates: bool `(num_users, num_items)`: what may be recommended.
    """

    positions: Positions
    scores: npt.NDArray[np.float32]
    candidates: npt.NDArray[np.bool_]


class Removed(NamedTuple):
    """What is taken out of histories; arrays of one length.

    Attributes:
        rows: of the users in the block.
        items: positions; -1 where it is a genre.
        genres: positions of a genre that the user's taste is to say nothing about; -1 where it is an item.
    """

    rows: IntArray
    items: IntArray
    genres: IntArray


class Claim(NamedTuple):
    """What a sentence might say of a recommendation.

    Attributes:
        recommendation: its number.
        name: of the contribution.
        is_lowering: whether that lowered the score.
        removed: number of what is taken out of the history to see whether the claim holds.
    """

    recommendation: int
    name: str
    is_lowering: bool
    removed: int


def ranks_without(
    scorer: Scorer,
    explainer: Explainer,
    block: HistoryMatrices,
    candidates: npt.NDArray[np.bool_],
    removed: Removed,
    targets: Positions,
) -> tuple[FloatArray, IntArray, IntArray]:
    """Scores all items again, each time without one item of a history.

    Args:
        scorer: of the model.
        explainer: of the same model.
        block: histories.
        candidates: bool `(num_users, num_items)`: what may be recommended to the users of `block`.
        removed: items, `(num_results,)`.
        targets: `(num_results,)`, positions of the items that are asked about.

    Returns:
        Of each target its score, its rank from 1 among the candidates (of equal scores the lower position comes first) and
        its rank if whatever is as close as rounding came before it.
    """
    scores, ranks, lowest = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(targets), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        without = block.without(removed.rows[part], removed.items[part, None].tolist())
        found = scorer.scores(without.sparse_opinions(), without.multipliers(explainer.features))
        at, may = targets[part].astype(np.int64)[:, None], candidates[removed.rows[part]].copy()
        own = np.take_along_axis(found, at, axis=1)  # (batch_size, 1)
        np.put_along_axis(may, at, False, axis=1)
        earlier = np.arange(found.shape[1]) < at
        near = CLOSE * np.abs(found).max(axis=1, keepdims=True)
        scores.append(own[:, 0].astype(np.float64))
        ranks.append(1 + (((found > own) | ((found == own) & earlier)) & may).sum(axis=1))
        lowest.append(1 + ((found >= own - near) & may).sum(axis=1))
    return np.concatenate(scores), np.concatenate(ranks), np.concatenate(lowest)


class Standing:
    """Asks where the recommendations to a block of users would stand without what their reasons might cite.

    Args:
        explainer: of the model.
        scorer: of the same model.
        block: histories.
        tops: the best items of the block's users.
        item_positions: item id -> position.
    """

    def __init__(
        self,
        explainer: Explainer,
        scorer: Scorer,
        block: HistoryMatrices,
        tops: Tops,
        item_positions: Mapping[str, int],
    ) -> None:
        self.explainer, self.scorer, self.block, self.tops = explainer, scorer, block, tops
        self.item_positions = item_positions
        self.genre_positions = {str(name): n for n, name in enumerate(explainer.labels["genre"])}

    def contradicted(
        self,
        rows: IntArray,
        places: IntArray,
        contributions: Sequence[Mapping[str, float]],
        causes: Sequence[Mapping[str, str]],
    ) -> list[set[str]]:
        """For each recommendation, the contributions that its sentence may not name.

        Args:
            rows: `(num_recommendations,)`, of the users.
            places: `(num_recommendations,)`: rank - 1.
            contributions: of each recommendation.
            causes: for each user of the block: adjusted feature -> id of the item that plays it down most.
        """
        result: list[set[str]] = [set() for _ in contributions]
        asked: dict[tuple[int, int, int], int] = {}  # a row of `Removed` -> its number
        claims = [
            Claim(number, name, value < 0, asked.setdefault((row, *self._removed(name, causes[row])), len(asked)))
            for number, (row, terms) in enumerate(zip(rows.tolist(), contributions, strict=True))
            for name, value in citable(terms).items()
            if name != "trend"
        ]
        if claims:
            removed = Removed(*np.array(list(asked), np.int64).T)
            of, _, lowered, numbers = (np.array(column) for column in zip(*claims, strict=True))
            wrong = self._wrong(removed, numbers, places[of], lowered)
            for claim, is_wrong in zip(claims, wrong.tolist(), strict=True):
                if is_wrong:
                    result[claim.recommendation].add(claim.name)
        return result

    def _removed(self, name: str, causes: Mapping[str, str]) -> tuple[int, int]:
        """Position of the item, or of the genre, that a contribution rests on; -1 for the other."""
        kind, _, about = name.partition(":")
        if kind == "genre":
            return -1, self.genre_positions[name]
        return self.item_positions[causes[about] if kind == ADJUSTMENT else about], -1

    def _wrong(
        self, removed: Removed, numbers: IntArray, places: IntArray, lowered: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Which claims do not hold; `numbers` are those of what each claim's item is removed with."""
        scores = self._scores_without(removed)[numbers]  # (num_claims, num_best)
        own = np.take_along_axis(scores, places[:, None], axis=1)
        near = CLOSE * np.max(np.abs(scores), axis=1, initial=0.0, where=np.isfinite(scores), keepdims=True)
        fewest, most = (scores > own + near).sum(axis=1), (scores >= own - near).sum(axis=1) - 1  # items above it
        wrong = np.where(lowered, most >= places, fewest < places)
        left = np.flatnonzero(lowered & ~wrong)
        if len(left):
            asked = Removed(*(column[numbers[left]] for column in removed))
            targets = self.tops.positions[asked.rows, places[left]]
            _, _, lowest = ranks_without(self.scorer, self.explainer, self.block, self.tops.candidates, asked, targets)
            wrong[left] = lowest > places[left]
        return np.asarray(wrong)

    def _scores_without(self, removed: Removed) -> FloatArray:
        """Scores `(num_removed, num_best)` of the best items of each user, without what is removed; -inf past the last."""
        positions, scores = self.tops.positions[removed.rows], self.tops.scores[removed.rows].astype(np.float64)
        missing = ~np.isfinite(scores)
        scores[missing] = 0.0
        left, left_without = self._multipliers(removed, positions)
        total = np.where(scores > 0, scores / left, scores)  # before adjustments
        total -= self.explainer.lost(self.block, removed.rows, removed.items, removed.genres, positions)
        total -= (1.0 - left_without) * np.maximum(total, 0.0)
        total[missing] = -np.inf
        return total

    def _multipliers(self, removed: Removed, positions: Positions) -> tuple[FloatArray, FloatArray]:
        """What adjustments leave of the items at `positions`, and what they leave without what is removed."""
        features, logs = self.explainer.features, self.block.dislike_logs
        left = np.ones(positions.shape)
        adjusted = np.flatnonzero(np.diff(logs.indptr)[removed.rows] > 0)
        for start in range(0, len(adjusted), 8 * BATCH_SIZE):
            part = adjusted[start : start + 8 * BATCH_SIZE]
            own = features.item_multipliers(features.summed_logs(logs[removed.rows[part]]))
            left[part] = np.take_along_axis(own, positions[part], axis=1)
        without = left.copy()
        for start in range(0, len(adjusted), 8 * BATCH_SIZE):
            part = adjusted[start : start + 8 * BATCH_SIZE]
            items = [[item] if item >= 0 else [] for item in removed.items[part].tolist()]
            own = features.item_multipliers(
                features.summed_logs(self.block.without(removed.rows[part], items).dislike_logs)
            )
            without[part] = np.take_along_axis(own, positions[part], axis=1)
        return left, without
