"""The rule of severity, and the shape of an analysis."""

from __future__ import annotations

import pytest

from recsys.feedback.lifts import FeatureLift
from recsys.feedback.patterns import Severity, classify_severity
from recsys.feedback.reasons import FeatureKind


def lift_of(lift: float | None, p_value: float | None, compared: int = 12, several: bool = True) -> FeatureLift:
    return FeatureLift(FeatureKind.GENRE, "War", compared, compared, 0.5, 9, 0.1, lift, p_value, several)


@pytest.mark.parametrize(
    ("lift", "p_value", "severity"),
    [
        (2.0, 0.01, Severity.HIGH),
        (9.0, 0.0, Severity.HIGH),
        (2.0, 0.011, Severity.MEDIUM),
        (1.99, 0.001, Severity.MEDIUM),
        (1.5, 0.05, Severity.MEDIUM),
        (1.49, 0.05, Severity.LOW),
        (1.25, 0.01, Severity.LOW),
        (9.0, 0.051, None),  # what may be chance is no pattern
        (1.25, 1.0, None),
        (1.24, 0.0, None),
        (0.5, 1.0, None),
        (None, None, None),
    ],
)
def test_severity_goes_by_lift_and_significance(
    lift: float | None, p_value: float | None, severity: Severity | None
) -> None:
    assert classify_severity(lift_of(lift, p_value), is_overall=True) == severity
    assert classify_severity(lift_of(lift, p_value, several=False), is_overall=False) == severity


def test_a_pattern_needs_enough_dislikes_and_over_all_users_more_than_one_user() -> None:
    assert classify_severity(lift_of(5.0, 0.0, compared=9), is_overall=True) is None
    assert classify_severity(lift_of(5.0, 0.0, several=False), is_overall=True) is None
    assert classify_severity(lift_of(5.0, 0.0, compared=3, several=False), is_overall=False) is Severity.HIGH
    assert classify_severity(lift_of(5.0, 0.0, compared=2, several=False), is_overall=False) is None
