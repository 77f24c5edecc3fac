"""Feature adjustments: how a user's dislikes play down genres, cast and franchises in that user's own lists.

A dislike multiplies each feature that its reason names by `1 - factor * 0.5 ** (age_days / half_life_days)`: at once by
the full factor, later by less and less. Several dislikes multiply; no feature falls below `ADJUSTMENT_FLOOR`. That is how
important a feature still is; what it does to a list depends on how far apart the scores of a model are, so a feature's
multiplier is its importance to the power that was fitted with the version (see `recsys.training.head.adjustment_power`). An
item's multiplier is the product over its features, and its score is

    adjusted = score - (1 - multiplier) * max(score, 0)

so an adjustment never raises any score. Everything is computed from the dislikes that hold, nothing is kept: taking a
dislike back undoes exactly what it did. One user's adjustments never touch another's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recsys.feedback.reasons import REASON_EFFECTS, FeatureKind
from recsys.records import DislikeReason

ADJUSTMENT_FLOOR = 0.25  # no feature loses more than three quarters, however often it was disliked
ADJUSTMENT = "adjustment"  # contributions of this kind: `adjustment:<kind>:<name>`


@dataclass(frozen=True)
class ItemFeatures:
    """What adjustments know of a film."""

    genres: Sequence[str] = ()
    cast: Sequence[str] = ()
    franchise: str | None = None

    def of_kind(self, kind: FeatureKind) -> Sequence[str]:
        """The names of one kind, each once, in their order."""
        if kind is FeatureKind.GENRE:
            return tuple(dict.fromkeys(self.genres))
        if kind is FeatureKind.CAST:
            return tuple(dict.fromkeys(self.cast))
        return (self.franchise,) if self.franchise else ()

    def names(self) -> list[str]:
        """All features as `<kind>:<name>`."""
        return [feature_name(kind, name) for kind in FeatureKind for name in self.of_kind(kind)]


def feature_name(kind: FeatureKind, name: str) -> str:
    """Such as `genre:Action`."""
    return f"{kind}:{name}"


def calculate_feature_adjustment_from_dislike(
    reason: str,
    genres: Sequence[str] = (),
    cast: Sequence[str] = (),
    franchise: str | None = None,
    age_days: float = 0.0,
    half_life_days: float | None = None,
) -> dict[str, float]:
    """By how much one dislike plays down the features of its film.

    Args:
        reason: one of `DislikeReason`.
        genres: of the film.
        cast: of the film.
        franchise: of the film, if it has one.
        age_days: days since the user clicked, >= 0.
        half_life_days: age at which the adjustment has halved, > 0; None: it does not fade.

    Returns:
        Feature (`genre:Action`) -> change of its importance, in (-1, 0); empty if the reason adjusts nothing.

    Raises:
        ValueError: if the age is negative or the half-life not positive.
    """
    if age_days < 0 or (half_life_days is not None and not half_life_days > 0):
        raise ValueError(f"Expected age_days >= 0 and half_life_days > 0, got {age_days} and {half_life_days}.")
    decay = 1.0 if half_life_days is None else 0.5 ** (age_days / half_life_days)
    features = ItemFeatures(genres, cast, franchise)
    return {
        feature_name(kind, name): -factor * decay
        for kind, factor in REASON_EFFECTS[DislikeReason(reason)].deemphasis.items()
        for name in features.of_kind(kind)
        if factor * decay > 0
    }


def apply_feature_adjustments(
    importances: Mapping[str, float], adjustments: Iterable[Mapping[str, float]], power: float = 1.0
) -> dict[str, float]:
    """Multiplies feature importances by what each dislike leaves of them.

    Args:
        importances: feature -> importance >= 0 before any dislike; 1.0 for a feature that is missing.
        adjustments: as `calculate_feature_adjustment_from_dislike` gives them, one per dislike, in any order.
        power: of what the adjustments leave, > 0: that of the version whose scores are adjusted.

    Returns:
        All features of both, each at least `ADJUSTMENT_FLOOR ** power` times what it was.
    """
    # Sums of logarithms by feature, sorted: the order in which dislikes come must not matter, to the last bit.
    logs: dict[str, list[float]] = {}
    for adjustment in adjustments:
        for name, change in adjustment.items():
            logs.setdefault(name, []).append(math.log1p(change))
    multipliers = {name: max(ADJUSTMENT_FLOOR, math.exp(math.fsum(values))) ** power for name, values in logs.items()}
    return {
        name: importances.get(name, 1.0) * multipliers.get(name, 1.0) for name in dict.fromkeys([*importances, *logs])
    }


def largest_dislikes(adjustments: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """For each adjusted feature, the disliked item that plays it down most: what a reason cites.

    Args:
        adjustments: item id -> as `calculate_feature_adjustment_from_dislike` gives it; of equal ones the first is taken.
    """
    result: dict[str, str] = {}
    for item_id, adjustment in adjustments.items():
        for name, change in adjustment.items():
            if name not in result or change < adjustments[result[name]][name]:
                result[name] = item_id
    return result


def adjustment_contributions(
    score: float, features: Iterable[str], multipliers: Mapping[str, float]
) -> dict[str, float]:
    """What a user's adjustments take away from one item's score, feature by feature.

    Args:
        score: of the item before adjustments.
        features: of the item, as `<kind>:<name>`.
        multipliers: of the user, in (0, 1]; a feature that is missing has 1.

    Returns:
        `adjustment:<feature>` -> value <= 0. They sum to `(multiplier - 1) * max(score, 0)`, shared out by how much each
        feature's logarithm adds; empty where nothing is taken away.
    """
    logs = {name: math.log(multipliers[name]) for name in features if multipliers.get(name, 1.0) < 1.0}
    total = math.fsum(logs.values())
    taken = math.expm1(total) * max(score, 0.0)
    if taken == 0.0:
        return {}
    return {f"{ADJUSTMENT}:{name}": taken * log / total for name, log in logs.items()}
