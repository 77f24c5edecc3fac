"""The behaviour tests ask a model of another family for no more than the protocol, and take no claim that it does not make."""

import numpy as np

from recsys.evaluation.behaviour.suite import run_behaviour_tests
from tests.unit.model.test_protocol import popular
from tests.unit.own_models import Popular
from tests.unit.recommenders import make_histories


def test_what_is_not_claimed_is_said_and_all_else_is_tested() -> None:
    found = {one.name: one for one in run_behaviour_tests(popular(), make_histories(30, seed=1), num_dislikes=50)}
    assert {name for name, one in found.items() if not one.claimed} == {
        "contributions_sum_to_score", "deletion_lowers_by_share",
    }  # fmt: skip
    assert found["deletion_lowers_by_share"].detail.startswith("not claimed")
    assert all(
        found[name].passed
        for name in ("history_never_returns", "reload_scores_equally", "extreme_histories_are_answered")
    )
    assert not found["dislike_is_answered"].passed, "one list for everybody answers nobody"


class Boasting(Popular):
    """Claims what does not hold."""

    claims_exact_contributions = True

    def all_contributions(self, histories, lists):
        return [{"popularity": 0.5} for _ in range(len(lists))]

    def scores_without(self, histories, lists, removed):
        return np.ones(len(lists))


def test_a_claim_that_does_not_hold_is_found() -> None:
    one = popular()
    boasting = Boasting(one.scores, one.catalog, one.recipe, one.eligible)
    found = run_behaviour_tests(boasting, make_histories(5, seed=1), num_users=5, num_dislikes=10)
    assert (found[0].name, found[0].passed, found[0].claimed) == ("contributions_sum_to_score", False, True)
