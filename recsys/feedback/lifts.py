"""Which features of films stand out among dislikes, compared with what users met.

A feature is a genre, a person of the cast or a franchise. What users met are the films of the lists that they were given
(`exposures`), or, where those are few or fewer than the opinions, the films that they gave an opinion on (`opinions`: likes
and dislikes): beside an imported stream, a handful of lists is not what users met. The lift of a feature is

    lift = share of the dislikes whose film has the feature / share of the met films that have it

Only dislikes of films that were met are compared: what nobody was shown has no exposure to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from recsys.feedback.adjustments import ItemFeatures
from recsys.feedback.reasons import FeatureKind
from recsys.statistics.multiple_testing import holm_adjusted

MIN_SHOWN = 100  # shown films from which exposures are compared with, if they are no fewer than the opinions


class Basis(StrEnum):
    """What dislikes are compared with."""

    EXPOSURES = "exposures"
    OPINIONS = "opinions"


def basis_of(num_shown: int, num_opinions: int) -> Basis:
    """What is compared with, by how often films were shown and how many opinions there are on films."""
    return Basis.EXPOSURES if num_shown >= max(MIN_SHOWN, num_opinions) else Basis.OPINIONS


@dataclass(frozen=True)
class ItemCount:
    """Dislikes of one film, and how often it was met.

    Attributes:
        item_id: the film.
        num_dislikes: users who disliked it.
        num_met: times it was shown, or users with an opinion on it.
        first_user_id: smallest id among those who disliked it; None without any.
        last_user_id: largest id among them.
    """

    item_id: str
    num_dislikes: int = 0
    num_met: int = 0
    first_user_id: str | None = None
    last_user_id: str | None = None


@dataclass(frozen=True)
class FeatureCount:
    """Dislikes of films with one feature, and how often these films were met.

    Attributes:
        kind: of the feature.
        name: of the feature.
        num_dislikes: all of them.
        num_compared: those of films that were met.
        num_met: how often films with the feature were met.
        has_several_users: whether more than one user gave those that are compared.
    """

    kind: FeatureKind
    name: str
    num_dislikes: int
    num_compared: int
    num_met: int
    has_several_users: bool


@dataclass(frozen=True)
class Comparison:
    """All dislikes of a time, feature by feature, beside all that was met.

    Attributes:
        basis: what the dislikes are compared with.
        num_dislikes: all of them.
        num_compared: those of films that were met.
        num_met: how often any film was met.
        features: every feature of a disliked or met film.
    """

    basis: Basis
    num_dislikes: int
    num_compared: int
    num_met: int
    features: tuple[FeatureCount, ...]


@dataclass(frozen=True)
class FeatureLift:
    """One feature among dislikes, against what was met.

    Attributes:
        kind: of the feature.
        name: of the feature.
        dislikes: of films with it.
        compared: those of films that were met.
        share: of the compared dislikes, 0 to 1; None where nothing was met.
        met: how often films with it were met.
        met_share: of all that was met, 0 to 1; None where nothing was met.
        lift: `share / met_share`; None where the feature was never met.
        p_value: chance of as many dislikes or more if the feature did not matter: one-sided binomial test, corrected by
            Holm for the number of features that were met.
        has_several_users: whether more than one user gave the compared dislikes.
    """

    kind: FeatureKind
    name: str
    dislikes: int
    compared: int
    share: float | None
    met: int
    met_share: float | None
    lift: float | None
    p_value: float | None
    has_several_users: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "kind": str(self.kind)}


def compare(items: Iterable[ItemCount], features: Mapping[str, ItemFeatures], basis: Basis) -> Comparison:
    """Adds up the counts of films by feature.

    Args:
        items: one per film.
        features: item_id -> what is known of the film; a film that is missing has none.
        basis: what `num_met` of the films counts.
    """
    counted: dict[tuple[FeatureKind, str], list[ItemCount]] = {}
    num_dislikes = num_compared = num_met = 0
    for item in items:
        num_dislikes += item.num_dislikes
        num_compared += item.num_dislikes if item.num_met else 0
        num_met += item.num_met
        known = features.get(item.item_id, ItemFeatures())
        for kind in FeatureKind:
            for name in known.of_kind(kind):
                counted.setdefault((kind, name), []).append(item)
    found = tuple(_feature_count(kind, name, those) for (kind, name), those in sorted(counted.items()))
    return Comparison(basis, num_dislikes, num_compared, num_met, found)


def _feature_count(kind: FeatureKind, name: str, items: list[ItemCount]) -> FeatureCount:
    compared = [item for item in items if item.num_met and item.num_dislikes]
    users = {user_id for item in compared for user_id in (item.first_user_id, item.last_user_id)}
    return FeatureCount(
        kind=kind,
        name=name,
        num_dislikes=sum(item.num_dislikes for item in items),
        num_compared=sum(item.num_dislikes for item in compared),
        num_met=sum(item.num_met for item in items),
        has_several_users=len(users) > 1,
    )


def measure_lifts(comparison: Comparison, min_count: int = 1) -> list[FeatureLift]:
    """Lift and significance of the features with so many dislikes, by kind, most dislikes first.

    The p-values are corrected by Holm; features with too few dislikes to matter count among the tests, too.
    """
    wanted = [feature for feature in comparison.features if feature.num_dislikes >= min_count]
    num_tests = sum(feature.num_met > 0 for feature in comparison.features)
    p_values = holm_adjusted(_p_values(comparison, wanted), num_tests)
    lifts = [_lift(comparison, feature, p) for feature, p in zip(wanted, p_values, strict=True)]
    return sorted(lifts, key=lambda lift: (list(FeatureKind).index(lift.kind), -lift.dislikes, lift.name))


def _p_values(comparison: Comparison, features: list[FeatureCount]) -> list[float]:
    """Of one-sided binomial tests: P(at least `num_compared` of all compared dislikes), each with the met share."""
    tested = [feature for feature in features if feature.num_met and feature.num_compared]
    if not tested:
        return [1.0] * len(features)  # loading SciPy takes a while
    # The sum of a binomial's upper tail is an incomplete beta function; `scipy.stats` would take a second to load.
    from scipy.special import betainc

    total = comparison.num_compared
    found = {
        (feature.kind, feature.name): float(
            betainc(feature.num_compared, total - feature.num_compared + 1, feature.num_met / comparison.num_met)
        )
        for feature in tested
    }
    return [found.get((feature.kind, feature.name), 1.0) for feature in features]


def _lift(comparison: Comparison, feature: FeatureCount, p_value: float) -> FeatureLift:
    share = feature.num_compared / comparison.num_compared if comparison.num_compared else None
    met_share = feature.num_met / comparison.num_met if comparison.num_met else None
    lift = share / met_share if share is not None and met_share else None
    return FeatureLift(
        kind=feature.kind,
        name=feature.name,
        dislikes=feature.num_dislikes,
        compared=feature.num_compared,
        share=share,
        met=feature.num_met,
        met_share=met_share,
        lift=lift,
        p_value=None if lift is None else p_value,
        has_several_users=feature.has_several_users,
    )
