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

import numpy as np
import numpy.typing as npt

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
