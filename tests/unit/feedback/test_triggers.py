"""Each trigger by itself: just below, at and above its threshold, switched off, and with too little to judge."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from recsys.config.triggers import TriggerConfig
from recsys.errors import InputError
from recsys.feedback.adjustments import ItemFeatures
from recsys.feedback.lifts import Basis, Comparison, ItemCount, compare
from recsys.feedback.triggers import (
    BACKLOG,
    DRIFT,
    FEATURE,
    PREDICTION_ERROR,
    BacklogEvidence,
    DriftEvidence,
    TriggerReport,
    evaluate_triggers,
)

NOTHING = BacklogEvidence(0, 0, None, Comparison(Basis.OPINIONS, 0, 0, 0, ()))
QUIET = TriggerConfig(backlog_trigger=False, error_trigger=False, feature_trigger=False)


def report(name: str, evidence: BacklogEvidence, config: TriggerConfig | None = None) -> TriggerReport:
    (found,) = (one for one in evaluate_triggers(evidence, config or TriggerConfig()) if one.name == name)
    json.dumps(found.as_dict(), allow_nan=False)
    return found


def horror(dislikes: int, others: int, met: int = 50, met_others: int = 450, last_user: str = "u2") -> Comparison:
    """So many dislikes of horror and of other films, beside what was shown."""
    items = [ItemCount("h", dislikes, met, "u1", last_user), ItemCount("c", others, met_others, "u1", "u3")]
    return compare(items, {"h": ItemFeatures(("Horror",)), "c": ItemFeatures(("Comedy",))}, Basis.EXPOSURES)


def test_one_dislike_is_no_dislikes() -> None:
    assert report(BACKLOG, replace(NOTHING, num_examples=1)).reason == "1 new dislike, threshold 20."
    assert report(BACKLOG, replace(NOTHING, num_examples=2166)).reason == "2,166 new dislikes, threshold 20."


@pytest.mark.parametrize(("backlog", "fires"), [(0, False), (19, False), (20, True), (21, True)])
def test_backlog_fires_from_its_threshold_on(backlog: int, fires: bool) -> None:
    found = report(BACKLOG, replace(NOTHING, num_examples=backlog))
    assert found.fired is fires
    assert found.reason == f"{backlog} new dislikes, threshold 20."
    assert (found.numbers["backlog"], found.numbers["threshold"]) == (backlog, 20)


@pytest.mark.parametrize(
    ("tracked", "error", "fires", "words"),
    [
        (10, 0.61, True, "The mean prediction error of 10 new dislikes is 0.61, above the threshold of 0.60."),
        (10, 0.6, False, "is 0.60, not above the threshold of 0.60."),
        (9, 0.99, False, "9 of 12 new dislikes have a predicted score, 10 are needed"),
        (0, None, False, "0 of 12 new dislikes have a predicted score, 10 are needed"),
    ],
)
def test_prediction_error_needs_enough_and_must_exceed_its_threshold(
    tracked: int, error: float | None, fires: bool, words: str
) -> None:
    found = report(PREDICTION_ERROR, replace(NOTHING, num_examples=12, num_tracked=tracked, mean_error=error))
    assert found.fired is fires
    assert words in found.reason
    assert found.numbers["mean_error"] == error


@pytest.mark.parametrize(
    ("comparison", "fires", "words"),
    [
        (horror(12, 0), True, "genre Horror has 100% of 12 new dislikes and 10% of 500 shown films (lift 10.00"),
        (horror(9, 1), False, "has 10 dislikes from more than one user, of 10 new ones"),  # too few
        (horror(12, 100), False, "No feature stands out; the strongest: genre"),  # as often as it is shown
        (horror(14, 86), False, "No feature stands out"),  # lift 1.4
        (horror(12, 48), False, "lift 2.00, p 0."),  # might be chance
        (
            horror(12, 0, last_user="u1"),
            False,
            "has 10 dislikes from more than one user, of 12 new ones",
        ),  # one user's taste
        (horror(12, 0, met=0), False, "has 10 dislikes from more than one user, of 0 new ones"),  # never shown
        (Comparison(Basis.OPINIONS, 0, 0, 0, ()), False, "compared with 0 opinions"),
    ],
)
def test_a_feature_fires_only_if_it_stands_out(comparison: Comparison, fires: bool, words: str) -> None:
    found = report(FEATURE, replace(NOTHING, comparison=comparison))
    assert words in found.reason
    assert found.fired is fires


def test_the_report_names_the_strongest_feature_and_counts_the_others() -> None:
    items = [ItemCount(f"i{n}", 10, 10, "u1", "u2") for n in range(8)] + [ItemCount("rest", 0, 10_000)]
    features = {f"i{n}": ItemFeatures((f"g{n}",)) for n in range(8)}
    found = report(FEATURE, replace(NOTHING, comparison=compare(items, features, Basis.OPINIONS)))
    assert "genre g0 has 12%" in found.reason
    assert "of 10080 opinions" in found.reason
    assert "7 more do." in found.reason
    assert found.numbers["num_standing_out"] == 8
    assert len(found.numbers["standing_out"]) == 5


@pytest.mark.parametrize("name", [BACKLOG, PREDICTION_ERROR, FEATURE])
def test_switched_off_a_trigger_says_what_it_saw_and_never_fires(name: str) -> None:
    evidence = BacklogEvidence(500, 500, 0.9, horror(200, 0))
    assert report(name, evidence).fired
    found = report(name, evidence, QUIET)
    assert not found.fired
    assert not found.enabled
    assert found.numbers["holds"] is True
    assert found.reason == f"Switched off. {report(name, evidence).reason}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", 0), ("error_threshold", -0.1), ("error_threshold", 1.1), ("error_threshold", float("nan")),
        ("error_min_count", 0), ("feature_lift", 1.0), ("feature_min_count", 0), ("feature_significance", 0.0),
        ("feature_significance", 1.0),
    ],
)  # fmt: skip
def test_a_threshold_that_makes_no_sense_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{field}.*got {value}"):
        TriggerConfig(**{field: value})


@pytest.mark.parametrize(
    ("drift", "fires", "words"),
    [
        (None, False, "No drift of the champion was measured yet."),
        (DriftEvidence("2013-06-14", False, ("as ever",)), False, "Drift measured at 2013-06-14: none."),
        (DriftEvidence("2013-06-14", True, ("genres: 0.6.",)), True, "Drift measured at 2013-06-14: genres: 0.6."),
        (
            DriftEvidence("2013-06-14", True, ("genres: 0.6.",), "another"),
            False,
            "Drift measured at 2013-06-14: run another has retrained since.",
        ),
    ],
)
def test_drift_asks_once_and_only_where_it_is_switched_on(drift: DriftEvidence | None, fires: bool, words: str) -> None:
    evidence = replace(NOTHING, drift=drift)
    found = report(DRIFT, evidence, TriggerConfig(retrain_on_drift=True))
    assert (found.fired, found.reason) == (fires, words)
    silent = report(DRIFT, evidence)
    assert not silent.fired
    assert silent.numbers["holds"] is fires
    assert silent.reason == f"Switched off. {words}"
