"""A champion whose contributions are exact sums gives way only to one that claims the same, unless a person allows it."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.evaluation.gate.decide import GateConfig, decide
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.reporting.model_card import CardFacts, as_text, model_card

CONFIG = GateConfig(num_resamples=400)
BASE = np.tile([0.0, 0.1, 0.2, 0.5], 60)
WHY = "its reasons were read by a person"


def evidence_of(make_evidence, challenger: bool, champion: bool, factor: float = 1.2) -> Evidence:
    evidence = make_evidence("recipe_change", challenger=np.minimum(BASE * factor, 1.0), champion=BASE)
    return replace(evidence, claims={"challenger": challenger, "champion": champion})


@pytest.mark.parametrize(
    ("challenger", "champion", "expected"),
    [
        (True, True, "promote"),
        (True, False, "promote"),
        (False, False, "promote"),
        (False, True, "insufficient_evidence"),
    ],
)
def test_a_claim_is_kept_or_won_but_not_lost(make_evidence, challenger: bool, champion: bool, expected: str) -> None:
    verdict = decide(evidence_of(make_evidence, challenger, champion), CONFIG)
    assert verdict.verdict == expected
    assert ("not_claimed" in verdict.numbers) is not challenger
    assert any(reason.startswith("Not claimed: ") for reason in verdict.reasons) is not challenger


def test_the_reason_says_what_a_person_can_do_and_who_does_it_is_believed(make_evidence) -> None:
    evidence = evidence_of(make_evidence, challenger=False, champion=True)
    refused = decide(evidence, CONFIG)
    assert "the champion's contributions (version 3) are exact sums" in refused.reasons[0]
    assert 'recsys promote 4 --accept-thin-evidence "WHY"' in refused.reasons[0]
    allowed = decide(evidence, CONFIG, accepted_thin_evidence=WHY)
    assert allowed.verdict == "promote"
    assert WHY in allowed.reasons[0]
    assert allowed.numbers["accepted_thin_evidence"] == WHY
    again = decide(evidence, GateConfig.from_dict(allowed.numbers["gate"]), None, WHY)
    assert again == allowed


def test_what_is_worse_stays_refused_whoever_allows_it(make_evidence) -> None:
    evidence = evidence_of(make_evidence, challenger=False, champion=True, factor=0.5)
    assert decide(evidence, CONFIG, accepted_thin_evidence=WHY).verdict == "reject"


def test_a_first_champion_need_not_claim_it(make_evidence) -> None:
    evidence = make_evidence("first", challenger=BASE * 1.2, popularity=BASE)
    verdict = decide(replace(evidence, claims={"challenger": False}), CONFIG)
    assert verdict.verdict == "promote"
    assert verdict.reasons[-1].startswith("Not claimed: version 4 does not say")


def test_evidence_of_before_is_of_models_that_all_claimed_it(make_evidence) -> None:
    evidence = make_evidence("refresh", challenger=BASE, champion=BASE)
    assert evidence.claims == {}
    verdict = decide(evidence, CONFIG)
    assert (verdict.verdict, "not_claimed" in verdict.numbers) == ("promote", False)


def test_evidence_keeps_what_was_claimed(make_evidence, tmp_path) -> None:
    evidence = evidence_of(make_evidence, challenger=False, champion=True)
    assert decide(Evidence.load(evidence.save(tmp_path / "evidence")), CONFIG) == decide(evidence, CONFIG)


def test_the_card_says_it(make_evidence) -> None:
    evidence = evidence_of(make_evidence, challenger=False, champion=False)
    behaviour = [
        {"name": "contributions_sum_to_score", "passed": True, "detail": "not claimed: so", "claimed": False},
        {"name": "history_never_returns", "passed": True, "detail": "20 slots"},  # as results of before: no `claimed`
    ]
    card = as_text(model_card(decide(evidence, CONFIG), evidence, CardFacts("About.", {}, {}, behaviour=behaviour)))
    assert "| contributions_sum_to_score v1 | not claimed | not claimed: so |" in card
    assert "| history_never_returns v1 | passed | 20 slots |" in card
    assert "Its contributions are not claimed to sum to its scores" in card
