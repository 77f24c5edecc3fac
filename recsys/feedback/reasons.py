"""What each reason for a dislike does: how it trains, and which features of the film it plays down for its user.

| reason | negative example | weight | genres | cast | franchise |
|---|---|---|---|---|---|
| `wrong_genre` | yes | 0.8 | -15 % | | |
| `poor_quality` | yes | 0.8 | | -10 % | |
| `not_interested` | yes | 0.4 | -7.5 % | | |
| `tired_of_franchise` | yes | 0.8 | | | -12 % |
| `already_watched` | no, the film is only filtered | | | | |
| `unspecified` | yes | 0.8 | | | |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from recsys.errors import InputError
from recsys.records import DislikeReason

DISLIKE_WEIGHT_MULTIPLIER = 0.8  # weight of a dislike in training; a like has 1.0
GENRE_DEEMPHASIS_FACTOR = 0.15  # a disliked item's genres count so much less
CAST_DEEMPHASIS_FACTOR = 0.10
FRANCHISE_DEEMPHASIS_FACTOR = 0.12
LIGHT = 0.5  # "not interested" says less than "wrong genre", of the film and of its genres


class FeatureKind(StrEnum):
    """Kinds of features that a film has and a dislike can play down."""

    GENRE = "genre"
    CAST = "cast"
    FRANCHISE = "franchise"


@dataclass(frozen=True)
class ReasonEffect:
    """What a reason does.

    Attributes:
        trains: whether the dislike becomes a negative example.
        weight_factor: times `DISLIKE_WEIGHT_MULTIPLIER` is the example's base weight, in (0, 1].
        deemphasis: kind of feature -> share by which each of the film's features of that kind counts less, in (0, 1).
    """

    trains: bool = True
    weight_factor: float = 1.0
    deemphasis: Mapping[FeatureKind, float] = field(default_factory=dict)


REASON_EFFECTS: Mapping[DislikeReason, ReasonEffect] = {
    DislikeReason.WRONG_GENRE: ReasonEffect(deemphasis={FeatureKind.GENRE: GENRE_DEEMPHASIS_FACTOR}),
    DislikeReason.POOR_QUALITY: ReasonEffect(deemphasis={FeatureKind.CAST: CAST_DEEMPHASIS_FACTOR}),
    DislikeReason.NOT_INTERESTED: ReasonEffect(
        weight_factor=LIGHT, deemphasis={FeatureKind.GENRE: LIGHT * GENRE_DEEMPHASIS_FACTOR}
    ),
    DislikeReason.TIRED_OF_FRANCHISE: ReasonEffect(deemphasis={FeatureKind.FRANCHISE: FRANCHISE_DEEMPHASIS_FACTOR}),
    DislikeReason.ALREADY_WATCHED: ReasonEffect(trains=False),
    DislikeReason.UNSPECIFIED: ReasonEffect(),
}


def base_weight(reason: str) -> float:
    """What a dislike for this reason counts in training before it ages; 0 if it does not train."""
    effect = REASON_EFFECTS[DislikeReason(reason)]
    return DISLIKE_WEIGHT_MULTIPLIER * effect.weight_factor if effect.trains else 0.0


def parse_reason(reason: str) -> DislikeReason:
    """The reason with this name.

    Raises:
        InputError: listing the known ones.
    """
    try:
        return DislikeReason(reason)
    except ValueError as error:
        raise InputError(f"Expected a reason from {', '.join(DislikeReason)}, got {reason!r}.") from error
