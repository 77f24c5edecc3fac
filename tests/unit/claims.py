"""What a reason claims, read from its sentence."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TITLE = r"\w[\w ]* \d+"  # of the films that tests make up


class Claim(NamedTuple):
    """One thing that a sentence names: `kind` of its contributions, and the title or genre."""

    kind: str
    about: str


def claims_of(sentence: str) -> Iterator[Claim]:
    """What a sentence names, clause by clause."""
    for clause in sentence.split("; "):
        if found := re.match(r"(because you liked|often comes next after) (.+)", clause, re.IGNORECASE):
            for title in re.split(", | and ", found[2]):
                if re.fullmatch(TITLE, title):
                    yield Claim("like" if "liked" in found[1] else "recent", title)
        elif found := re.match(r"because you like (.+?)( and its other genres)?$", clause, re.IGNORECASE):
            yield Claim("genre", found[1])
        elif found := re.match(r"(less|ranked lower).* since you disliked (.+)", clause, re.IGNORECASE):
            yield Claim("dislike" if "ranked" in found[1].lower() else "adjustment", found[2])
        elif clause.lower() == "popular right now":
            yield Claim("trend", "")
