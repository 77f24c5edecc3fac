"""Challengers that are better on average and still must not pass, each refused for its own reason."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.evaluation.gate.decide import GateConfig, Verdict, decide
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.margins import RelativeMargin

CONFIG = GateConfig(num_resamples=1_000)
NUM_USERS = 1_000


def noisy(seed: int, num_users: int = NUM_USERS) -> np.ndarray:
    """Per-user NDCG as it looks: most users have no hit."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(num_users) < 0.4, rng.beta(2, 4, num_users), 0.0)


CHAMPION = noisy(0)
GAIN = np.minimum(CHAMPION * 1.2, 1.0)  # better for everybody who has a hit


@pytest.fixture
def better(make_evidence) -> Evidence:
    """A challenger that passes, but for what a test does to it."""
    exposure = {"challenger": [0.05] * 300, "champion": [0.05] * 300, "popularity": [0.05] * 300}
    return make_evidence(
        "recipe_change", exposure, challenger=GAIN, champion=CHAMPION, popularity=CHAMPION * 0.8, seed=3
    )


def with_column(evidence: Evidence, name: str, challenger, champion) -> Evidence:
    """The evidence with one more metric; what is given is that of the first users."""
    per_user = evidence.per_user.assign(**{name: np.nan})
    for system, values in (("challenger", challenger), ("champion", champion)):
        rows = np.flatnonzero(per_user["system"] == system)[: len(values)]
        per_user.iloc[rows, per_user.columns.get_loc(name)] = values
    return replace(evidence, per_user=per_user)


def refused(evidence: Evidence, config: GateConfig = CONFIG) -> Verdict:
    verdict = decide(evidence, config)
    assert verdict.verdict == "reject"
    json.dumps(verdict.numbers, allow_nan=False)
    return verdict


def test_the_challenger_of_these_tests_passes_as_it_is(better: Evidence) -> None:
    verdict = decide(better, CONFIG)
    assert (verdict.verdict, verdict.claim) == ("promote", "better")
    assert len(verdict.reasons) == 2


def test_one_that_learned_nothing_is_significantly_worse(make_evidence) -> None:
    nothing = np.where(np.random.default_rng(1).random(NUM_USERS) < 0.02, 0.3, 0.0)  # a hit by chance
    for kind, other in (("refresh", "champion"), ("recipe_change", "champion"), ("first", "popularity")):
        verdict = refused(make_evidence(kind, challenger=nothing, **{other: CHAMPION}))
        assert verdict.claim == "worse"
        assert "significantly worse than the allowed -4.5%." in verdict.reasons[0]


@pytest.mark.parametrize("model", ["challenger", "champion"])
def test_a_model_that_has_seen_the_holdout_is_a_leak(better: Evidence, model: str) -> None:
    name = f"{model}_trained_through"
    assert decide(replace(better, **{name: better.fit_through}), CONFIG).verdict == "promote"
    verdict = refused(replace(better, **{name: better.fit_through + timedelta(seconds=1)}))
    version = {"challenger": 4, "champion": 3}[model]
    assert verdict.reasons[0].startswith(
        f"Leak: the {model} (version {version}) was trained through 2013-06-01T03:00:01+00:00, after the holdout began"
    )
    assert verdict.claim == verdict.numbers["claim"] == "unknown"  # its gain is no evidence
    assert verdict.numbers["leaks"] == [verdict.reasons[0]]


def test_a_gain_that_no_model_makes_is_taken_for_a_leak_until_a_person_has_looked(make_evidence) -> None:
    scores = {"challenger": noisy(5) * 0.2 + 0.5, "champion": CHAMPION, "popularity": CHAMPION * 0.8}
    verdict = refused(make_evidence("refresh", **scores))
    assert verdict.claim == "unknown"
    assert verdict.reasons[0].startswith("Too good to be true: NDCG@10 0.5")
    assert "times that of champion" in verdict.reasons[0]
    assert verdict.numbers["implausible_gain"] == verdict.reasons[0]
    looked = decide(make_evidence("refresh", **scores), replace(CONFIG, max_plausible_ratio=None))
    assert (looked.verdict, looked.claim) == ("promote", "better")


def test_a_great_gain_over_a_stale_champion_is_plausible_where_popularity_gains_as_much(make_evidence) -> None:
    fresh = {"challenger": CHAMPION, "champion": CHAMPION * 0.1, "decayed_popularity": CHAMPION * 0.5}
    assert decide(make_evidence("refresh", **fresh), CONFIG).verdict == "promote"


def test_a_first_model_may_be_many_times_above_popularity(make_evidence) -> None:
    evidence = make_evidence("first", challenger=CHAMPION, popularity=CHAMPION * 0.1)
    assert decide(evidence, CONFIG).verdict == "promote"


def test_collapsed_diversity_is_refused_however_accurate(better: Evidence) -> None:
    rng = np.random.default_rng(2)
    before = np.maximum(rng.normal(0.1, 0.1, NUM_USERS), 0.0)
    verdict = refused(with_column(better, "diversity_shortfall_at_10", before + 0.3, before))
    assert verdict.claim == "better"  # of accuracy
    assert verdict.reasons[-1].startswith("List diversity shortfall@10 0.4")
    assert verdict.reasons[-1].endswith("; more than the allowed +0.1000, and significantly a rise.")
    assert decide(with_column(better, "diversity_shortfall_at_10", before + 0.09, before), CONFIG).verdict == "promote"


@pytest.mark.parametrize(
    ("name", "title"), [("coverage_at_10", "Coverage@10"), ("personalisation_at_10", "Personalisation@10")]
)
def test_the_same_list_for_everybody_is_refused(better: Evidence, name: str, title: str) -> None:
    def of(challenger: float) -> Evidence:
        return replace(better, per_system={"challenger": {name: challenger}, "champion": {name: 0.4}})

    verdict = refused(of(0.02))
    assert verdict.reasons[-1] == (
        f"{title} 0.0200 against the champion's (version 3) 0.4000 on 1000 users: -95.0%; more than the allowed -50.0%."
    )
    assert decide(of(0.2), CONFIG).verdict == "promote"  # exactly the margin


def test_what_describes_lists_sets_no_standard_for_a_first_model(make_evidence) -> None:
    """Lists that fit their users are less diverse than what is popular with everybody."""
    evidence = make_evidence("first", challenger=GAIN, popularity=CHAMPION)
    evidence = replace(
        evidence, per_user=evidence.per_user.assign(diversity_shortfall_at_10=np.repeat([0.7, 0.3], NUM_USERS))
    )
    verdict = decide(evidence, CONFIG)
    assert verdict.verdict == "promote"
    shown = verdict.numbers["metrics"]["diversity_shortfall_at_10"]
    assert (shown["role"], shown["outcome"]) == ("is_shown", "worse")


def test_one_that_raises_disliked_genres_is_refused_by_exposure_and_by_auc(better: Evidence) -> None:
    shown = better.per_user["dislike_exposure_at_10"].to_numpy().copy()
    shown[better.per_user["system"] == "challenger"] += 0.05
    verdict = refused(replace(better, per_user=better.per_user.assign(dislike_exposure_at_10=shown)))
    assert "a significant rise" in verdict.reasons[1]
    rng = np.random.default_rng(4)
    before = rng.uniform(0.5, 1.0, 200)
    verdict = refused(with_column(better, "auc", before - rng.uniform(0.0, 0.2, 200), before))
    assert verdict.reasons[-1].startswith("AUC of like over dislike 0.6")
    assert verdict.reasons[-1].endswith("more than the allowed -0.0200, and significantly a fall.")


def test_lists_of_genres_that_users_do_not_like_are_refused(better: Evidence) -> None:
    before = np.random.default_rng(4).uniform(0.2, 0.4, 900)
    verdict = refused(with_column(better, "calibration_error_at_10", before + 0.2, before))
    assert "Genre calibration error@10" in verdict.reasons[-1]
    assert verdict.reasons[-1].endswith("more than the allowed +0.1000, and significantly a rise.")


def test_wrong_explanations_are_refused_with_the_example(better: Evidence) -> None:
    example = "user u7, item i3: the contributions sum to 0.500000, the score is 0.400000"
    passed = {"name": "history_never_returns", "version": 1, "passed": True, "detail": "2000 slots", "metrics": {}}
    failed = {"name": "contributions_sum_to_score", "version": 1, "passed": False, "detail": example, "metrics": {}}
    assert decide(replace(better, behaviour=[passed]), CONFIG).verdict == "promote"
    verdict = refused(replace(better, behaviour=[passed, failed]))
    assert verdict.reasons[0] == f"Behaviour test contributions_sum_to_score failed: {example}."
    assert verdict.numbers["failed_behaviour"] == [verdict.reasons[0]]


# Slices


def slices_of(**dimensions) -> pd.DataFrame:
    users = [f"u{n:05d}" for n in range(NUM_USERS)]
    return pd.DataFrame({"user_id": users, **dimensions})


ACTIVITY = np.repeat(["new", "light", "regular", "heavy"], NUM_USERS // 4)


def test_a_slice_that_is_hurt_is_refused_while_the_mean_gains(better: Evidence, make_evidence) -> None:
    mine = np.where(ACTIVITY == "new", CHAMPION * 0.5, CHAMPION * 1.6)
    evidence = make_evidence("recipe_change", challenger=np.minimum(mine, 1.0), champion=CHAMPION)
    assert decide(evidence, CONFIG).claim == "better"
    evidence = replace(evidence, slices=slices_of(activity=ACTIVITY, taste=np.tile(["Comedy", "Horror"], 500)))
    verdict = refused(evidence)
    assert verdict.reasons[-1].startswith("Users of the slice activity = new are significantly worse off: NDCG@10 0.0")
    assert "on 250 users, worse than the allowed -10.0% (p = 0.00" in verdict.reasons[-1]
    found = {(one["dimension"], one["slice"]): one["outcome"] for one in verdict.numbers["slices"]}
    assert found.pop(("activity", "new")) == "worse"
    assert set(found.values()) == {"not_significantly_worse"}
    assert len(found) == 5


def test_many_slices_are_not_many_chances_to_be_refused(make_evidence) -> None:
    """An equal challenger: nearly always one of 40 slices looks down, and Holm knows that it is chance."""
    rng = np.random.default_rng(8)
    slices = slices_of(**{f"dimension_{n}": rng.integers(0, 8, NUM_USERS).astype(str) for n in range(5)})
    config = replace(CONFIG, slice_margin=RelativeMargin(0.0), num_resamples=400)
    looks_down, refused_by_a_slice = 0, 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(1.0, 0.3, NUM_USERS)
        evidence = make_evidence("refresh", seed=seed, challenger=CHAMPION * np.maximum(noise, 0), champion=CHAMPION)
        found = decide(replace(evidence, slices=slices), config).numbers["slices"]
        looks_down += any(one["p_value"] < 0.05 for one in found)
        refused_by_a_slice += any(one["outcome"] == "worse" for one in found)
    assert looks_down >= 20
    assert refused_by_a_slice <= 5


def test_a_small_slice_is_told_but_not_judged(better: Evidence) -> None:
    ndcg = np.where(np.arange(NUM_USERS) < 49, 0.0, GAIN)
    evidence = with_column(better, "ndcg_at_10", ndcg, CHAMPION)
    few = np.where(np.arange(NUM_USERS) < 49, "few", None)
    verdict = decide(replace(evidence, slices=slices_of(recency=few)), CONFIG)
    assert verdict.verdict == "promote"
    (one,) = verdict.numbers["slices"]
    assert (one["num_users"], one["outcome"], one["p_value"], one["change"]) == (49, "too_small", None, None)
    many = np.where(np.arange(NUM_USERS) < 50, "few", None)
    refused(replace(evidence, slices=slices_of(recency=many)))


@settings(deadline=None, max_examples=40)
@given(
    mine=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    theirs=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    gain=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    min_users=st.sampled_from([60, 61]),
    seed=st.integers(0, 2**32),
)
def test_better_for_everybody_never_loses_a_promotion_by_slices_or_guards(
    make_evidence, mine, theirs, gain, min_users, seed
) -> None:
    config = GateConfig(min_users=min_users, min_slice_users=20, num_resamples=50)
    slices = pd.DataFrame({"user_id": [f"u{n:05d}" for n in range(60)], "half": ["a", "b"] * 30})
    before, after = (
        decide(replace(make_evidence(seed=seed, challenger=own, champion=theirs), slices=slices), config).verdict
        for own in (mine, np.minimum(mine + gain, 1.0))
    )
    assert before != "promote" or after == "promote"


# What is there, and what is not


def test_what_was_not_measured_is_not_judged(better: Evidence) -> None:
    assert list(decide(better, CONFIG).numbers["metrics"]) == [
        "ndcg_at_10", "recall_at_20", "mrr", "dislike_exposure_at_10",
    ]  # fmt: skip
    more = with_column(
        with_column(better, "auc", [], []), "diversity_shortfall_at_10", [0.7] * NUM_USERS, [0.7] * NUM_USERS
    )
    measured = decide(more, CONFIG).numbers["metrics"]
    assert "auc" not in measured  # a column without a number in it
    assert measured["diversity_shortfall_at_10"]["outcome"] == "not_worse"


def test_a_metric_that_some_lists_do_not_have_is_compared_where_both_have_it(better: Evidence) -> None:
    mine, theirs = np.full(NUM_USERS, 0.7), np.full(NUM_USERS, 0.7)
    mine[:10], theirs[5:20] = np.nan, np.nan
    verdict = decide(with_column(better, "diversity_shortfall_at_10", mine, theirs), CONFIG)
    found = verdict.numbers["metrics"]["diversity_shortfall_at_10"]
    assert found["num_users"] == NUM_USERS - 20


def test_the_numbers_say_everything_of_a_metric(better: Evidence) -> None:
    found = decide(better, CONFIG).numbers["metrics"]["ndcg_at_10"]
    change = found.pop("change")
    assert change["low"] <= change["mean"] <= change["high"]
    assert found == {
        "title": "NDCG@10", "role": "decides", "higher_is_better": True, "num_users": NUM_USERS,
        "challenger": GAIN.mean(), "comparator": CHAMPION.mean(), "difference": GAIN.mean() - CHAMPION.mean(),
        "margin": {"relative": 0.045}, "num_better": int((GAIN > CHAMPION).sum()), "num_worse": 0, "outcome": "better",
    }  # fmt: skip


def test_a_stored_verdict_is_reached_again_from_its_numbers(better: Evidence) -> None:
    config = GateConfig(num_resamples=300, min_users=2_000)
    evidence = replace(better, slices=slices_of(activity=ACTIVITY))
    stored = json.loads(json.dumps(decide(evidence, config).numbers))
    again = decide(evidence, GateConfig.from_dict(stored["gate"]))
    assert again.verdict == "insufficient_evidence"
    assert again.numbers == stored
