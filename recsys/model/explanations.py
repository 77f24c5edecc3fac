"""From the terms of a score to signed contributions with names.

| contribution | what it says |
|---|---|
| `trend` | how popular the item is right now |
| `like:<item_id>` | liked together with what the user liked |
| `recent:<item_id>` | often comes next after what the user liked or watched lately |
| `dislike:<item_id>` | goes with what the user disliked |
| `genre:<name>` | the user likes the genre more than others do |
| `adjustment:<kind>:<name>` | what the user's dislikes take off genres, cast and franchises |

`like:*`, `recent:*`, `dislike:*` and `genre:*` are the remainders of their kinds: the sum of the user's other likes, last
events, dislikes and genres, which are many and small. The values still sum to the score, and a stored list stays short. All
but the adjustments include the item's approval rate, which scales them alike.

`recsys.model.sentences` puts contributions into words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.feedback.adjustments import adjustment_contributions

FIRST_NAMED = 2
"""So many terms of each kind always have a name: the most that a sentence cites of one kind."""
MAX_NAMED_ITEMS = 20
"""No more terms of a kind have a name, however large the remainder: a stored list has to stay short."""
MAX_REMAINDER = 0.1
"""Up to `MAX_NAMED_ITEMS`, terms are named until those without a name hold less than this share of all absolute
contributions to the score: what is left then is no answer to "why?"."""
TINY = 1e-6
"""A smaller contribution has no row of its own: it would be shown as 0.000000. Its value goes to another row, so that sums
stay exact."""
REST = "*"
FROM_HISTORY = ("like", "recent", "dislike")  # kinds of contributions that name an item of the user's history


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
    terms: Mapping[str, Terms], num_scores: int, limit: int | None = MAX_NAMED_ITEMS
) -> list[dict[str, float]]:
    """Contributions of each score, largest first: of each kind the largest, and the sum of the others.

    Args:
        terms: by kind; zeros are left out.
        num_scores: length of the result.
        limit: at most so many of a kind are named (see `FIRST_NAMED` and `MAX_REMAINDER`); the sum of the others is
            `<kind>:*`. What is left over and below `TINY` is added to the largest contribution. None: every term is
            named and stays as it is.
    """
    sizes = sum(np.bincount(own.scores, np.abs(own.values), num_scores) for own in terms.values())
    kept = [_largest(kind, found, np.asarray(sizes), limit) for kind, found in terms.items()]
    scores, names, values = (np.concatenate(arrays) for arrays in zip(*kept, strict=True))
    order = np.lexsort((-np.abs(values), scores))
    labels, found = names[order].tolist(), values[order].tolist()
    ends = np.cumsum(np.bincount(scores, minlength=num_scores)).tolist()
    result = [dict(zip(labels[a:b], found[a:b], strict=True)) for a, b in zip([0, *ends], ends, strict=False)]
    return result if limit is None else [without_tiny(own) for own in result]


def _largest(kind: str, found: Terms, sizes: npt.NDArray[np.float64], limit: int | None) -> Terms:
    """Of each score the largest terms, and what is left in one; `sizes` of all absolute contributions to each score."""
    order = np.lexsort((-np.abs(found.values), found.scores))
    order = order[found.values[order] != 0]
    scores, values = found.scores[order], found.values[order]
    if limit is None:
        return Terms(scores, found.names[order], values)
    named = _is_named(scores, np.abs(values), sizes, limit)
    long = np.unique(scores[~named])
    rest = np.bincount(scores[~named], values[~named])[long]
    return Terms(
        np.concatenate([scores[named], long]),
        np.concatenate([found.names[order[named]], np.full(len(long), f"{kind}:{REST}", dtype=object)]),
        np.concatenate([values[named], rest]),
    )


def _is_named(
    scores: npt.NDArray[np.int64], absolute: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], limit: int
) -> npt.NDArray[np.bool_]:
    """Which terms of one kind have a name; they are sorted by score, the largest first."""
    starts, ends = np.searchsorted(scores, scores), np.searchsorted(scores, scores, side="right")
    position = np.arange(len(scores)) - starts  # among the terms of its score
    total = np.cumsum(absolute)
    left = total[ends - 1] - total + absolute  # of this term and those after it
    named = (position < FIRST_NAMED) | ((left >= MAX_REMAINDER * sizes[scores]) & (position < limit))
    named &= absolute >= TINY
    unnamed = np.bincount(scores[~named], minlength=len(sizes))
    alone = unnamed[scores] == 1  # a remainder of one term says less than its name
    return np.asarray(named | (alone & (absolute >= TINY)))


def without_tiny(contributions: Mapping[str, float]) -> dict[str, float]:
    """The same sum in rows of at least `TINY`: what is smaller is added to the largest row.

    Args:
        contributions: largest first. Empty if all are tiny.
    """
    kept = {name: value for name, value in contributions.items() if abs(value) >= TINY}
    if kept and len(kept) < len(contributions):
        first = next(iter(kept))
        kept[first] = math.fsum([kept[first], *(v for name, v in contributions.items() if name not in kept)])
    return kept


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
