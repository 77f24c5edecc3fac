"""What is worth an alert, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recsys.feedback.improvement import VersionFeedback
from recsys.feedback.patterns import Measurement, Pattern, Severity
from recsys.pipeline.monitoring.feedback import alerts_of

NOW = datetime(2013, 6, 14, tzinfo=UTC)
QUIET = Measurement((), 0, 10, 0)


def version(name: str, shown: int, dislikes: int) -> VersionFeedback:
    return VersionFeedback(name, shown // 10, shown, dislikes, None, NOW, NOW)


def pattern(severity: Severity) -> Pattern:
    return Pattern(None, "genre", "Horror", 40, 2.5, severity, NOW)


@pytest.mark.parametrize(
    ("before", "newest", "alerts"),
    [
        ((10_000, 100), (10_000, 160), True),
        ((10_000, 100), (10_000, 110), False),  # might be chance
        ((10_000, 100), (10_000, 50), False),
        ((10_000, 100), (50, 2), False),  # too little was shown
        ((10_000, 0), (10_000, 0), False),
        ((0, 0), (10_000, 500), False),  # nothing to compare with
        ((100, 1), (100, 130), True),  # several users may dislike one list
    ],
)
def test_a_version_that_is_disliked_more_than_the_one_before_alerts(
    before: tuple[int, int], newest: tuple[int, int], alerts: bool
) -> None:
    found = alerts_of(QUIET, [version("1", 10, 10), version("2", *before), version("3", *newest)], [])
    if before[0] == 0:
        found = alerts_of(QUIET, [version("2", *before), version("3", *newest)], [])
    assert [words.split(" is disliked")[0] for words in found] == (["Version 3"] if alerts else [])


def test_only_patterns_of_high_severity_alert() -> None:
    found = alerts_of(Measurement(tuple(map(pattern, Severity)), 0, 0, 0), [], [])
    assert len(found) == 1
    assert found[0].startswith("genre Horror: 40 dislikes, 2.5 times its share of what users met.")


def test_what_was_left_out_alerts() -> None:
    found = alerts_of(Measurement((), 5, 5_000, 12), [], ["9"])
    assert found == [
        "5000 users' patterns were measured, 12 more users with new dislikes wait for their next one.",
        "Version 9 was served, but is not in the registry: its numbers were not logged.",
    ]
