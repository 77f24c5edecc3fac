"""The card of a version holds what a person needs to believe it, and fits where MLflow keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.reporting.model_card import PAGE_LIMIT, CardFacts, Section, as_page, as_text, model_card
from recsys.evaluation.reporting.tables import ROOM

FACTS = CardFacts(
    about="Challenger of run `r1`, fitted on what was recorded up to **2013-06-01 03:00 UTC**.",
    data={"training set": "1000 rows, digest `abc`"},
    params={
        "candidate": "closed_form-decayed",
        "num_items": 90,
        "num_linked": 40,
        "head_likes": 0.25,
        "head_recent": 0.0,
    },
    examples=["Who liked Alien is given Aliens. Because you liked Alien."],
    behaviour=[{"name": "dislike_never_raises", "passed": True, "detail": "200 dislikes, largest rise 0.0e+00"}],
)


@pytest.fixture
def evidence(make_evidence: Callable[..., Evidence]) -> Evidence:
    values = np.tile([0.0, 0.1, 0.2, 0.5], 60)
    exposure = {"challenger": [0.1] * 120, "champion": [0.2] * 120}
    made = make_evidence("refresh", exposure, challenger=values, champion=values / 1.1, decayed_popularity=values / 4)
    slices = pd.DataFrame({"user_id": made.users("champion").index})
    slices["activity"] = np.where(np.arange(len(slices)) < 100, "new", "heavy")
    return replace(made, slices=slices)


def card(evidence: Evidence, facts: CardFacts = FACTS) -> list[Section]:
    return model_card(decide(evidence, GateConfig(num_resamples=200)), evidence, facts)


def test_it_tells_verdict_metrics_slices_behaviours_examples_data_weights_and_limits(evidence: Evidence) -> None:
    verdict = decide(evidence, GateConfig(num_resamples=200))
    text = as_text(card(evidence))
    assert text.startswith("Challenger of run `r1`")
    assert (
        "**Verdict: promote** (refresh, accuracy significantly better; holdout 2013-06-01 03:00 to 2013-06-08 03:00 UTC)"
        in text
    )
    assert all(f"- {reason}" in text for reason in verdict.reasons)
    found = verdict.numbers["metrics"]["ndcg_at_10"]
    low, high = (f"{found['change'][end]:+.1%}" for end in ("low", "high"))
    assert f"| NDCG@10 | 0.2000 | 0.1818 | +10.0% ({low} to {high}) | -4.5% | 240 | significantly better |" in text
    exposure = "| Dislike exposure@10 | 0.1000 | 0.2000 | -50.0% (-50.0% to -50.0%) | no significant rise | 120 |"
    assert f"{exposure} significantly better |" in text
    assert "| decayed popularity | 0.0500 |" in text
    assert "| activity: new | 100 | 0.2000 | 0.1818 | not significantly worse |" in text
    assert "| dislike_never_raises v1 | passed | 200 dislikes, largest rise 0.0e+00 |" in text
    assert "- Who liked Alien is given Aliens. Because you liked Alien." in text
    assert "| training set | 1000 rows, digest `abc` |" in text
    assert "| weights of the terms | likes 0.25 |" in text
    assert "- Evaluated on 240 users with a liked holdout item, 120 with a disliked one" in text
    assert "- 40 of 90 items have been liked often enough" in text


def test_every_table_has_the_blank_line_before_it_that_the_pages_need(evidence: Evidence) -> None:
    lines = as_text(card(evidence)).split("\n")
    starts = [n for n, line in enumerate(lines) if line.startswith("|---")]
    assert len(starts) == 6
    assert all(lines[n - 2] == "" and lines[n - 1].startswith("| ") for n in starts)


def test_dislike_exposure_has_a_row_for_each_look_with_the_mix(evidence: Evidence) -> None:
    users = [f"u{n:05d}" for n in range(120)]
    own = pd.DataFrame({
        "batch_id": "run-1", "user_id": users, "item_id": "i", "label": [0] * 60 + [1] * 60, "challenger": True,
        "champion": [True] * 50 + [False] * 10 + [True] * 60, "recorded_at": pd.Timestamp(evidence.as_of),
    })  # fmt: skip
    both = pd.concat([own, own.assign(batch_id="run-0", user_id=[f"v{n}" for n in range(120)])], ignore_index=True)
    text = as_text(card(replace(evidence, opinions=both, pooled_from=[{"batch_id": "run-0"}])))
    assert "### Dislike exposure@10, and likes per dislike among listed items that users met" in text
    assert "| this holdout | -50.0% (-50.0% to -50.0%) | 0 / 120 | 1.0000 | 1.00 | 1.20 | -16.5% (" in text
    assert "| with those of earlier verdicts | +20.0% (" in text
    (row,) = (line for line in text.split("\n") if line.startswith("| with those"))
    assert "| 20 / 0 | 0.0000 | 1.00 | 1.20 |" in row
    assert row.endswith("| refuses |")


def test_a_failed_behaviour_stands_out(evidence: Evidence) -> None:
    failed = [{"name": "dislike_never_raises", "passed": False, "detail": "user u1 disliked i2 and i3 rose"}]
    text = as_text(card(evidence, replace(FACTS, behaviour=failed)))
    assert "| dislike_never_raises v1 | **failed** | user u1 disliked i2 and i3 rose |" in text


BEHAVED = [{"name": f"test_{n}", "passed": True, "detail": "as it should " * 8} for n in range(11)]


def test_a_page_that_is_full_tells_less_of_each_and_still_the_whole_story(evidence: Evidence) -> None:
    """Tables give way to what matters in them; data, weights and limits stay."""
    slices = evidence.slices.assign(taste=[f"genre {n % 30}" for n in range(len(evidence.slices))])
    sections = card(replace(evidence, slices=slices), replace(FACTS, behaviour=BEHAVED, examples=["one " * 40] * 3))
    page = as_page(sections)
    assert len(as_text(sections)) > PAGE_LIMIT >= len(page)
    for title in ("All systems on the holdout", "NDCG@10 by slice", "Behaviour tests", "What users are given, and why",
                  "Data and fit", "Limits"):  # fmt: skip
        assert f"### {title}\n" in page
    assert "11 of 11 passed: test_0, test_1," in page
    assert page.endswith("_The whole card is `evaluation/model_card.md` among the run's artifacts._")


def test_a_full_page_keeps_the_slices_that_lost_most(evidence: Evidence) -> None:
    users = list(evidence.slices["user_id"])
    groups = [f"group {n % 4}" for n in range(len(users))]
    per_user = evidence.per_user.copy()
    hurt = {user for user, group in zip(users, groups, strict=True) if group == "group 2"}
    rows = (per_user["system"] == "challenger") & per_user["user_id"].isin(hurt)
    per_user.loc[rows, "ndcg_at_10"] *= 0.9
    judged = replace(evidence, per_user=per_user, slices=pd.DataFrame({"user_id": users, "group": groups}))
    verdict = decide(judged, GateConfig(num_resamples=200))
    found = next(one for one in model_card(verdict, judged, FACTS) if "by slice" in one.text)
    assert found.short is not None
    assert found.short.index("group: group 2") < found.short.index("group: group 0")
    assert "The 4 of 4 evaluated slices that lost most" in found.short


def test_a_failed_behaviour_keeps_its_example_on_a_full_page(evidence: Evidence) -> None:
    failed = {"name": "dislike_never_raises", "passed": False, "detail": "user u1 disliked i2 and i3 rose"}
    page = as_page(card(evidence, replace(FACTS, behaviour=[*BEHAVED, failed], examples=["long " * 400])))
    row = "| dislike_never_raises v1 | **failed** | user u1 disliked i2 and i3 rose |"
    assert row in page.replace(ROOM, "")
    assert "11 of 12 passed" in page


def test_what_does_not_fit_at_all_goes_from_the_end() -> None:
    sections = [Section("first"), Section("x" * 3_000), Section("y" * 3_000)]
    page = as_page(sections)
    assert page.startswith("first\n\nxxx")
    assert "y" * 9 not in page
    assert page.endswith("artifacts._")
    assert as_page(sections[:2]) == as_text(sections[:2])
    assert len(as_page([Section("x" * 9_000)])) == PAGE_LIMIT


def test_a_first_version_is_compared_with_the_baseline(make_evidence: Callable[..., Evidence]) -> None:
    values = np.tile([0.0, 0.1, 0.2, 0.5], 60)
    first = make_evidence("first", challenger=values, decayed_popularity=values / 4, popularity=values / 5)
    text = as_text(card(first))
    assert "### Against the decayed popularity" in text
    assert "| metric | this | decayed popularity |" in text


THIN = np.tile([0.0, 0.1, 0.2, 0.5], 20)


def test_a_gain_that_is_not_judged_says_why(make_evidence: Callable[..., Evidence]) -> None:
    thin = make_evidence("refresh", challenger=THIN, champion=THIN / 2.85, decayed_popularity=THIN / 4)
    text = as_text(card(thin))
    assert "unknown" not in text
    assert "accuracy inconclusive: 80 users, needs 200; holdout" in text
    assert "| +185.0% (" in text
    assert "| 80 | inconclusive: 80 users, needs 200 |" in text


def test_a_gain_that_may_be_a_leak_is_not_judged(make_evidence: Callable[..., Evidence]) -> None:
    values = np.tile([0.0, 0.1, 0.2, 0.5], 60)
    text = as_text(
        card(make_evidence("refresh", challenger=values, champion=values / 9, decayed_popularity=values / 8))
    )
    assert "accuracy inconclusive: the numbers may be those of a leak; holdout" in text


def test_a_wide_interval_is_no_judgement(make_evidence: Callable[..., Evidence]) -> None:
    values = np.tile([0.0, 0.6], 120)
    text = as_text(
        card(make_evidence("refresh", challenger=values, champion=values[::-1], decayed_popularity=values / 4))
    )
    assert "inconclusive: the interval is too wide" in text


def test_a_page_has_room_between_the_columns(evidence: Evidence) -> None:
    lines = [
        line for line in as_page(card(evidence)).split("\n") if line.startswith("| ") and not line.startswith("| |")
    ]
    assert len(lines) > 8
    assert all(cell.endswith(ROOM) for line in lines for cell in line.strip("| ").split(" | ")[:-1])
    assert ROOM not in as_text(card(evidence))


def test_the_input_example_is_shown_with_the_call_that_takes_it(evidence: Evidence) -> None:
    example = [{"user_id": "example_user", "item_id": "i1", "signal": "like", "weight": 1.0}]
    facts = replace(FACTS, input_example=example, model_uri="models:/feedback-recommender/4")
    text = as_text(card(evidence, facts))
    assert '`mlflow.pyfunc.load_model("models:/feedback-recommender/4").predict(histories, params={"k": 10})`' in text
    assert "| user_id | item_id | signal | weight |\n|---|---|---|---|\n| example\\_user | i1 | like | 1.0 |" in text
    assert "### Input example" not in as_text(card(evidence))
