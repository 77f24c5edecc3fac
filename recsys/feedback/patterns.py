"""What users dislike: reasons, recent trend, and the genres, cast and franchises that stand out against exposure.

Severity of a pattern, by how much more its films are disliked than met (see `feedback.lifts`):

| severity | lift | p-value, corrected |
|---|---|---|
| high | >= 2 | <= 0.01 |
| medium | >= 1.5 | <= 0.05 |
| low | >= 1.25 | <= 0.05 |

A feature below is no pattern: it is disliked about as often as it is met, or the difference may be chance. So is one that
nobody met, or, over all users, one that a single user dislikes. What is no pattern has no severity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from recsys.errors import InputError
from recsys.feedback.lifts import Comparison, FeatureLift, measure_lifts
from recsys.feedback.reasons import FeatureKind

# Days with feedback: an imported stream may have ended years ago, and one click must not push it out of sight.
RECENT_DAYS = 30  # the recent trend, against as many days before
OVERALL_DAYS = 90  # features over all users are of so many days; those of one user are of all time
MIN_USER_DISLIKES = 5  # from so many dislikes on a user's patterns are measured
MIN_COUNT = {True: 10, False: 3}  # dislikes of a feature that make a pattern: over all users, of one user
MAX_USERS = 5_000  # whose patterns one measurement takes, those with the most new dislikes
MAX_LISTED = 20  # features that an analysis lists, of each kind
NAMES = {FeatureKind.GENRE: "genres", FeatureKind.CAST: "cast", FeatureKind.FRANCHISE: "franchises"}


class Severity(StrEnum):
    """How much a pattern matters; see the module."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


RULES = ((Severity.HIGH, 2.0, 0.01), (Severity.MEDIUM, 1.5, 0.05), (Severity.LOW, 1.25, 0.05))


@dataclass(frozen=True)
class DislikeCount:
    """Dislikes of a time. `mean_score`: what the model had predicted for those with a predicted score; None without any."""

    num_dislikes: int
    mean_score: float | None


@dataclass(frozen=True)
class DislikeSummary:
    """Dislikes that hold, of one user or of all.

    Attributes:
        reasons: reason -> dislikes, most first.
        recent: of the last `RECENT_DAYS`.
        before: of as many days before.
    """

    reasons: Mapping[str, int]
    recent: DislikeCount
    before: DislikeCount


@dataclass(frozen=True)
class Pattern:
    """A row of `dislike_patterns`. `user_id` None: over all users; `pattern_type`: genre, cast or franchise.

    `identified_at` is by the wall clock; the measurement's cut-off belongs to the row, not to the pattern.
    """

    user_id: str | None
    pattern_type: str
    pattern_value: str
    frequency: int
    lift: float | None
    severity: Severity
    identified_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "user_id": self.user_id, "pattern_type": self.pattern_type, "pattern_value": self.pattern_value,
            "frequency": self.frequency, "lift": self.lift, "severity": str(self.severity),
            "identified_at": self.identified_at.isoformat(),
        }  # fmt: skip


class PatternStore(Protocol):
    """What the functions here need from a store."""

    def dislike_summary(self, user_id: str | None, as_of: datetime, recent_days: int) -> DislikeSummary:
        """Reasons and recent trend, of one user or of all."""
        ...

    def overall_comparison(self, as_of: datetime, days: int) -> Comparison:
        """Dislikes of the last days against what users met then."""
        ...

    def user_comparisons(self, user_ids: Sequence[str], as_of: datetime) -> dict[str, Comparison]:
        """Each user's dislikes against what they met."""
        ...

    def users_with_new_dislikes(self, as_of: datetime, min_dislikes: int) -> list[str]:
        """Users with a dislike since the last measurement and so many in all, most new ones first."""
        ...

    def replace_patterns(self, as_of: datetime, patterns: Sequence[Pattern]) -> int:
        """Makes these the patterns of that cut-off."""
        ...


def get_dislike_pattern_analysis(store: PatternStore, user_id: str | None = None, *, as_of: datetime) -> dict[str, Any]:
    """What a user dislikes, or what all do.

    Args:
        store: where the feedback is.
        user_id: whose; None: over all users.
        as_of: what was recorded later does not exist.

    Returns:
        JSON-able: `reason_distribution`; `total_dislikes`; `recent_trend` with `total_dislikes` and `avg_predicted_score`
        of the last 30 days with feedback, the same of the 30 `before`, and the relative `change` (None without any before);
        `compared_with`; and `genres`, `cast`, `franchises`, most dislikes first, each with `name`, `dislikes`, `share`,
        `met`, `met_share`, `lift`, `p_value` and `severity` (None: no pattern). Dislikes as `already_watched` count in
        the totals, not in the features: they say nothing about taste.

    Raises:
        InputError: if the user id is empty.
    """
    if user_id == "":
        raise InputError("Expected a user_id, or None for all users, got an empty one.")
    summary = store.dislike_summary(user_id, as_of, RECENT_DAYS)
    if user_id is None:
        comparison = store.overall_comparison(as_of, OVERALL_DAYS)
    else:
        comparison = store.user_comparisons([user_id], as_of)[user_id]
    lifts = measure_lifts(comparison)
    listed = {
        name: [_listed(lift, user_id is None) for lift in lifts if lift.kind is kind][:MAX_LISTED]
        for kind, name in NAMES.items()
    }
    return {
        "user_id": user_id,
        "as_of": as_of.isoformat(),
        "reason_distribution": dict(summary.reasons),
        "recent_trend": _trend(summary),
        "total_dislikes": sum(summary.reasons.values()),
        "compared_with": str(comparison.basis),
        **listed,
    }


def _trend(summary: DislikeSummary) -> dict[str, Any]:
    recent, before = summary.recent, summary.before
    return {
        "days": RECENT_DAYS,
        "total_dislikes": recent.num_dislikes,
        "avg_predicted_score": recent.mean_score,
        "before": {"total_dislikes": before.num_dislikes, "avg_predicted_score": before.mean_score},
        "change": recent.num_dislikes / before.num_dislikes - 1 if before.num_dislikes else None,
    }


def _listed(lift: FeatureLift, is_overall: bool) -> dict[str, Any]:
    severity = classify_severity(lift, is_overall=is_overall)
    return {
        "name": lift.name, "dislikes": lift.dislikes, "share": lift.share, "met": lift.met, "met_share": lift.met_share,
        "lift": lift.lift, "p_value": lift.p_value, "severity": None if severity is None else str(severity),
    }  # fmt: skip


def classify_severity(lift: FeatureLift, *, is_overall: bool) -> Severity | None:
    """How much a feature matters, over all users or for one; None: it is no pattern. See the module for the rule."""
    if lift.lift is None or lift.p_value is None or lift.compared < MIN_COUNT[is_overall]:
        return None
    if is_overall and not lift.has_several_users:
        return None
    fitting = (severity for severity, least, most in RULES if lift.lift >= least and lift.p_value <= most)
    return next(fitting, None)


def find_patterns(user_id: str | None, comparison: Comparison, identified_at: datetime) -> list[Pattern]:
    """The patterns of one user, or over all users (None)."""
    is_overall = user_id is None
    judged = [
        (lift, classify_severity(lift, is_overall=is_overall))
        for lift in measure_lifts(comparison, MIN_COUNT[is_overall])
    ]
    return [
        Pattern(user_id, str(lift.kind), lift.name, lift.dislikes, lift.lift, severity, identified_at)
        for lift, severity in judged
        if severity is not None
    ]


@dataclass(frozen=True)
class Measurement:
    """What `identify_patterns` did. `num_users_left_out`: beyond `MAX_USERS`; they wait for their next dislike."""

    overall: tuple[Pattern, ...]
    num_user_patterns: int
    num_users: int
    num_users_left_out: int


def identify_patterns(store: PatternStore, as_of: datetime, now: datetime) -> Measurement:
    """Finds the patterns as of a cut-off and writes them to `dislike_patterns`. Run again, it replaces its own rows.

    Args:
        store: where the feedback is.
        as_of: what was recorded later does not exist.
        now: wall clock that is written to the rows.

    The work is bounded: features over all users are of the last `OVERALL_DAYS`; users are those with a new dislike since
    the last measurement and at least `MIN_USER_DISLIKES`, at most `MAX_USERS` of them.
    """
    overall = find_patterns(None, store.overall_comparison(as_of, OVERALL_DAYS), now)
    users = store.users_with_new_dislikes(as_of, MIN_USER_DISLIKES)
    measured = users[:MAX_USERS]
    own = [
        pattern
        for user_id, comparison in store.user_comparisons(measured, as_of).items()
        for pattern in find_patterns(user_id, comparison, now)
    ]
    store.replace_patterns(as_of, [*overall, *own])
    return Measurement(tuple(overall), len(own), len(measured), len(users) - len(measured))
