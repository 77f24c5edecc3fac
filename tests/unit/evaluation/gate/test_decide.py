import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.evaluation.gate.decide import GateConfig, comparator, decide
from recsys.evaluation.gate.margins import RelativeMargin

CONFIG = GateConfig(num_resamples=400)
ENOUGH, THIN = 200, 199
BASE = np.tile([0.0, 0.1, 0.2, 0.5], 50)  # 200 users, mean 0.2


def noisy(num_users: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(num_users) < 0.4, rng.beta(2, 4, num_users), 0.0)


@pytest.mark.parametrize(
    ("kind", "factor", "expected"),
    [
        ("refresh", 1.10, "promote"),
        ("refresh", 1.00, "promote"),  # exactly equal: not better, but not worse either
        ("refresh", 0.955, "promote"),  # exactly the margin
        ("refresh", 0.954, "reject"),
        ("recipe_change", 1.10, "promote"),
        ("recipe_change", 1.00, "promote"),
        ("recipe_change", 0.955, "promote"),
        ("recipe_change", 0.954, "reject"),
        ("first", 1.10, "promote"),
        ("first", 1.00, "promote"),
        ("first", 0.954, "reject"),
        ("refresh", 0.0, "reject"),
    ],
)
def test_enough_users_and_a_challenger_that_differs_by_a_factor(make_evidence, kind, factor, expected: str) -> None:
    other = "champion" if kind != "first" else "popularity"
    evidence = make_evidence(kind, challenger=BASE * factor, **{other: BASE})
    assert decide(evidence, CONFIG).verdict == expected


@pytest.mark.parametrize(
    ("kind", "factor", "expected"),
    [
        ("refresh", 1.5, "promote"),
        ("refresh", 0.955, "promote"),  # exactly the margin
        ("refresh", 0.954, "reject"),  # thin, but all users agree
        ("refresh", 0.1, "reject"),
        ("recipe_change", 1.5, "insufficient_evidence"),
        ("recipe_change", 0.1, "insufficient_evidence"),
        ("first", 1.5, "insufficient_evidence"),
        ("first", 0.1, "insufficient_evidence"),
    ],
)
def test_a_thin_holdout(make_evidence, kind, factor, expected: str) -> None:
    other = "champion" if kind != "first" else "popularity"
    evidence = make_evidence(kind, challenger=BASE[:THIN] * factor, **{other: BASE[:THIN]})
    assert decide(evidence, CONFIG).verdict == expected


@pytest.mark.parametrize(
    ("num_misses", "expected", "finding"),
    [
        (8, "promote", "within bounds"),
        (12, "promote", "within bounds"),  # exactly the sanity bound
        (13, "reject", "below the sanity bound of 70%"),
    ],
)
def test_a_thin_refresh_that_may_be_worse_by_chance_needs_the_sanity_bound(
    make_evidence, num_misses, expected: str, finding: str
) -> None:
    champion = np.full(40, 0.1)
    challenger = np.where(np.arange(40) < num_misses, 0.0, champion)
    config = replace(CONFIG, ndcg_margin=RelativeMargin(0.4))  # an interval of so few users reaches above the margin
    verdict = decide(make_evidence("refresh", challenger=challenger, champion=champion), config)
    assert (verdict.verdict, verdict.claim) == (expected, "unknown")
    assert finding in verdict.reasons[0]


@pytest.mark.parametrize(("factor", "expected"), [(1.1, "insufficient_evidence"), (0.5, "reject")])
def test_what_was_compared_with_a_champion_that_serves_no_more_is_not_promoted(
    make_evidence, factor: float, expected: str
) -> None:
    evidence = make_evidence("refresh", challenger=BASE * factor, champion=BASE)
    verdict = decide(evidence, CONFIG, superseded_by="9")
    assert verdict.verdict == expected
    assert verdict.reasons[0].startswith("Version 9 has become champion") == (expected == "insufficient_evidence")
    again = decide(evidence, GateConfig.from_dict(verdict.numbers["gate"]), verdict.numbers.get("superseded_by"))
    assert again.verdict == expected


def test_a_thin_refresh_that_is_significantly_worse_is_refused_within_the_sanity_bound_too(make_evidence) -> None:
    challenger = BASE[:THIN] * np.tile([0.7, 0.8, 0.9], 67)[:THIN]
    verdict = decide(make_evidence("refresh", challenger=challenger, champion=BASE[:THIN]), CONFIG)
    assert (verdict.verdict, verdict.claim) == ("reject", "worse")
    assert (
        "fewer than the 200 users that are required as evidence, but significantly worse than the allowed -4.5%."
        in verdict.reasons[0]
    )


def test_noise_that_may_hide_a_loss_is_refused_on_enough_users(make_evidence) -> None:
    """On average no worse, but 200 users cannot rule out a loss beyond the margin."""
    mine = np.random.default_rng(0).permutation(BASE)
    verdict = decide(make_evidence("recipe_change", challenger=mine, champion=BASE), CONFIG)
    assert verdict.verdict == "reject"
    assert "may be worse than the allowed -4.5%" in verdict.reasons[0]


def test_a_loss_beyond_doubt_is_called_so(make_evidence) -> None:
    verdict = decide(make_evidence(challenger=BASE * 0.5, champion=BASE), CONFIG)
    assert "significantly worse than the allowed -4.5%" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("refresh", "insufficient_evidence"),
        ("recipe_change", "insufficient_evidence"),
        ("first", "insufficient_evidence"),
    ],
)
def test_nobody_liked_anything(make_evidence, kind, expected: str) -> None:
    other = "champion" if kind != "first" else "popularity"
    exposure = {"challenger": [0.1] * 30, other: [0.1] * 30}
    verdict = decide(make_evidence(kind, exposure, challenger=[], **{other: []}), CONFIG)
    assert verdict.verdict == expected
    assert "No user with a liked item" in verdict.reasons[0]
    assert verdict.numbers["num_users"] == 0


@pytest.mark.parametrize("kind", ["refresh", "recipe_change"])
def test_nobody_is_in_the_holdout(make_evidence, kind: str) -> None:
    """The demo's version 8 was promoted on zero users: "the newer data are taken"."""
    evidence = make_evidence(kind, challenger=[], champion=[])
    verdict = decide(evidence, CONFIG)
    assert verdict.verdict == "insufficient_evidence"
    assert ("the champion stays" in verdict.reasons[0]) == (kind == "refresh")


@pytest.mark.parametrize("factor", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(("num_users", "is_judged"), [(1, False), (29, False), (30, True)])
def test_below_a_stated_minimum_of_users_not_even_a_refresh_is_judged(
    make_evidence, num_users: int, is_judged: bool, factor: float
) -> None:
    champion = np.full(num_users, 0.15)
    verdict = decide(make_evidence("refresh", challenger=champion * factor, champion=champion), CONFIG)
    expected = ("reject" if factor < 1 else "promote") if is_judged else "insufficient_evidence"
    assert verdict.verdict == expected
    if not is_judged:
        assert (
            "fewer than the 30 users that it takes to evaluate even a refresh: the champion stays" in verdict.reasons[0]
        )


def test_too_little_evidence_does_not_save_what_is_refused(make_evidence) -> None:
    exposure = {"challenger": [0.2] * 20, "champion": [0.1] * 20}
    evidence = make_evidence("refresh", exposure, challenger=BASE[:5], champion=BASE[:5])
    assert decide(evidence, CONFIG).verdict == "reject"
    assert decide(evidence, CONFIG, accepted_thin_evidence="we want it").verdict == "reject"


@pytest.mark.parametrize("kind", ["refresh", "recipe_change"])
def test_a_person_may_accept_thin_evidence_and_the_verdict_says_so(make_evidence, kind) -> None:
    evidence = make_evidence(kind, challenger=BASE[:5], champion=BASE[:5])
    verdict = decide(evidence, CONFIG, accepted_thin_evidence="the old one recommends recalled goods")
    assert (verdict.verdict, verdict.claim) == ("promote", "unknown")
    assert 'accepts that: "the old one recommends recalled goods"' in verdict.reasons[0]
    assert "approved it by name" in verdict.reasons[0]
    assert verdict.numbers["accepted_thin_evidence"] == "the old one recommends recalled goods"
    enough = decide(make_evidence(kind, challenger=BASE, champion=BASE), CONFIG, accepted_thin_evidence="why not")
    assert "accepted_thin_evidence" not in enough.numbers


def test_nobody_accepts_a_comparison_with_what_serves_no_more(make_evidence) -> None:
    evidence = make_evidence("refresh", challenger=BASE[:5], champion=BASE[:5])
    verdict = decide(evidence, CONFIG, superseded_by="9", accepted_thin_evidence="we want it")
    assert verdict.verdict == "insufficient_evidence"


# Dislike exposure


@pytest.mark.parametrize("kind", ["refresh", "recipe_change", "first"])
@pytest.mark.parametrize("num_users", [ENOUGH, 50, 6])
def test_a_significant_rise_in_dislike_exposure_rejects_however_accurate(make_evidence, kind, num_users: int) -> None:
    other = "champion" if kind != "first" else "popularity"
    exposure = {"challenger": [0.2] * num_users, other: [0.1] * num_users}
    evidence = make_evidence(kind, exposure, challenger=BASE * 2, **{other: BASE})
    verdict = decide(evidence, CONFIG)
    assert verdict.verdict == "reject"
    assert f"{num_users} users see more of what they dislike, 0 less" in verdict.reasons[1]
    assert "a significant rise" in verdict.reasons[1]
    assert ("read it with care" in verdict.reasons[1]) == (num_users < CONFIG.min_users_with_dislikes)


def test_a_thin_refresh_with_a_significant_rise_is_refused(make_evidence) -> None:
    exposure = {"challenger": [0.2] * 100, "champion": [0.1] * 100}
    evidence = make_evidence("refresh", exposure, challenger=BASE[:100], champion=BASE[:100])
    assert decide(evidence, CONFIG).verdict == "reject"


@pytest.mark.parametrize(
    ("mine", "theirs", "finding"),
    [
        ([0.1] * 200, [0.1] * 200, "no rise"),
        ([0.0] * 200, [0.1] * 200, "no rise"),
        ([0.3] + [0.1] * 200, [0.1] * 201, "not a significant rise, and at most the allowed +10.0%"),
        (
            [0.3] + [0.1] * 20,
            [0.1] * 21,
            "1 users see more of what they dislike, 0 less (p = 0.5000), which may be chance",
        ),
        ([0.2] * 5, [0.1] * 5, "which may be chance"),
        ([0.2] * 5 + [0.1 - 1e-9] * 5, [0.1] * 10, "5 users see more of what they dislike, 5 less"),
        ([0.2] * 30 + [0.0] * 20, [0.1] * 50, "which may be chance"),  # by the interval alone it would be close
    ],
)
def test_a_rise_that_may_be_chance_does_not_reject(make_evidence, mine, theirs, finding: str) -> None:
    exposure = {"challenger": mine, "champion": theirs}
    verdict = decide(make_evidence("refresh", exposure, challenger=BASE, champion=BASE), CONFIG)
    assert verdict.verdict == "promote"
    assert finding in verdict.reasons[1]


def test_the_margin_is_relative_and_lets_no_significant_rise_pass(make_evidence) -> None:
    """The demo's version 6: .0110 to .0155, 56 users worse and 22 better off; +.0045 was within the margin of .005."""
    theirs = np.r_[np.repeat([0.0, 0.1], [56, 22]), np.full(61, 0.1), np.zeros(616)]
    mine = np.r_[np.repeat([0.1, 0.0], [56, 22]), np.full(61, 0.1), np.zeros(616)]
    evidence = make_evidence("refresh", {"challenger": mine, "champion": theirs}, challenger=BASE, champion=BASE)
    verdict = decide(evidence, CONFIG)
    assert (round(theirs.mean(), 4), round(mine.mean(), 4)) == (0.0110, 0.0155)
    assert verdict.verdict == "reject"
    assert "0.0155 against the champion's (version 3) 0.0110 on 755 users with dislikes: +41.0%" in verdict.reasons[1]
    assert "56 users see more of what they dislike, 22 less (p = 0.0001), a significant rise." in verdict.reasons[1]
    small = {"challenger": [0.102] * 300, "champion": [0.1] * 300}  # within any margin, and all agree
    assert decide(make_evidence("refresh", small, challenger=BASE, champion=BASE), CONFIG).verdict == "reject"


def test_nobody_disliked_anything(make_evidence) -> None:
    verdict = decide(make_evidence(challenger=BASE, champion=BASE), CONFIG)
    assert verdict.verdict == "promote"
    assert "nothing to compare dislike exposure on" in verdict.reasons[1]
    assert verdict.numbers["num_users_with_dislikes"] == 0


# Against whom


def test_without_a_champion_the_better_baseline_stands_in(make_evidence) -> None:
    for better, worse in (("popularity", "decayed_popularity"), ("decayed_popularity", "popularity")):
        evidence = make_evidence("first", challenger=BASE * 0.8, **{better: BASE, worse: BASE * 0.5})
        assert comparator(evidence) == better
        assert decide(evidence, CONFIG).verdict == "reject"


def test_a_champion_below_a_baseline_is_still_the_comparator_and_the_reader_is_told(make_evidence) -> None:
    evidence = make_evidence(challenger=BASE, champion=BASE, popularity=BASE * 0.5, decayed_popularity=BASE * 2)
    verdict = decide(evidence, CONFIG)
    assert verdict.verdict == "promote"
    assert verdict.numbers["comparator"] == "champion"
    assert "decayed popularity alone reaches 0.4000" in verdict.reasons[2]
    assert "the challenger is not above it" in verdict.reasons[2]
    strong = make_evidence(challenger=BASE, champion=BASE, popularity=BASE * 0.5)
    assert len(decide(strong, CONFIG).reasons) == 2


def test_systems_judged_on_other_users_cannot_be_compared(make_evidence) -> None:
    evidence = make_evidence(challenger=BASE, champion=BASE[:150])
    with pytest.raises(ValueError, match="got 200 and 150 with 50 on one side only, such as u00150"):
        decide(evidence, CONFIG)


def test_systems_judged_on_other_judgements_cannot_be_compared(make_evidence) -> None:
    evidence = make_evidence(challenger=BASE, champion=BASE)
    evidence.per_user.loc[3, "num_liked"] = 9
    with pytest.raises(ValueError, match="1 users, such as u00003, have other judgements"):
        decide(evidence, CONFIG)


def test_a_user_judged_twice_cannot_be_compared(make_evidence) -> None:
    evidence = make_evidence(challenger=BASE, champion=BASE)
    evidence.per_user.loc[0, "user_id"] = "u00001"
    with pytest.raises(ValueError, match="Expected each user once for challenger, got u00001 twice"):
        decide(evidence, CONFIG)


@pytest.mark.parametrize(
    ("kind", "systems", "expected"),
    [
        ("refresh", ["challenger", "popularity"], "Expected champion among the evaluated systems"),
        ("refresh", ["popularity"], "Expected challenger among the evaluated systems"),
        ("first", ["challenger"], "to stand in for a champion"),
        ("first", ["popularity"], "Expected challenger among the evaluated systems"),
    ],
)
def test_a_missing_system_is_named(make_evidence, kind, systems: list[str], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        decide(make_evidence(kind, **dict.fromkeys(systems, BASE)), CONFIG)


# What it says


def test_the_reasons_are_sentences_with_the_numbers_in_them(make_evidence) -> None:
    exposure = {"challenger": [0.1, 0.0] * 40, "champion": [0.1, 0.1] * 40}
    verdict = decide(make_evidence("refresh", exposure, challenger=BASE * 1.1, champion=BASE), CONFIG)
    change = verdict.numbers["metrics"]["dislike_exposure_at_10"]["change"]
    assert verdict.reasons == (
        "NDCG@10 0.2200 against the champion's (version 3) 0.2000 on 200 users: +10.0% (95% interval +10.0% to +10.0%); "
        "significantly better.",
        "Dislike exposure@10 0.0500 against the champion's (version 3) 0.1000 on 80 users with dislikes: -50.0% "
        f"(95% interval {change['low']:+.1%} to {change['high']:+.1%}); no rise. "
        "Few users: below 100, so read it with care.",
    )


@pytest.mark.parametrize(
    ("num_users", "factor", "claim"),
    [
        (ENOUGH, 1.01, "better"),
        (ENOUGH, 1.0, "not_worse"),
        (ENOUGH, 0.96, "not_worse"),  # a significant fall, but an allowed one
        (ENOUGH, 0.9, "worse"),
        (THIN, 1.01, "unknown"),  # a thin holdout shows no gain ...
        (THIN, 1.0, "unknown"),
        (THIN, 0.9, "worse"),  # ... but a significant loss is one
        (5, 0.5, "unknown"),
    ],
)
def test_better_is_claimed_only_of_a_significant_gain_on_enough_users(
    make_evidence, num_users, factor, claim: str
) -> None:
    champion = np.full(num_users, 0.2)
    verdict = decide(make_evidence("recipe_change", challenger=champion * factor, champion=champion), CONFIG)
    assert verdict.claim == verdict.numbers["claim"] == claim


def test_noise_is_called_neither_better_nor_worse(make_evidence) -> None:
    mine = np.random.default_rng(0).permutation(BASE)
    verdict = decide(make_evidence("recipe_change", challenger=mine, champion=BASE), CONFIG)
    assert (verdict.verdict, verdict.claim) == ("reject", "unknown")


@pytest.mark.parametrize("champion", [BASE, BASE * 0])
def test_the_numbers_are_strict_json(make_evidence, champion: np.ndarray) -> None:
    verdict = decide(make_evidence(challenger=BASE, champion=champion), CONFIG)
    again = json.loads(json.dumps(verdict.numbers, allow_nan=False))
    assert again == verdict.numbers
    assert again["gate"]["ndcg_margin"] == {"relative": 0.045}
    assert verdict.verdict == "promote"


def test_better_than_nothing_is_said_without_a_percentage(make_evidence) -> None:
    verdict = decide(make_evidence(challenger=BASE, champion=BASE * 0), CONFIG)
    assert "+infinity" in verdict.reasons[0]
    assert verdict.numbers["metrics"]["ndcg_at_10"]["change"] == {"mean": None, "low": None, "high": None}


# Properties


@settings(deadline=None, max_examples=60)
@given(
    mine=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    theirs=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    gain=hnp.arrays(float, 60, elements=st.floats(0, 1)),
    kind=st.sampled_from(["first", "refresh", "recipe_change"]),
    min_users=st.sampled_from([60, 61]),
    seed=st.integers(0, 2**32),
)
def test_a_challenger_that_gets_better_for_everybody_never_loses_its_promotion(
    make_evidence, mine, theirs, gain, kind, min_users, seed
) -> None:
    config = GateConfig(min_users=min_users, num_resamples=50)
    other = "champion" if kind != "first" else "popularity"
    before, after = (
        decide(make_evidence(kind, seed=seed, challenger=own, **{other: theirs}), config).verdict
        for own in (mine, np.minimum(mine + gain, 1.0))
    )
    assert before != "promote" or after == "promote"


def test_the_order_of_the_rows_does_not_matter(make_evidence) -> None:
    evidence = make_evidence(challenger=noisy(300, 1), champion=noisy(300, 2))
    shuffled = replace(evidence, per_user=evidence.per_user.sample(frac=1.0, random_state=0))
    assert decide(shuffled, CONFIG) == decide(evidence, CONFIG)


def test_a_challenger_worse_by_the_margin_is_refused_and_an_equal_one_is_not_called_worse(make_evidence) -> None:
    """By simulation: 100 holdouts of 1,000 users, a challenger with noise of its own."""
    config = GateConfig(num_resamples=300)
    promoted = {0.95: 0, 1.0: 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        champion = noisy(1_000, seed)
        noise = rng.normal(1.0, 0.2, 1_000)
        for factor in promoted:
            evidence = make_evidence(
                "recipe_change", seed=seed, challenger=champion * noise * factor, champion=champion
            )
            promoted[factor] += decide(evidence, config).verdict == "promote"
    assert promoted[0.95] <= 5
    assert promoted[1.0] >= 95
