"""Sentences for a list that is adjusted between two nights.

The model is not at hand, so whether a reason holds is asked of the list itself: its entries are ranked again without what
the reason names, from their contributions. That says less than the model would, and never more:

- What raised an entry is not named if the entry would stand higher in the list without it. Items outside of the list could
  only stand before it.
- What lowered an entry is named only if it would stand higher without it, and no item outside of the list can have come
  before it: the dislike is newer than the list, or the published sentence named it, which was checked against all items.
- What an item adds to an entry whose contributions do not name it is at most what the smallest that is named adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from recsys.feedback.adjustments import ADJUSTMENT, ItemFeatures, apply_feature_adjustments, largest_dislikes
from recsys.model.explanations import REST, with_adjustments
from recsys.model.sentences import citable, reason_sentence, title_of
from recsys.records import Item, RecommendationEntry, RecommendationSet, UserSignal

# Kind of a contribution -> the kinds that are taken away together with what it names.
TOGETHER = {
    "like": ("like", "recent"), "recent": ("like", "recent"), "genre": ("genre",), "dislike": ("dislike",),
    ADJUSTMENT: ("dislike",),
}  # fmt: skip


class ListReasons:
    """What is known where a list is adjusted.

    Args:
        items: by id: those of the list, and those that reasons name.
        adjustments: disliked item -> feature -> change, for the dislikes that hold now.
        power: of what adjustments leave.
        signals: what holds between the user and the items they met.
        published: the list that is adjusted. One for newcomers knows nothing of the user: each dislike is newer.
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        adjustments: Mapping[str, Mapping[str, float]],
        power: float,
        signals: Sequence[UserSignal],
        published: RecommendationSet,
    ) -> None:
        self._items, self._adjustments, self._power = items, adjustments, power
        self._titles = {item_id: item.title for item_id, item in items.items()}
        self._causes = largest_dislikes(adjustments)
        self._num_liked = sum(signal.signal == "like" for signal in signals)
        self._newer = {
            signal.item_id for signal in signals if published.user_id is None or signal.occurred_at > published.as_of
        }

    def sentences(self, entries: Sequence[RecommendationEntry]) -> list[str]:
        """One for each entry of a list, which are in their order and have the reasons of the published list."""
        bounds: dict[tuple[str, tuple[str, ...]], list[tuple[float, float]]] = {}
        result = []
        for place, entry in enumerate(entries):
            contradicted = set()
            for name, value in citable(entry.contributions).items():
                kind, _, about = name.partition(":")
                if kind not in TOGETHER:
                    continue  # popularity is not taken away
                key = (self._causes[about] if kind == ADJUSTMENT else about, TOGETHER[kind])
                if key not in bounds:
                    bounds[key] = self._bounds_without(*key, entries)
                if not self._holds(entry, place, key[0], value < 0, bounds[key]):
                    contradicted.add(name)
            result.append(
                reason_sentence(entry.contributions, self._titles, self._causes, contradicted, self._num_liked)
            )
        return result

    def _holds(
        self, entry: RecommendationEntry, place: int, item: str, lowered: bool, bounds: Sequence[tuple[float, float]]
    ) -> bool:
        """Whether an item of the history, or a genre, did to an entry what a sentence would say."""
        if not lowered:
            return not _may_stand_higher(bounds, place)
        clause = f"since you disliked {title_of(item, self._titles)};"  # to its end: "Alien" is not "Aliens"
        return (item in self._newer or clause in f"{entry.reason};") and _stands_higher(bounds, place)

    def _bounds_without(
        self, removed: str, kinds: Sequence[str], entries: Sequence[RecommendationEntry]
    ) -> list[tuple[float, float]]:
        """The least and the most that each entry could score without an item of the history, or without a genre."""
        is_dislike = "dislike" in kinds
        left = [own for item, own in self._adjustments.items() if not (is_dislike and item == removed)]
        multipliers = apply_feature_adjustments({}, left, self._power)
        found = []
        for entry in entries:
            terms = {
                name: value for name, value in entry.contributions.items() if not name.startswith(f"{ADJUSTMENT}:")
            }
            unnamed = sum(_unnamed(terms, kind) for kind in kinds if f"{kind}:{removed}" not in terms)
            item = self._items[entry.item_id]
            features = ItemFeatures(item.genres, item.cast, item.franchise).names()
            names = {f"{kind}:{removed}" for kind in kinds}
            kept = {name: value for name, value in terms.items() if name not in names}
            score = math.fsum(with_adjustments(kept, features, multipliers).values())
            found.append((score - unnamed, score + unnamed))
        return found


def _unnamed(terms: Mapping[str, float], kind: str) -> float:
    """The most that an item can add, either way, to a score whose contributions of a kind do not name it."""
    if f"{kind}:{REST}" not in terms:
        return 0.0
    named = [abs(value) for name, value in terms.items() if name.partition(":")[0] == kind and not name.endswith(REST)]
    return min(named, default=abs(terms[f"{kind}:{REST}"]))


def _may_stand_higher(bounds: Sequence[tuple[float, float]], place: int) -> bool:
    """Whether an entry could stand higher than at `place` (from 0) in its list."""
    own = bounds[place][1]
    return sum(least > own for n, (least, _) in enumerate(bounds) if n != place) < place


def _stands_higher(bounds: Sequence[tuple[float, float]], place: int) -> bool:
    """Whether an entry stands higher than at `place` (from 0) in its list, whatever is not known."""
    own = bounds[place][0]
    return sum(most >= own for n, (_, most) in enumerate(bounds) if n != place) < place
