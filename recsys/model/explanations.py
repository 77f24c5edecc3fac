"""From the terms of a score to signed contributions, and to one sentence that a user understands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

# Contributions are named `trend`, `like:<item_id>`, `dislike:<item_id>`, `genre:<name>`; `like:*` and `dislike:*` hold what
# is left of a long history, so that the sum stays exact while a stored list stays short.
MAX_NAMED_ITEMS = 5
REST = "*"


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
    order = np.argsort(-np.abs(values), kind="stable")
    order = order[values[order] != 0.0]
    result = {f"{kind}:{names[j]}": float(values[j]) for j in order[:limit]}
    if len(order) > limit:
        result[f"{kind}:{REST}"] = float(values[order[limit:]].sum())
    return result


def reason_sentence(contributions: Mapping[str, float], titles: Mapping[str, str]) -> str:
    """Says what carried a recommendation, in one sentence.

    Args:
        contributions: signed contributions of one recommendation, as named above.
        titles: item id -> title; an id without one is cited as it is.

    Returns:
        Such as "Because you liked Alien and Blade Runner; popular right now".
    """
    positive = sorted(((v, k) for k, v in contributions.items() if v > 0), reverse=True)
    liked = [k.removeprefix("like:") for _, k in positive if k.startswith("like:") and not k.endswith(REST)][:2]
    genre = next((k.removeprefix("genre:") for _, k in positive if k.startswith("genre:")), None)
    parts = []
    if liked:
        parts.append("because you liked " + " and ".join(titles.get(item_id, item_id) for item_id in liked))
    elif genre:
        parts.append(f"because you like {genre}")
    if contributions.get("trend", 0.0) > 0:
        parts.append("popular right now")
    disliked = [(v, k.removeprefix("dislike:")) for k, v in contributions.items() if k.startswith("dislike:")]
    named = [item_id for value, item_id in sorted(disliked) if value < 0 and item_id != REST][:1]
    if named:
        parts.append(f"ranked lower since you disliked {titles.get(named[0], named[0])}")
    sentence = "; ".join(parts) or "not enough is known about you or this film yet"
    return sentence[0].upper() + sentence[1:]
