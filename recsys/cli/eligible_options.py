"""Options of a run that say what may be recommended."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.eligibility import FIRST_YEAR, LAST_YEAR, EligibilityRule
from recsys.errors import InputError

Genres = Annotated[
    list[str] | None, typer.Option("--genre", help="Recommend only items of this genre; repeat the option for several.")
]
WithoutGenres = Annotated[list[str] | None, typer.Option("--without-genre", help="Recommend no item of this genre.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Recommend only items with this tag; repeat the option for several.")
]
WithoutTags = Annotated[list[str] | None, typer.Option("--without-tag", help="Recommend no item with this tag.")]
Year = Annotated[
    int | None,
    typer.Option(min=FIRST_YEAR, max=LAST_YEAR, help="Bound of the release year of what is recommended."),
]
AllItems = Annotated[
    bool,
    typer.Option("--all-items", help="Recommend any item again. Without any of these options: what the champion may."),
]


def eligibility_rule(
    all_items: bool,
    min_year: int | None,
    max_year: int | None,
    genres: list[str] | None,
    without_genres: list[str] | None,
    tags: list[str] | None,
    without_tags: list[str] | None,
) -> EligibilityRule | None:
    """What the options say may be recommended; None where they say nothing.

    Raises:
        InputError: if they contradict each other.
    """
    names = (genres, without_genres, tags, without_tags)
    rule = EligibilityRule(min_year, max_year, *(tuple(values or ()) for values in names))
    if all_items and not rule.is_open:
        raise InputError(f"Expected --all-items alone, got it with a rule ({rule}): leave one of them out.")
    return None if rule.is_open and not all_items else rule
