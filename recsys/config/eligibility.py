"""The rule that says which items of the catalog a run, and the version that it makes, may recommend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from recsys.config.setting import Setting
from recsys.errors import InputError

FIRST_YEAR, LAST_YEAR = 1870, 2100
YEARS, NAMES = ("min_year", "max_year"), ("genres", "without_genres", "tags", "without_tags")


@dataclass(frozen=True)
class EligibilityRule:
    """A predicate on the catalog: what a run, and the version that it makes, may recommend.

    All conditions that are set must hold. An item whose year is unknown is not admitted where a year is asked for. Genres and
    tags are compared without letter case.

    Raises:
        InputError: for years that are out of range or leave nothing, and for names that are empty.
    """

    min_year: Annotated[
        int | None,
        Setting(
            "Min year",
            "Bound of the release year of what is recommended. Released in this year or later.",
            minimum=FIRST_YEAR, maximum=LAST_YEAR,
        ),
    ] = None  # fmt: skip
    max_year: Annotated[
        int | None,
        Setting(
            "Max year",
            "Bound of the release year of what is recommended. Released in this year or earlier.",
            minimum=FIRST_YEAR, maximum=LAST_YEAR,
        ),
    ] = None  # fmt: skip
    genres: Annotated[
        tuple[str, ...],
        Setting(
            "Genres",
            "Recommend only items that have at least one of these genres.",
            option="--genre", option_help="Recommend only items of this genre; repeat the option for several.",
        ),
    ] = ()  # fmt: skip
    without_genres: Annotated[
        tuple[str, ...],
        Setting(
            "Without genres",
            "Recommend only items that have none of these genres.",
            option="--without-genre", option_help="Recommend no item of this genre.",
        ),
    ] = ()  # fmt: skip
    tags: Annotated[
        tuple[str, ...],
        Setting(
            "Tags",
            "Recommend only items that have at least one of these tags.",
            option="--tag", option_help="Recommend only items with this tag; repeat the option for several.",
        ),
    ] = ()  # fmt: skip
    without_tags: Annotated[
        tuple[str, ...],
        Setting(
            "Without tags",
            "Recommend only items that have none of these tags.",
            option="--without-tag", option_help="Recommend no item with this tag.",
        ),
    ] = ()  # fmt: skip

    def __post_init__(self) -> None:
        for name in YEARS:
            _validate_year(name, getattr(self, name))
        for name in NAMES:
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        if self.min_year is not None and self.max_year is not None and self.min_year > self.max_year:
            raise InputError(
                f"Expected min_year up to max_year, got {self.min_year} and {self.max_year}: no item is released then. "
                "Correct one of them."
            )

    @property
    def is_open(self) -> bool:
        """Whether it restricts nothing."""
        return self == EligibilityRule()

    def admits(self, release_year: int | None, genres: Iterable[str], tags: Iterable[str]) -> bool:
        """Whether an item of this year, with these genres and tags, may be recommended."""
        if self.min_year is not None and (release_year is None or release_year < self.min_year):
            return False
        if self.max_year is not None and (release_year is None or release_year > self.max_year):
            return False
        return _fits(genres, self.genres, self.without_genres) and _fits(tags, self.tags, self.without_tags)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: what is set, and nothing else."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None and value != ()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> EligibilityRule:
        """From what `as_dict` gave, or a person wrote; None and {} restrict nothing.

        Raises:
            InputError: for an unknown name, or a value of another type.
        """
        given = {} if values is None else dict(values)
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(given) - set(known)):
            raise InputError(f"Expected an eligibility rule of {', '.join(known)}, got {', '.join(unknown)}.")
        return cls(**{name: value for name, value in given.items() if value is not None})

    def __str__(self) -> str:
        words = [f"from {self.min_year}"] if self.min_year is not None else []
        words += [f"up to {self.max_year}"] if self.max_year is not None else []
        for name, what in (("genres", "genre"), ("tags", "tag")):
            own, barred = getattr(self, name), getattr(self, f"without_{name}")
            words += [f"{what} {' or '.join(own)}"] if own else []
            words += [f"no {what} {' or '.join(barred)}"] if barred else []
        return ", ".join(words) or "all items"


def _fits(own: Iterable[str], wanted: tuple[str, ...], barred: tuple[str, ...]) -> bool:
    if not wanted and not barred:
        return True
    names = {name.casefold() for name in own}
    if any(name.casefold() in names for name in barred):
        return False
    return not wanted or any(name.casefold() in names for name in wanted)


def _validate_year(name: str, value: object) -> None:
    is_year = isinstance(value, int) and not isinstance(value, bool) and FIRST_YEAR <= value <= LAST_YEAR
    if value is not None and not is_year:
        raise InputError(f"Expected {name} to be a year from {FIRST_YEAR} to {LAST_YEAR}, got {value!r}.")


def _names(name: str, values: object) -> tuple[str, ...]:
    is_list = isinstance(values, list | tuple) and all(isinstance(one, str) and one.strip() for one in values)
    if not is_list:
        raise InputError(f"Expected {name} to be a list of names, such as ['Drama'], got {values!r}.")
    assert isinstance(values, list | tuple)
    return tuple(dict.fromkeys(one.strip() for one in values))
