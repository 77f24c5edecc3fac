"""A rise of dislike exposure: significant or chance, made up for or not, on one day or on a week."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.gate.decide import GateConfig, Verdict, decide
from recsys.evaluation.gate.dislike_exposure import sign_test
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.opinions import opinions_of, pooled

CONFIG = GateConfig(num_resamples=400)
BASE = np.tile([0.0, 0.1, 0.2, 0.5], 100)
AS_OF = datetime.fromisoformat("2013-06-08T03:00:00+00:00")  # of `make_evidence`
Listed = Mapping[tuple[bool, bool], int]  # (in the challenger's list, in the champion's) -> users with one such item


def opinions(batch_id: str, liked: Listed, disliked: Listed, recorded_at: datetime = AS_OF) -> pd.DataFrame:
    """A user of their own for each opinion, named by its number; disliked ones first."""
    rows = [
        (label, *where)
        for label, listed in ((0, disliked), (1, liked))
        for where, count in listed.items()
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["label", "challenger", "champion"])
    users = [f"u{n:05d}" if batch_id == "run-1" else f"{batch_id}-{n}" for n in range(len(table))]
    return table.assign(batch_id=batch_id, user_id=users, item_id="i", recorded_at=pd.Timestamp(recorded_at))


@pytest.fixture
def make(make_evidence):
    def make(own: pd.DataFrame, *earlier: pd.DataFrame, **more) -> Evidence:
        disliked = own[own["label"] == 0]
        exposure = {system: disliked[system].to_numpy() / 10 for system in ("challenger", "champion")}
        evidence = make_evidence("refresh", exposure, challenger=BASE, champion=BASE)
        sources = [{"batch_id": one["batch_id"].iloc[0], "num_opinions": len(one)} for one in earlier]
        table = pooled(own, earlier, AS_OF - timedelta(days=30))
        return replace(evidence, opinions=table, pooled_from=sources, **more)

    return make


BOTH, MINE, THEIRS, NEITHER = (True, True), (True, False), (False, True), (False, False)
RISE = {BOTH: 61, MINE: 56, THEIRS: 22, NEITHER: 200}  # the demo's version 6


def findings(verdict: Verdict) -> dict[str, dict]:
    found = json.loads(json.dumps(verdict.numbers, allow_nan=False))["exposure"]["findings"]
    return {one["window"]: one for one in found}


def test_a_rise_is_made_up_for_by_a_significantly_better_mix(make) -> None:
    better = {BOTH: 200, MINE: 300, THEIRS: 20}
    verdict = decide(make(opinions("run-1", better, RISE)), CONFIG)
    assert verdict.verdict == "promote"
    assert (
        "a significant rise. Likes per dislike among the listed items that users met: 4.26 (500 to 117)"
        in verdict.reasons[1]
    )
    assert "the better mix makes up for the rise" in verdict.reasons[1]
    mix = findings(verdict)["holdout"]["likes_per_dislike"]
    assert (mix["likes"], mix["dislikes"], mix["has_risen"]) == ([500, 220], [117, 83], True)
    assert (
        verdict.numbers["metrics"]["dislike_exposure_at_10"]["outcome"] == "worse"
    )  # it rose, whatever makes up for it


@pytest.mark.parametrize("liked", [{BOTH: 200}, {BOTH: 200, MINE: 82}, {BOTH: 200, MINE: 120, THEIRS: 30}])
def test_more_of_everything_makes_up_for_nothing(make, liked: Listed) -> None:
    """Likes and dislikes rose alike, or the likes hardly more: the mix may be as it was."""
    verdict = decide(make(opinions("run-1", liked, RISE)), CONFIG)
    assert verdict.verdict == "reject"
    assert "not significantly better, so nothing makes up for it" in verdict.reasons[1]


@pytest.mark.parametrize(("fall", "verdict"), [(0.0, "promote"), (0.015, "reject")])
def test_a_better_mix_is_not_believed_where_auc_has_fallen_significantly(make, fall: float, verdict: str) -> None:
    """A fall within the margin of AUC, so that AUC alone does not refuse."""
    evidence = make(opinions("run-1", {BOTH: 200, MINE: 300, THEIRS: 20}, RISE))
    is_mine = (evidence.per_user["system"] == "challenger").to_numpy()
    auc = np.where(is_mine, 0.7 - fall, 0.7)
    found = decide(replace(evidence, per_user=evidence.per_user.assign(auc=auc)), CONFIG)
    assert found.verdict == verdict
    assert ("AUC has fallen significantly" in found.reasons[1]) == (verdict == "reject")


def test_evidence_that_does_not_say_what_was_listed_makes_up_for_nothing(make) -> None:
    evidence = make(opinions("run-1", {MINE: 300}, RISE))
    verdict = decide(replace(evidence, opinions=pd.DataFrame()), CONFIG)
    assert verdict.verdict == "reject"
    assert findings(verdict)["holdout"]["likes_per_dislike"] is None


def test_a_rise_that_one_day_cannot_show_is_shown_by_a_week(make) -> None:
    day = {BOTH: 40, MINE: 5, THEIRS: 1, NEITHER: 100}
    own = opinions("run-1", {BOTH: 50}, day)
    alone = decide(make(own), CONFIG)
    assert (alone.verdict, set(findings(alone))) == ("promote", {"holdout"})
    days = [opinions(f"run-{n}", {BOTH: 50}, day, AS_OF - timedelta(days=n)) for n in range(2, 6)]
    week = decide(make(own, *days), CONFIG)
    assert week.verdict == "reject"
    assert week.reasons[2].startswith(
        "Over 7 days, with what 4 earlier verdicts on the same champion saw: Dislike exposure@10"
    )
    found = findings(week)["pooled"]
    assert (found["num_worse"], found["num_better"], found["num_users"]) == (25, 5, 730)
    assert found["challenger"] == pytest.approx(225 / 7300)
    assert found["p_value"] == pytest.approx(sign_test(25, 5))
    assert found["adjusted_p_value"] == pytest.approx(sign_test(25, 5) / 0.9)
    assert week.numbers["exposure"]["pooled_from"][0] == {"batch_id": "run-2", "num_opinions": 196}
    long_ago = [one.assign(recorded_at=one["recorded_at"] - timedelta(days=8)) for one in days]
    assert decide(make(own, *long_ago), CONFIG).verdict == "promote"


def test_a_bad_day_is_not_hidden_by_a_good_week(make) -> None:
    good = opinions("run-2", {BOTH: 50}, {BOTH: 500, THEIRS: 40})
    verdict = decide(make(opinions("run-1", {BOTH: 50}, {BOTH: 30, MINE: 30}), good), CONFIG)
    assert verdict.verdict == "reject"
    assert [one["refuses"] for one in findings(verdict).values()] == [True, False]


def test_missing_evidence_is_said(make) -> None:
    verdict = decide(make(opinions("run-1", {}, {BOTH: 3}), not_pooled=["The evidence of run r is gone."]), CONFIG)
    assert "The evidence of run r is gone." in verdict.reasons
    assert verdict.numbers["exposure"]["not_pooled"] == ["The evidence of run r is gone."]


def test_a_week_is_judged_again_from_its_own_files_alone(make, tmp_path: Path) -> None:
    own, other = opinions("run-1", {BOTH: 9}, RISE), opinions("run-2", {MINE: 9}, RISE, AS_OF - timedelta(days=2))
    evidence = make(own, other)
    verdict = decide(evidence, CONFIG)
    again = Evidence.load(evidence.save(tmp_path / "evidence"))
    assert decide(again, GateConfig.from_dict(json.loads(json.dumps(verdict.numbers["gate"])))) == verdict


@pytest.mark.parametrize(
    ("worse", "better", "p_value"),
    [(0, 0, 1.0), (1, 0, 0.5), (6, 0, 1 / 64), (0, 6, 1.0), (2, 1, 0.5), (3, 3, 0.65625)],
)
def test_the_sign_test_counts_exactly(worse: int, better: int, p_value: float) -> None:
    assert sign_test(worse, better) == pytest.approx(p_value)


def test_equal_challengers_are_refused_in_at_most_two_and_a_half_percent() -> None:
    """Exactly, for every number of users whose lists differ: what the two looks allow themselves together."""
    from scipy.stats import binom

    for differing in range(1, 200):
        worse = np.arange(differing + 1)
        p_values = np.array([sign_test(int(w), int(differing - w)) for w in worse])
        chance = binom.pmf(worse, differing, 0.5)
        assert chance[p_values <= 0.025 + 1e-12].sum() <= 0.025 + 1e-9
        assert sum(chance[p_values / share <= 0.025].sum() for share in (0.1, 0.9)) <= 0.025 + 1e-9


# The opinions


def test_opinions_say_in_whose_first_ten_an_item_was() -> None:
    lists = {
        "challenger": pd.DataFrame({"user_id": ["a", "a", "b"], "rank": [1, 11, 10], "item_id": ["x", "y", "x"]}),
        "champion": pd.DataFrame({"user_id": ["a"], "rank": [2], "item_id": ["y"]}),
    }
    judged = pd.DataFrame(
        {"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"], "label": [0, 1, 0], "recorded_at": 3}
    )
    found = opinions_of(lists, judged)
    assert found["challenger"].tolist() == [True, False, True]
    assert found["champion"].tolist() == [False, True, False]
    assert found["recorded_at"].tolist() == [3, 3, 3]


def test_each_opinion_is_pooled_once_and_the_newest_evidence_says_what_it_was() -> None:
    own = opinions("run-1", {}, {MINE: 1}).assign(user_id="a")
    newer, older = (
        opinions(name, {}, {listed: 2}, AS_OF - timedelta(days=age)).assign(user_id=["a", "b"])
        for name, listed, age in (("run-3", BOTH, 2), ("run-2", THEIRS, 3))
    )
    table = pooled(own, [newer, older], AS_OF - timedelta(days=7)).set_index("user_id")
    assert table["batch_id"].to_dict() == {"a": "run-1", "b": "run-3"}
    assert table["challenger"].to_dict() == {"a": True, "b": True}
    assert len(pooled(own, [newer, older], AS_OF - timedelta(days=1))) == 1
