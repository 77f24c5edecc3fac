"""What the API answers about items and exclusions."""

from __future__ import annotations

from datetime import datetime

from recsys.records import Item
from recsys.serving.answers import Answer
from recsys.store.exclusions import Exclusion


class ItemAnswer(Answer):
    """An item of the catalog."""

    item_id: str
    title: str
    genres: list[str]
    cast: list[str]
    franchise: str | None
    release_year: int | None
    tmdb_id: int | None
    imdb_id: str | None
    tags: list[str]
    available_from: datetime | None
    """Recommended from then on."""
    available_until: datetime | None
    """Until before then."""
    is_hidden: bool
    """True: not recommended at all."""

    @classmethod
    def of(cls, item: Item) -> ItemAnswer:
        """The answer for an item."""
        return cls(
            item_id=item.item_id, title=item.title, genres=list(item.genres), cast=list(item.cast),
            franchise=item.franchise, release_year=item.release_year, tmdb_id=item.tmdb_id, imdb_id=item.imdb_id,
            tags=list(item.tags), available_from=item.available_from, available_until=item.available_until,
            is_hidden=item.is_hidden,
        )  # fmt: skip


class ExclusionAnswer(Answer):
    """A film that a user excludes."""

    item_id: str
    title: str
    recorded_at: datetime
    """It is in no list since then."""

    @classmethod
    def of(cls, exclusion: Exclusion, item: Item) -> ExclusionAnswer:
        """The answer for an exclusion of this item."""
        return cls(item_id=exclusion.item_id, title=item.title, recorded_at=exclusion.recorded_at)


class ExclusionsAnswer(Answer):
    """All films that a user excludes, newest first."""

    exclusions: list[ExclusionAnswer]

    @classmethod
    def of(cls, found: list[Exclusion], items: dict[str, Item]) -> ExclusionsAnswer:
        """The answer for exclusions; `items`: those that they name."""
        return cls(exclusions=[ExclusionAnswer.of(one, items[one.item_id]) for one in found if one.item_id in items])
