"""Contributions in words: one sentence that a user understands, and the name of each row for whoever looks closer.

A sentence claims that what it names matters to where the item stands. It is not to be contradicted by the counterfactual
(`recsys.model.counterfactual`), so whoever asks for one says which contributions may not be named: `recsys.model.standing`
finds them for the lists of a model, `recsys.serving.list_reasons` for a list that is adjusted between two nights.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from recsys.feedback.adjustments import ADJUSTMENT
from recsys.model.explanations import REST

MIN_SHARE = 0.05
"""A reason is at least this share of the positive part of the score. Below a twentieth a film hardly changes its position,
and of the two to four terms that a sentence names none is that small unless dozens of others count as much."""
MIN_COVERED = 0.6
"""What a sentence names adds up to at least this share of the positive part of the score; else it says what else counts."""
RAISING = ("trend", "like", "recent", "genre")
LOWERING = ("dislike", ADJUSTMENT)
MAX_CITED = {"genre": 1}  # of a kind, in a sentence; of the others 2
UNKNOWN = "not enough is known about you or this film yet"
ROWS = {
    "trend": "popular right now",
    "like": "you liked {}",
    "recent": "often comes next after {}",
    "dislike": "goes with {}, which you disliked",
    "genre": "you like {}",
}
REMAINDERS = {
    "like": "other films you liked",
    "recent": "often comes next after other films you watched lately",
    "dislike": "goes with other films you disliked",
    "genre": "you like other genres of this film",
}


def title_of(item_id: str, titles: Mapping[str, str]) -> str:
    """The title of an item, or its id in quotes where the catalog does not have it, or has its id for a title."""
    title = titles.get(item_id, item_id)
    return f'"{item_id}"' if title == item_id else title


def row_in_words(name: str, titles: Mapping[str, str]) -> str:
    """What a contribution is called where a person reads it: `like:603` is "you liked The Matrix".

    Args:
        name: as in `recsys.model.explanations`.
        titles: item id -> title.
    """
    kind, _, about = name.partition(":")
    if about == REST:
        return REMAINDERS.get(kind, f"other {kind}")
    if kind == ADJUSTMENT:
        return f"{_less(about)} since your dislikes"
    if kind in ("like", "recent", "dislike"):
        about = title_of(about, titles)
    return ROWS[kind].format(about) if kind in ROWS else name


def citable(contributions: Mapping[str, float]) -> dict[str, float]:
    """Contributions that are large enough to be a reason, and have a name; the largest first.

    Args:
        contributions: signed contributions of one recommendation.
    """
    least = MIN_SHARE * _positive(contributions)
    found = []
    for name, value in contributions.items():
        if abs(value) >= least and value != 0:
            kind, _, about = name.partition(":")
            if about != REST and kind in (RAISING if value > 0 else LOWERING):
                found.append((name, value))
    return dict(sorted(found, key=lambda term: -abs(term[1])))


def reason_sentence(
    contributions: Mapping[str, float],
    titles: Mapping[str, str],
    largest_dislikes: Mapping[str, str],
    contradicted: Container[str] = (),
    num_liked: int | None = None,
) -> str:
    """Says what carried a recommendation, in one sentence, the largest part first.

    Args:
        contributions: signed contributions of one recommendation.
        titles: item id -> title; an id without one is cited in quotes.
        largest_dislikes: feature that is adjusted -> id of the disliked item that plays it down most.
        contradicted: names of contributions that are not cited, since the item would not stand lower (for what raised it)
            or higher (for what lowered it) without them.
        num_liked: films that the user liked; None: unknown, the films that are not cited are then not counted.

    Returns:
        Such as "Because you liked Alien, Blade Runner and 23 other films; less Sci-Fi since you disliked Transformers".
        What adds less than `MIN_SHARE` is not named. Where the rest covers less than `MIN_COVERED` of the positive part of
        the score, the sentence says what else counts.
    """
    cited: dict[str, list[str]] = {}  # kind -> contributions, largest first
    against: dict[str, list[str]] = {}
    for name, value in citable(contributions).items():
        kind, _, about = name.partition(":")
        if name in contradicted:
            continue
        if value < 0:
            against.setdefault(kind, []).append(about)
        elif len(cited.setdefault(kind, [])) < MAX_CITED.get(kind, 2):
            cited[kind].append(name)
    stated = {kind: sum(contributions[name] for name in names) for kind, names in cited.items()}
    others = _others(contributions, stated)
    size = {kind: stated.get(kind, 0.0) + others.get(kind, 0.0) for kind in (*stated, *others)}
    clauses = [
        _raised(kind, [name.partition(":")[2] for name in cited[kind]], titles, kind in others, num_liked)
        for kind in sorted(stated, key=lambda kind: -size[kind])
    ]
    clauses += [_counting(kind, num_liked) for kind in others if kind not in stated]
    sentence = "; ".join(clauses + _lowered(against, titles, largest_dislikes)) or UNKNOWN
    return sentence[0].upper() + sentence[1:]


def _positive(contributions: Mapping[str, float]) -> float:
    return sum(value for value in contributions.values() if value > 0)


def _others(contributions: Mapping[str, float], stated: Mapping[str, float]) -> dict[str, float]:
    """Kinds whose other contributions have to be mentioned so that enough is covered, with what those add."""
    left = dict.fromkeys(RAISING, 0.0)
    for name, value in contributions.items():
        kind = name.partition(":")[0]
        if value > 0 and kind in left:
            left[kind] += value
    left = {kind: total - stated.get(kind, 0.0) for kind, total in left.items()}
    missing = MIN_COVERED * _positive(contributions) - sum(stated.values())
    found: dict[str, float] = {}
    for kind in sorted(left, key=lambda kind: -left[kind]):
        if missing <= 0 or left[kind] <= 0:
            break
        found[kind] = left[kind]
        missing -= left[kind]
    return found


def _raised(kind: str, cited: Sequence[str], titles: Mapping[str, str], others: bool, num_liked: int | None) -> str:
    """One clause on what raised a score: what is cited of a kind, and `others` of it where they count too."""
    if kind == "trend":
        return ROWS["trend"]
    if kind == "genre":
        return f"because you like {cited[0]}{' and its other genres' if others else ''}"
    names = [title_of(item, titles) for item in cited]
    if kind == "recent":
        return f"often comes next after {_listed([*names, 'other films you watched lately'] if others else names)}"
    number = 0 if num_liked is None else num_liked - len(names)
    more = f"{number} other film{'' if number == 1 else 's'}" if number > 0 else "other films"
    return f"because you liked {_listed([*names, more] if others else names)}"


def _counting(kind: str, num_liked: int | None) -> str:
    """One clause on what raised a score although no part of it is cited: it counts, which is all that can be said."""
    if kind == "like":
        films = "films" if num_liked is None else f"{num_liked} film{'' if num_liked == 1 else 's'}"
        return f"{films} you liked {'counts' if num_liked == 1 else 'count'} towards it"
    return {
        "trend": "how popular it is counts towards it",
        "recent": "films you watched lately count towards it",
        "genre": "genres you like count towards it",
    }[kind]


def _listed(names: Sequence[str]) -> str:
    """Such as "Alien, Blade Runner and Heat"."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _less(feature: str) -> str:
    """Such as "less Sci-Fi" or "less of Ann"; of `<kind>:<name>`."""
    kind, _, name = feature.partition(":")
    return f"less {'' if kind == 'genre' else 'of '}{name}"


def _lowered(
    against: Mapping[str, Sequence[str]], titles: Mapping[str, str], largest_dislikes: Mapping[str, str]
) -> list[str]:
    """What lowered a score: the two features that lost most, by the film that cost them most, then a film."""
    less: dict[str, list[str]] = {}  # disliked item -> what there is less of
    for feature in against.get(ADJUSTMENT, [])[:2]:
        less.setdefault(largest_dislikes[feature], []).append(_less(feature))
    clauses = [f"{' and '.join(names)} since you disliked {title_of(item, titles)}" for item, names in less.items()]
    disliked = against.get("dislike", [])[:1]
    return clauses + [f"ranked lower since you disliked {title_of(i, titles)}" for i in disliked if i not in less]
