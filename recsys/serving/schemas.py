"""What clients send. The JSON schemas say exactly what is accepted; nothing else is refused but times in the future.

Models are strict: "5" is no number, 1 is no truth value, and a field that does not exist is an error, since a misspelt
one would be lost in silence.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from recsys.config.eligibility import FIRST_YEAR, LAST_YEAR
from recsys.records import DislikeReason

MAX_INTERACTIONS = 200  # of one request
MAX_ID = 2**63 - 1  # what a BIGINT holds
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)

# Zero bytes cannot be stored, and a name without any visible character names nothing. Every kind of blank is listed, since
# engines of regular expressions differ in what \s is.
ANY_TEXT = r"^[^\u0000]*$"
VISIBLE = (
    r"^[^\u0000]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f-\u206f\u3000\ufeff][^\u0000]*$"
)


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not RFC_3339.match(value):
        raise ValueError("a time such as 2026-03-01T12:00:00Z, with its time zone")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a time such as 2026-03-01T12:00:00Z, with its time zone: {error}") from error
    if moment < EARLIEST:
        raise ValueError("a time from 1970 on")
    return moment


def _whole(value: object) -> object:
    """JSON has one kind of number: 5.0 is the whole number 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
DatabaseId = Annotated[int, Field(ge=1, le=MAX_ID), BeforeValidator(_whole)]
ItemId = Annotated[str, Field(min_length=1, max_length=200, pattern=VISIBLE)]
Title = Annotated[str, Field(min_length=1, max_length=500, pattern=VISIBLE)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=VISIBLE)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Received(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _named(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"type": kind}}}
        for name, kind in (("item_id", "string"), ("movie_id", "integer"), ("movie_title", "string"))
    ]


class DislikeRequest(Received):
    """A thumbs-down. `item_id`, `movie_id` or `movie_title` names the film."""

    model_config = ConfigDict(
        json_schema_extra=_named,
    )

    item_id: ItemId | None = None
    """The film's id in this system's catalog."""
    movie_id: DatabaseId | None = None
    """The film's TMDB id."""
    movie_title: Title | None = None
    """Its title: enough where nothing else is known."""
    recommendation_set_id: DatabaseId | None = None
    """The list that showed it, as `GET /api/recommendations` named it."""
    predicted_score: Share | None = None
    """What the client believes was predicted. Kept as claimed; the list's own score counts."""
    reason: DislikeReason = DislikeReason.UNSPECIFIED
    """Each reason has its own effect; see the description of this endpoint."""
    feedback_text: Annotated[str, Field(max_length=2000, pattern=ANY_TEXT)] | None = None
    """The user's own words."""
    genres: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list)
    """As the client showed them; used for films that the catalog does not know."""
    cast: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)
    """As the client showed it; used for films that the catalog does not know."""
    created_at: Moment | None = None
    """When the user clicked, for events queued offline: from 1970 to now. Default: now."""


class InteractionKind(StrEnum):
    """What a user did with a film."""

    RATING = "rating"
    CLICK = "click"
    WATCH = "watch"
    LIKE = "like"


class InteractionRequest(Received):
    """One signal that is no dislike."""

    item_id: ItemId
    """The film's id in this system's catalog; an unknown one gets a placeholder."""
    kind: InteractionKind
    """What happened."""
    value: Annotated[float, Field(ge=-1e9, le=1e9)] | None = None
    """Such as the stars of a rating or the seconds of a watch."""
    is_like: bool | None = None
    """Whether it trains as a positive; otherwise the film only counts as seen. Default: true for `like`, else false."""
    occurred_at: Moment | None = None
    """When it happened: from 1970 to now. The same user, film, kind and time is kept once. Default: now."""


class InteractionsRequest(Received):
    """Signals of one user, all written or none."""

    interactions: Annotated[list[InteractionRequest], Field(min_length=1, max_length=MAX_INTERACTIONS)]
    """At most 200."""


class ItemRequest(Received):
    """What to change of an item. A field that is left out keeps its value; null empties it."""

    title: Title | None = None
    """Needed for a new item; null keeps it."""
    genres: Annotated[list[Name], Field(max_length=20)] | None = None
    """All of them: they replace what was there."""
    cast: Annotated[list[Name], Field(max_length=50)] | None = None
    """All of it."""
    franchise: Name | None = None
    """The series that it belongs to."""
    release_year: Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR), BeforeValidator(_whole)] | None = None
    """A run may restrict what is recommended to some years."""
    tmdb_id: DatabaseId | None = None
    """By which a dislike may name it."""
    imdb_id: Annotated[str, Field(pattern="^tt[0-9]{1,12}$")] | None = None
    """Such as tt0133093."""
    tags: Annotated[list[Name], Field(max_length=50)] | None = None
    """The product's own words; a run may restrict what is recommended to some of them."""
    available_from: Moment | None = None
    """Not recommended before; null: no start."""
    available_until: Moment | None = None
    """Not recommended from then on; null: no end."""
    is_hidden: bool | None = None
    """True: not recommended at all; null: false."""

    def values(self) -> dict[str, Any]:
        """What to change: names of fields of `Item` -> values."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if given.get("title", "") is None:
            del given["title"]
        for name in {"genres", "cast", "tags"} & given.keys():
            given[name] = tuple(given[name] or ())
        if "is_hidden" in given:
            given["is_hidden"] = bool(given["is_hidden"])
        return given


def not_in_future(moment: datetime | None, now: datetime, max_skew_s: float) -> datetime | None:
    """The time to record: `now` without one, and for a clock that is a little ahead; None for the future."""
    if moment is None or moment <= now:
        return moment or now
    return now if moment <= now + timedelta(seconds=max_skew_s) else None
