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
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.feedback.adjustments import ADJUSTMENT, adjustment_contributions

MAX_NAMED_ITEMS = 5
REST = "*"
MIN_SHARE = 0.01  # of the absolute contributions: what adds less is no reason
FROM_HISTORY = ("like", "recent", "dislike")  # kinds of contributions that name an item of the user's history
CARRIED_BY = {
    "trend": "popular right now",
    "like": "because you liked {}",
    "recent": "often comes next after {}",
    "genre": "because you like {}",
}
MAX_CITED = {"genre": 1}  # of a kind, in a sentence; of the others 2


class Terms(NamedTuple):
    """Terms of one kind of many scores; arrays of one length.

    Attributes:
        scores: which score.
        names: of the contribution, such as `like:<item_id>`.
        values: float64, signed.
    """

    scores: npt.NDArray[np.int64]
    names: npt.NDArray[np.object_]
    values: npt.NDArray[np.float64]


def named_contributions(
    terms: Mapping[str, Terms], num_scores: int, limit: int = MAX_NAMED_ITEMS
) -> list[dict[str, float]]:
    """Contributions of each score, largest first: of each kind the `limit` largest, and the sum of the others.

    Args:
        terms: by kind; zeros are left out.
        num_scores: length of the result.
        limit: how many of a kind are named; the sum of the others is `<kind>:*`.
    """
    kept = [_largest(kind, found, limit) for kind, found in terms.items()]
    scores, names, values = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
    order = np.lexsort((-np.abs(values), scores))
    labels, sizes = names[order].tolist(), values[order].tolist()
    ends = np.cumsum(np.bincount(scores, minlength=num_scores)).tolist()
    return [dict(zip(labels[a:b], sizes[a:b], strict=True)) for a, b in zip([0, *ends], ends, strict=False)]


def _largest(kind: str, found: Terms, limit: int) -> Terms:
    """Of each score the `limit` largest terms, and what is left in one."""
    order = np.lexsort((-np.abs(found.values), found.scores))
    order = order[found.values[order] != 0]
    scores, values = found.scores[order], found.values[order]
    place = np.arange(len(scores)) - np.searchsorted(scores, scores)  # among the terms of its score
    named = place < limit
    long = np.unique(scores[~named])
    rest = np.bincount(scores[~named], values[~named])[long]
    return Terms(
        np.concatenate([scores[named], long]),
        np.concatenate([found.names[order[named]], np.full(len(long), f"{kind}:{REST}", dtype=object)]),
        np.concatenate([values[named], rest]),
    )


def with_adjustments(
    contributions: Mapping[str, float], features: Iterable[str], multipliers: Mapping[str, float]
) -> dict[str, float]:
    """Contributions of a score, and what the user's feature adjustments take off it; largest first.

    Args:
        contributions: of the score before adjustments, largest first.
        features: of the item.
        multipliers: of the user, see `adjustment_contributions`.
    """
    taken = adjustment_contributions(math.fsum(contributions.values()), features, multipliers)
    return dict(sorted({**contributions, **taken}.items(), key=_size)) if taken else dict(contributions)


def cited_items(contributions: Mapping[str, float]) -> dict[str, float]:
    """Items of the history that contributions name: id -> sum of what they add, the largest first."""
    shares: dict[str, float] = {}
    for name, value in contributions.items():
        kind, _, about = name.partition(":")
        if kind in FROM_HISTORY and about != REST:
            shares[about] = shares.get(about, 0.0) + value
    return dict(sorted(shares.items(), key=_size))


def _size(term: tuple[str, float]) -> float:
    return -abs(term[1])


def reason_sentence(
    contributions: Mapping[str, float], titles: Mapping[str, str], largest_dislikes: Mapping[str, str]
) -> str:
    """Says what carried a recommendation, in one sentence, the largest part first.

    Args:
        contributions: signed contributions of one recommendation, as named above.
        titles: item id -> title; an id without one is cited as it is.
        largest_dislikes: feature that is adjusted -> id of the disliked item that plays it down most.

    Returns:
        Such as "Because you liked Alien and Blade Runner; less Sci-Fi since you disliked Transformers". What adds less
        than a hundredth of the whole is left out.
    """
    least = MIN_SHARE * sum(map(abs, contributions.values()))
    carried: dict[str, float] = {}  # kind -> size
    cited: dict[str, list[str]] = {}  # kind -> names, largest first
    against: dict[str, list[str]] = {}
    for name, value in sorted(contributions.items(), key=_size):
        if abs(value) < least or value == 0:
            break
        kind, _, about = name.partition(":")
        if about == REST:
            continue
        if value > 0 and kind in CARRIED_BY:  # what else may raise a score, a behaviour test finds
            carried[kind] = carried.get(kind, 0.0) + value
            cited.setdefault(kind, []).append(titles.get(about, about))
        elif value < 0:
            against.setdefault(kind, []).append(about)
    told = [
        CARRIED_BY[kind].format(" and ".join(cited[kind][: MAX_CITED.get(kind, 2)]))
        for kind in sorted(carried, key=lambda kind: -carried[kind])
    ]
    if against:
        told += _lowered(against, titles, largest_dislikes)
    sentence = "; ".join(told) or "not enough is known about you or this film yet"
    return sentence[0].upper() + sentence[1:]


def _lowered(
    against: Mapping[str, list[str]], titles: Mapping[str, str], largest_dislikes: Mapping[str, str]
) -> list[str]:
    """What lowered a score: the two features that lost most, by the film that cost them most, then a film."""
    less: dict[str, list[str]] = {}  # disliked item -> what there is less of
    for feature in against.get(ADJUSTMENT, [])[:2]:
        kind, _, name = feature.partition(":")
        less.setdefault(largest_dislikes[feature], []).append(f"less {'' if kind == 'genre' else 'of '}{name}")
    told = [f"{' and '.join(names)} since you disliked {titles.get(item, item)}" for item, names in less.items()]
    disliked = against.get("dislike", [])[:1]
    return told + [f"ranked lower since you disliked {titles.get(i, i)}" for i in disliked if i not in less]
