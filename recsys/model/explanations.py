"""From the terms of a score to signed contributions, and to one sentence that a user understands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

# Contributions are named `trend`, `like:<item_id>`, `dislike:<item_id>`, `genre:<name>`, and `adjustment:<kind>:<name>` for
# what a user's dislikes take off genres, cast and franchises; `like:*` and `dislike:*` hold what
# is left of a long history, so that the sum stays exact while a stored list stays short.
MAX_NAMED_ITEMS = 5
REST = "*"
MIN_SHARE = 0.01  # of the absolute contributions: what adds less is no reason


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
    if not values.any():
        return {}
    order = np.argsort(-np.abs(values), kind="stable")
    order = order[values[order] != 0.0]
    result = {f"{kind}:{names[j]}": float(values[j]) for j in order[:limit]}
    if len(order) > limit:
        result[f"{kind}:{REST}"] = float(values[order[limit:]].sum())
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
    least = MIN_SHARE * sum(abs(value) for value in contributions.values())
    told = {name: value for name, value in contributions.items() if abs(value) >= least and not name.endswith(REST)}

    def of_kind(kind: str, sign: int) -> list[tuple[float, str]]:
        found = [
            (abs(v), name.removeprefix(kind)) for name, v in told.items() if name.startswith(kind) and sign * v > 0
        ]
        return sorted(found, key=lambda pair: -pair[0])

    parts: list[tuple[float, str]] = []
    if told.get("trend", 0.0) > 0:
        parts.append((told["trend"], "popular right now"))
    if liked := of_kind("like:", +1):
        cited = " and ".join(titles.get(item_id, item_id) for _, item_id in liked[:2])
        parts.append((sum(value for value, _ in liked), f"because you liked {cited}"))
    if genres := of_kind("genre:", +1):
        parts.append((sum(value for value, _ in genres), f"because you like {genres[0][1]}"))
    parts.sort(key=lambda part: -part[0])
    if adjusted := of_kind("adjustment:", -1):
        cited = " and ".join(name.partition(":")[2] for _, name in adjusted[:2])
        parts.append((0.0, f"less of {cited} since your dislikes"))
    if disliked := of_kind("dislike:", -1):
        parts.append((0.0, f"ranked lower since you disliked {titles.get(disliked[0][1], disliked[0][1])}"))
    sentence = "; ".join(text for _, text in parts) or "not enough is known about you or this film yet"
    return sentence[0].upper() + sentence[1:]
