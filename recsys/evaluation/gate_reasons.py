"""The gate's reasons as sentences, each with the numbers in it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from recsys.evaluation.comparisons import MetricComparison
from recsys.evaluation.evidence import Evidence
from recsys.evaluation.gate_config import TOLERANCE, GateConfig
from recsys.evaluation.margins import RelativeMargin, margin_size, told
from recsys.evaluation.slice_comparisons import SliceComparison

NO_FIRST_CHAMPION = (
    "There is no champion yet, and it takes so many to make a first one. The dislikes behind this challenger count as used: "
    "when more users have recorded likes, force a run (`recsys run --force TEXT`, or the form), or extend this holdout."
)


def words(system: str) -> str:
    """A system's name for people."""
    return system.replace("_", " ")


def whose(evidence: Evidence, against: str) -> str:
    """Whose numbers the challenger's are compared with."""
    return f"the champion's (version {evidence.champion_version})" if against == "champion" else f"{words(against)}'s"


def percent(share: float) -> str:
    """A change as a signed percentage; a multiple of nothing is infinite."""
    return f"{share:+.1%}" if math.isfinite(share) else "+infinity"


def allowed(found: MetricComparison) -> str:
    """The margin in words."""
    return f"the allowed {told(found.margin, '-' if found.metric.higher_is_better else '+')}"


def compared(found: MetricComparison, name: str, config: GateConfig) -> str:
    """Both means, the change and its interval."""
    relative = isinstance(found.margin, RelativeMargin)
    mean, low, high = (
        percent(x) if relative else f"{x:+.4f}" for x in (found.change.mean, found.change.low, found.change.high)
    )
    users = "users with dislikes" if found.metric.name == "dislike_exposure_at_10" else "users"
    interval = "" if math.isnan(found.change.low) else f" ({config.confidence:.0%} interval {low} to {high})"
    return (
        f"{found.metric.title} {found.challenger:.4f} against {name} {found.comparator:.4f} on {found.num_users} {users}: "
        f"{mean}{interval}"
    )


def nobody_liked(kind: str) -> str:
    """Why there is no accuracy."""
    reason = "No user with a liked item in the holdout: nothing to compare accuracy on."
    return f"{reason} A refresh of the champion's recipe, so the newer data are taken." if kind == "refresh" else reason


def superseded(evidence: Evidence, champion: str) -> str:
    """Why a challenger that passed is not promoted after all."""
    before = f"version {evidence.champion_version}" if evidence.champion_version else "no champion"
    return (
        f"Version {champion} has become champion since this challenger was compared with {before}: nothing says which of "
        "the two is better. The next run compares with the new champion."
    )


def exposure(found: MetricComparison | None, name: str, config: GateConfig) -> str:
    """What became of dislike exposure."""
    if found is None:
        return "No user disliked anything in the holdout: nothing to compare dislike exposure on."
    least = config.min_users_with_dislikes
    thin = f" Few users: below {least}, so read it with care." if found.num_users < least else ""
    return f"{compared(found, name, config)}; {_rise(found, config)}.{thin}"


def _rise(found: MetricComparison, config: GateConfig) -> str:
    if found.refuses:
        return f"more than {allowed(found)}, and surely a rise"
    if found.change.mean <= margin_size(found.margin) + TOLERANCE:
        return f"not more than {allowed(found)}"
    chance = f"more than {allowed(found)}, but it may be chance, since"
    if found.change.low <= 0:
        return f"{chance} the interval holds 0"
    return f"{chance} only {found.num_worse} users are worse off (at least {config.min_differing_users} must be)"


def broken(found: MetricComparison, name: str, config: GateConfig) -> str:
    """Why a guard rail refuses."""
    way = "a fall" if found.metric.higher_is_better else "a rise"
    sure = "" if math.isnan(found.change.low) else f", and surely {way}"
    return f"{compared(found, name, config)}; more than {allowed(found)}{sure}."


def hurt(one: SliceComparison, config: GateConfig) -> str:
    """Why a slice refuses."""
    return (
        f"Users of the slice {one.dimension} = {one.name} are surely hurt: NDCG@10 {one.challenger:.4f} against "
        f"{one.comparator:.4f} on {one.num_users} users, worse than the allowed {told(config.slice_margin)} "
        f"(p = {one.adjusted_p_value:.4f}, corrected for the number of slices)."
    )


def weak_champion(kind: str, ndcg: MetricComparison | None, baselines: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence for the reader if the champion itself is worse than a baseline; it changes no verdict."""
    if not baselines or kind == "first" or ndcg is None:
        return ()
    best = max(baselines, key=baselines.__getitem__)
    if ndcg.comparator >= baselines[best]:
        return ()
    also = "above" if ndcg.challenger > baselines[best] else "not above"
    return (
        f"Note: {words(best)} alone reaches {baselines[best]:.4f} on these users, more than the champion; the challenger is "
        f"{also} it. Compared was with the champion, as always.",
    )
