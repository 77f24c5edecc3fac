"""The promotion gate: decides, never acts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.evaluation.bootstrap import Interval, paired_difference
from recsys.evaluation.evidence import Evidence

Outcome = Literal["promote", "reject", "insufficient_evidence"]
BASELINES = ("decayed_popularity", "popularity")
TOLERANCE = 1e-12  # rounding of sums: a difference of exactly the margin is within it


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

    def __post_init__(self) -> None:
        shares = (self.ndcg_margin_relative, self.exposure_margin_absolute, self.sanity_ratio)
        if not all(0 <= share <= 1 for share in shares) or not 0 < self.confidence < 1:
            raise ValueError(f"Expected margins and ratio in [0, 1] and a confidence in (0, 1), got {self}.")
        if self.min_users < 1 or self.num_resamples < 1:
            raise ValueError(f"Expected at least one user and one resample, got {self}.")

    @property
    def min_differing_users(self) -> int:
        """So many users must differ before an interval above 0 is believed.

        A bootstrap of one user has an interval of no width. An exact sign test needs 2 * 0.5**n <= 1 - confidence for
        n users who all differ the same way: 6 users at 95 %.
        """
        return math.ceil(math.log2(2.0 / (1.0 - self.confidence)) - TOLERANCE)


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
    means = _baseline_means(evidence)
    if not means and len(evidence.per_user):
        raise ValueError(f"Expected one of {BASELINES} to stand in for a champion, got {evidence.systems}.")
    return max(means, key=means.__getitem__, default=BASELINES[0])


def _baseline_means(evidence: Evidence) -> dict[str, float]:
    """NDCG@10 of the baselines that were judged; 0 where no user has a liked item."""
    present = [name for name in BASELINES if name in evidence.systems]
    return {name: float(np.nan_to_num(evidence.users(name)["ndcg_at_10"].mean())) for name in present}


def decide(evidence: Evidence, config: GateConfig) -> Verdict:
    """Promote, reject, or insufficient evidence.

    With at least `min_users` users: promote if the interval of the relative NDCG@10 difference does not reach below
    -`ndcg_margin_relative`. With fewer: a refresh is promoted within `sanity_ratio`, since a stale model costs more than
    noise; anything else is insufficient evidence. Either way a dislike exposure@10 that rose by more than its margin, with
    an interval above 0 and enough users who differ (`GateConfig.min_differing_users`), rejects.

    The same evidence and configuration give the same verdict. A challenger whose NDCG@10 is higher for every user never
    turns "promote" into something else.

    Raises:
        ValueError: if challenger and comparator were not judged on the same users and judgements.
    """
    against = comparator(evidence)
    challenger, other = evidence.pair("challenger", against)
    name = f"the champion's (version {evidence.champion_version})" if against == "champion" else f"{_words(against)}'s"
    num_users = int(challenger["ndcg_at_10"].notna().sum())
    numbers: dict[str, Any] = {"num_users": num_users, "comparator": against, "kind": evidence.kind}
    numbers["gate"] = asdict(config)
    harm, exposure_reason = _exposure(challenger, other, name, evidence.seed, config, numbers)
    if num_users == 0:
        outcome: Outcome = "promote" if evidence.kind == "refresh" and not harm else "insufficient_evidence"
        reason = "No user with a liked item in the holdout: nothing to compare accuracy on."
        if outcome == "promote":
            reason += " A refresh of the champion's recipe, so the newer data are taken."
        return Verdict("reject" if harm else outcome, (reason, exposure_reason), numbers)
    accuracy, accuracy_reason = _accuracy(challenger, other, name, num_users, evidence, config, numbers)
    reasons = (accuracy_reason, exposure_reason, *_weak_champion(evidence, numbers))
    return Verdict("reject" if harm else accuracy, reasons, numbers)


def _weak_champion(evidence: Evidence, numbers: dict[str, Any]) -> tuple[str, ...]:
    """A sentence for the reader if the champion itself is worse than a baseline; it changes no verdict."""
    means = _baseline_means(evidence)
    if not means or evidence.kind == "first":
        return ()
    best = max(means, key=means.__getitem__)
    numbers |= {"best_baseline": best, "best_baseline_ndcg_at_10": means[best]}
    if numbers["comparator_ndcg_at_10"] >= means[best]:
        return ()
    also = "above" if numbers["challenger_ndcg_at_10"] > means[best] else "not above"
    return (
        f"Note: {_words(best)} alone reaches {means[best]:.4f} on these users, more than the champion; the challenger is "
        f"{also} it. Compared was with the champion, as always.",
    )


def _words(system: str) -> str:
    return system.replace("_", " ")


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
        mine,
        theirs,
        relative=True,
        seed=evidence.seed,
        num_resamples=config.num_resamples,
        confidence=config.confidence,
    )
    numbers |= {"challenger_ndcg_at_10": float(mine.mean()), "comparator_ndcg_at_10": float(theirs.mean())}
    numbers["ndcg_at_10_relative_change"] = _as_numbers(change)
    compared = (
        f"NDCG@10 {mine.mean():.4f} against {name} {theirs.mean():.4f} on {num_users} users: {_percent(change.mean)} "
        f"({config.confidence:.0%} interval {_percent(change.low)} to {_percent(change.high)})"
    )
    margin = f"the allowed {-config.ndcg_margin_relative:.1%}"
    if num_users >= config.min_users:
        if change.low >= -config.ndcg_margin_relative - TOLERANCE:
            return "promote", f"{compared}; surely not worse than {margin}."
        sure = "surely" if change.high < -config.ndcg_margin_relative else "may be"
        return "reject", f"{compared}; {sure} worse than {margin}."
    thin = f"{compared}; fewer than the {config.min_users} users that make evidence"
    if evidence.kind != "refresh":
        return "insufficient_evidence", f"{thin}, and this is no refresh of the champion's recipe."
    if mine.mean() >= config.sanity_ratio * theirs.mean() - TOLERANCE:
        return (
            "promote",
            f"{thin}, but a refresh of the same recipe within bounds (at least {config.sanity_ratio:.0%}).",
        )
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
    numbers["num_users_with_dislikes"] = len(mine)
    if not len(mine):
        return False, "No user disliked anything in the holdout: nothing to compare dislike exposure on."
    change = paired_difference(
        mine, theirs, seed=seed, num_resamples=config.num_resamples, confidence=config.confidence
    )
    numbers["challenger_dislike_exposure_at_10"] = float(mine.mean())
    numbers["comparator_dislike_exposure_at_10"] = float(theirs.mean())
    numbers["dislike_exposure_at_10_change"] = _as_numbers(change)
    harm, finding = _exposure_finding(change, int((mine != theirs).sum()), config)
    thin = f" Few users: below {config.min_users}, so read it with care." if len(mine) < config.min_users else ""
    return harm, (
        f"Dislike exposure@10 {mine.mean():.4f} against {name} {theirs.mean():.4f} on {len(mine)} users with dislikes: "
        f"{change.mean:+.4f} ({config.confidence:.0%} interval {change.low:+.4f} to {change.high:+.4f}); "
        f"{finding}.{thin}"
    )


def _exposure_finding(change: Interval, num_differing: int, config: GateConfig) -> tuple[bool, str]:
    """Whether the rise is harm, and what to call it."""
    allowed = f"the allowed +{config.exposure_margin_absolute:.4f}"
    if change.mean <= config.exposure_margin_absolute + TOLERANCE:
        return False, f"not more than {allowed}"
    if change.low <= 0:
        return False, f"more than {allowed}, but it may be chance, since the interval holds 0"
    if num_differing < config.min_differing_users:
        return False, (
            f"more than {allowed}, but it may be chance, since only {num_differing} users differ (at least "
            f"{config.min_differing_users} must)"
        )
    return True, f"more than {allowed}, and surely a rise"


def _percent(share: float) -> str:
    return f"{share:+.1%}" if math.isfinite(share) else "+infinity"


def _as_numbers(interval: Interval) -> dict[str, float | None]:
    """JSON-able; what is not finite becomes None."""
    values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
