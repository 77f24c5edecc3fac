"""The promotion gate: decides, never acts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.evaluation.bootstrap import Interval, paired_difference
from recsys.evaluation.evidence import Evidence

Outcome = Literal["promote", "reject", "insufficient_evidence"]
BASELINES = ("decayed_popularity", "popularity")


@dataclass(frozen=True)
class GateConfig:
    """Thresholds of the gate. Those called relative are shares of the comparator's mean, those called absolute are not.

    Attributes:
        ndcg_margin_relative: the challenger may be worse by this share of NDCG@10 and still count as not worse.
        exposure_margin_absolute: dislike exposure@10 may rise by this much.
        min_users: users with a liked holdout item from which on the holdout counts as evidence.
        sanity_ratio: on a thinner holdout a refresh needs this share of the comparator's NDCG@10.
        confidence: of the intervals.
        num_resamples: bootstrap draws.
    """

    ndcg_margin_relative: float = 0.05
    exposure_margin_absolute: float = 0.005
    min_users: int = 200
    sanity_ratio: float = 0.7
    confidence: float = 0.95
    num_resamples: int = 2_000


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, why in plain words, and the numbers behind it (JSON-able)."""

    verdict: Outcome
    reasons: tuple[str, ...]
    numbers: dict[str, Any] = field(default_factory=dict)


def comparator(evidence: Evidence) -> str:
    """The system to beat: the champion, or the better baseline where there is none."""
    if evidence.kind != "first":
        return "champion"
    return max(BASELINES, key=lambda name: float(evidence.users(name)["ndcg_at_10"].mean()))


def decide(evidence: Evidence, config: GateConfig) -> Verdict:
    """Promote, reject, or insufficient evidence.

    With at least `min_users` users: promote if the interval of the relative NDCG@10 difference does not reach below
    -`ndcg_margin_relative`. With fewer: a refresh is promoted within `sanity_ratio`, since a stale model costs more than
    noise; anything else is insufficient evidence. Either way a dislike exposure@10 that rose by more than its margin, with
    an interval above 0, rejects.

    Raises:
        ValueError: if challenger and comparator were not judged on the same users.
    """
    against = comparator(evidence)
    challenger, other = evidence.users("challenger"), evidence.users(against)
    if not challenger.index.equals(other.index):
        raise ValueError(
            f"Expected challenger and {against} judged on the same users, got {len(challenger)} and {len(other)}."
        )
    name = f"the champion's (version {evidence.champion_version})" if against == "champion" else f"{against}'s"
    num_users = int(challenger["ndcg_at_10"].notna().sum())
    numbers: dict[str, Any] = {"num_users": num_users, "comparator": against, "kind": evidence.kind}
    harm, exposure_reason = _exposure(challenger, other, name, evidence.seed, config, numbers)
    if num_users == 0:
        outcome: Outcome = "promote" if evidence.kind == "refresh" and not harm else "insufficient_evidence"
        reason = "No user with a liked item in the holdout: nothing to compare accuracy on."
        if outcome == "promote":
            reason += " A refresh of the champion's recipe, so the newer data are taken."
        return Verdict("reject" if harm else outcome, (reason, exposure_reason), numbers)
    accuracy, accuracy_reason = _accuracy(challenger, other, name, num_users, evidence, config, numbers)
    return Verdict("reject" if harm else accuracy, (accuracy_reason, exposure_reason), numbers)


def _accuracy(
    challenger: pd.DataFrame,
    other: pd.DataFrame,
    name: str,
    num_users: int,
    evidence: Evidence,
    config: GateConfig,
    numbers: dict[str, Any],
) -> tuple[Outcome, str]:
    judged = challenger["ndcg_at_10"].notna().to_numpy()
    mine, theirs = (f["ndcg_at_10"].to_numpy(np.float64)[judged] for f in (challenger, other))
    change = paired_difference(
        mine, theirs, relative=True, seed=evidence.seed, num_resamples=config.num_resamples, confidence=config.confidence
    )
    numbers |= {"challenger_ndcg_at_10": float(mine.mean()), "comparator_ndcg_at_10": float(theirs.mean())}
    numbers["ndcg_at_10_relative_change"] = _as_numbers(change)
    compared = (
        f"NDCG@10 {mine.mean():.4f} against {name} {theirs.mean():.4f} on {num_users} users: {change.mean:+.1%} "
        f"({config.confidence:.0%} interval {change.low:+.1%} to {change.high:+.1%})"
    )
    margin = f"the allowed {-config.ndcg_margin_relative:.1%}"
    if num_users >= config.min_users:
        if change.low >= -config.ndcg_margin_relative:
            return "promote", f"{compared}; surely not worse than {margin}."
        return "reject", f"{compared}; it may be worse than {margin}."
    thin = f"{compared}; fewer than the {config.min_users} users that make evidence"
    if evidence.kind != "refresh":
        return "insufficient_evidence", f"{thin}, and this is no refresh of the champion's recipe."
    if mine.mean() >= config.sanity_ratio * theirs.mean():
        return "promote", f"{thin}, but a refresh of the same recipe within bounds (at least {config.sanity_ratio:.0%})."
    return "reject", f"{thin}, and below the sanity bound of {config.sanity_ratio:.0%}."


def _exposure(
    challenger: pd.DataFrame,
    other: pd.DataFrame,
    name: str,
    seed: int,
    config: GateConfig,
    numbers: dict[str, Any],
) -> tuple[bool, str]:
    """Whether dislike exposure has surely risen by more than its margin, and the reason in words."""
    judged = challenger["dislike_exposure_at_10"].notna().to_numpy()
    mine, theirs = (f["dislike_exposure_at_10"].to_numpy(np.float64)[judged] for f in (challenger, other))
    if not len(mine):
        return False, "No user disliked anything in the holdout: nothing to compare dislike exposure on."
    change = paired_difference(
        mine, theirs, seed=seed, num_resamples=config.num_resamples, confidence=config.confidence
    )
    numbers |= {"challenger_dislike_exposure_at_10": float(mine.mean()), "num_users_with_dislikes": len(mine)}
    numbers["comparator_dislike_exposure_at_10"] = float(theirs.mean())
    numbers["dislike_exposure_at_10_change"] = _as_numbers(change)
    harm = change.mean > config.exposure_margin_absolute and change.low > 0
    return harm, (
        f"Dislike exposure@10 {mine.mean():.4f} against {name} {theirs.mean():.4f} on {len(mine)} users with dislikes: "
        f"{change.mean:+.4f} ({config.confidence:.0%} interval {change.low:+.4f} to {change.high:+.4f}); "
        + ("more than" if harm else "not surely more than")
        + f" the allowed +{config.exposure_margin_absolute:.4f}."
    )


def _as_numbers(interval: Interval) -> dict[str, float | None]:
    """JSON-able; what is not finite becomes None."""
    values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
