"""What each reason for a dislike does: how it trains, and which features of the film it plays down for its user.

Documents and the description of the API take their table from here, see `reasons_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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


WHOSE = {
    FeatureKind.GENRE: "each of the film's genres",
    FeatureKind.CAST: "each of its cast",
    FeatureKind.FRANCHISE: "its franchise",
}


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


def reasons_table() -> str:
    """All reasons and what they do, as a table in Markdown."""
    rows = [
        "| reason | negative example | weight in training | what it plays down for its user, at once |",
        "|---|---|---|---|",
    ]
    for reason, effect in REASON_EFFECTS.items():
        trains = f"yes | {base_weight(reason):g}" if effect.trains else "no |"
        parts = [f"{WHOSE[kind]} by {share * 100:g} %" for kind, share in effect.deemphasis.items()]
        nothing = "nothing" if effect.trains else "nothing: the film is only never shown again"
        rows.append(f"| `{reason}` | {trains} | {', '.join(parts) or nothing} |")
    return "\n".join(rows)
