"""What users say of what they were given: patterns among dislikes, numbers of each version, and what needs a look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recsys.errors import NotFoundError
from recsys.feedback.improvement import PERIOD_WEEKS, WEEK, VersionFeedback
from recsys.feedback.patterns import Measurement, Pattern, Severity, identify_patterns
from recsys.pipeline.context import Context

RATE_SIGNIFICANCE = 0.01  # of a version's dislike rate being above that of the version before
MAX_ALERTS = 20


def measure(context: Context, as_of: datetime, now: datetime) -> dict[str, Any]:
    """Writes patterns and numbers of versions as of a cut-off; returns a summary."""
    found = identify_patterns(context.store.insights, as_of, now)
    versions = context.store.insights.version_feedback(as_of, PERIOD_WEEKS * WEEK)
    missing = [version.model_version for version in versions if not _log(context, version, as_of)]
    if missing:  # one that knew an erased user may have been removed on request: see `recsys.pipeline.erasure.purge`
        purged = {version for erasure in context.store.erasures.list_erasures() for version in erasure.model_versions}
        missing = [version for version in missing if version not in purged]
    alerts = alerts_of(found, versions, missing)
    return {
        "as_of": as_of.isoformat(),
        "alerts": alerts[:MAX_ALERTS],
        "num_alerts": len(alerts),
        "num_patterns": len(found.overall),
        "num_user_patterns": found.num_user_patterns,
        "num_users_measured": found.num_users,
        "versions": {version.model_version: version.dislike_rate for version in versions},
    }


def alerts_of(found: Measurement, versions: Sequence[VersionFeedback], missing: Sequence[str]) -> list[str]:
    """What needs a look, in plain words.

    Args:
        found: the patterns.
        versions: in the order in which they began to serve.
        missing: versions that were served, but are not in the registry.
    """
    unlogged = [
        f"Version {name} was served, but is not in the registry: its numbers were not logged." for name in missing
    ]
    return [*_pattern_alerts(found.overall), *_rate_alerts(versions), *_bound_alerts(found), *unlogged]


def _log(context: Context, version: VersionFeedback, as_of: datetime) -> bool:
    """Adds a point to the version's run; False if the registry has no such version any more."""
    numbers = {
        "served_dislike_rate": version.dislike_rate,
        "served_items": float(version.num_shown),
        "served_dislikes": float(version.num_dislikes),
        "served_dislike_error": version.mean_error,
    }
    known = {name: value for name, value in numbers.items() if value is not None}
    try:
        context.registry.log_measurement(version.model_version, known, as_of)
    except NotFoundError:
        return False
    return True


def _pattern_alerts(patterns: Sequence[Pattern]) -> list[str]:
    return [
        f"{one.pattern_type} {one.pattern_value}: {one.frequency} dislikes, {one.lift or 0:.1f} times its share of what "
        "users met. Check whether the model recommends too much of it."
        for one in patterns
        if one.severity is Severity.HIGH
    ]


def _rate_alerts(versions: Sequence[VersionFeedback]) -> list[str]:
    """Of the version that began to serve last, where it is disliked more often than the one before."""
    from scipy.stats import fisher_exact

    shown = [version for version in versions if version.num_shown]
    if len(shown) < 2:
        return []
    before, newest = shown[-2:]
    table = [[v.num_dislikes, max(0, v.num_shown - v.num_dislikes)] for v in (newest, before)]
    if fisher_exact(table, alternative="greater").pvalue > RATE_SIGNIFICANCE:
        return []
    return [
        f"Version {newest.model_version} is disliked more often than version {before.model_version} before it: "
        f"{newest.dislike_rate or 0:.2%} of {newest.num_shown} shown films against {before.dislike_rate or 0:.2%} of "
        f"{before.num_shown}. Compare their lists, and roll back if it stays so."
    ]


def _bound_alerts(found: Measurement) -> list[str]:
    if not found.num_users_left_out:
        return []
    return [
        f"{found.num_users} users' patterns were measured, {found.num_users_left_out} more users with new dislikes wait "
        "for their next one."
    ]
