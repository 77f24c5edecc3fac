"""The gate's reasons as sentences, each with the numbers in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from recsys.evaluation.gate.comparisons import MetricComparison
from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.dislike_exposure import ExposureFinding, Mix
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.margins import RelativeMargin, signed
from recsys.evaluation.gate.slices import SliceComparison

NO_FIRST_CHAMPION = (
    "There is no champion yet, and a first one needs that many. The dislikes behind this challenger count as used: "
    "when more users have recorded likes, force a run (`recsys run --force TEXT`, or the form), or extend this holdout."
)

CHAMPION_STAYS = (
    "the champion stays. The next night has a longer holdout to evaluate on. A person may promote without evidence, in their "
    'name: `recsys promote VERSION --accept-thin-evidence "WHY"`, or the form of model_promotion.'
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
    return f"the allowed {signed(found.margin, '-' if found.metric.higher_is_better else '+')}"


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


def nobody_liked(kind: str, config: GateConfig) -> str:
    """Why there is no accuracy."""
    reason = "No user with a liked item in the holdout: nothing to compare accuracy on."
    if kind != "refresh":
        return reason
    return f"{reason} Too little to evaluate even a refresh ({config.min_refresh_users} users): {CHAMPION_STAYS}"


def too_few_for_a_refresh(config: GateConfig) -> str:
    """Why a refresh is not evaluated by its accuracy."""
    return f"fewer than the {config.min_refresh_users} users that it takes to evaluate even a refresh: {CHAMPION_STAYS}"


def accepted(reason: str) -> str:
    """Why a challenger without enough evidence passes after all."""
    return (
        f'There is too little evidence for the gate, and a person accepts that: "{reason}". Nothing is promoted before a '
        "person has approved it by name."
    )


def superseded(evidence: Evidence, champion: str) -> str:
    """Why a challenger that passed is not promoted after all."""
    before = f"version {evidence.champion_version}" if evidence.champion_version else "no champion"
    return (
        f"Version {champion} has become champion since this challenger was compared with {before}: nothing says which of "
        "the two is better. The next run compares with the new champion."
    )


def exposure(evidence: Evidence, findings: Sequence[ExposureFinding], name: str, config: GateConfig) -> tuple[str, ...]:
    """What became of dislike exposure, on the holdout and with earlier opinions; and which of those are missing."""
    said = [_finding(one, evidence, name, config) for one in findings]
    if not any(one.window == "holdout" for one in findings):
        said.insert(0, "No user disliked anything in the holdout: nothing to compare dislike exposure on.")
    return (*said, *evidence.not_pooled)


def _finding(one: ExposureFinding, evidence: Evidence, name: str, config: GateConfig) -> str:
    found, least = one.found, config.min_users_with_dislikes
    over = "" if one.window == "holdout" else f"{_pool(evidence, config)}: "
    thin = f" Few users: below {least}, so read it with care." if found.num_users < least else ""
    mix = f" {_mix(one)}" if one.has_risen else ""
    return f"{over}{compared(found, name, config)}; {_rise(one, config)}.{mix}{thin}"


def _pool(evidence: Evidence, config: GateConfig) -> str:
    count = len(evidence.pooled_from)
    earlier = "an earlier verdict" if count == 1 else f"{count} earlier verdicts"
    return f"Over {config.exposure_days:g} days, with what {earlier} on the same champion saw"


def _rise(one: ExposureFinding, config: GateConfig) -> str:
    found = one.found
    users = f"{found.num_worse} users see more of what they dislike, {found.num_better} less (p = {one.adjusted_p_value:.4f})"
    if one.has_risen:
        return f"{users}, a significant rise"
    if found.change.mean <= 0:
        return "no rise"
    if found.outcome == "not_worse":
        return f"{users}, not a significant rise, and at most {allowed(found)}"
    return f"{users}, which may be chance"


def _mix(one: ExposureFinding) -> str:
    """Whether more of what users like makes up for the rise."""
    if one.mix is None:
        return "The evidence does not say how many liked items were listed, so nothing makes up for it."
    mine, theirs = one.mix.ratios
    likes, dislikes = one.mix.likes, one.mix.dislikes
    numbers = (
        f"Likes per dislike among the listed items that users met: {mine:.2f} ({likes[0]} to {dislikes[0]}) against "
        f"{theirs:.2f} ({likes[1]} to {dislikes[1]}), {_interval(one.mix)}"
    )
    if not one.mix.has_risen:
        return f"{numbers}, not significantly better, so nothing makes up for it."
    if one.auc_has_fallen:
        return f"{numbers}, significantly better, but AUC has fallen significantly, so nothing makes up for it."
    return (
        f"{numbers}, significantly better, and AUC has not fallen significantly: the better mix makes up for the rise."
    )


def _interval(mix: Mix) -> str:
    return f"{percent(mix.change.mean)} (interval {percent(mix.change.low)} to {percent(mix.change.high)})"


def broken(found: MetricComparison, name: str, config: GateConfig) -> str:
    """Why a guard rail refuses."""
    way = "a fall" if found.metric.higher_is_better else "a rise"
    sure = "" if math.isnan(found.change.low) else f", and significantly {way}"
    return f"{compared(found, name, config)}; more than {allowed(found)}{sure}."


def hurt(one: SliceComparison, config: GateConfig) -> str:
    """Why a slice refuses."""
    return (
        f"Users of the slice {one.dimension} = {one.name} are significantly worse off: NDCG@10 {one.challenger:.4f} against "
        f"{one.comparator:.4f} on {one.num_users} users, worse than the allowed {signed(config.slice_margin)} "
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
        f"{also} it. The verdict compares with the champion only.",
    )
