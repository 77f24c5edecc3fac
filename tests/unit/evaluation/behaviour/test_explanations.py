"""Explanations that say what the model does pass; any that do not are found, with an example."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recsys.evaluation.behaviour.explanations import measure_fidelity, sample_users
from recsys.evaluation.behaviour.suite import run_behaviour_tests
from recsys.model.explainer import Explainer
from recsys.model.recommender import Recommender
from tests.unit.recommenders import make_histories, make_recommender, with_reasons

Perturb = Callable[[Explainer], None]
HISTORIES = with_reasons(make_histories(30, seed=1), seed=1)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return make_recommender()


def explained_wrongly(recommender: Recommender, perturb: Perturb) -> Recommender:
    """The same model with an explainer that reads something else."""

    class Wrong(Recommender):
        def explainer(self) -> Explainer:
            found = super().explainer()
            perturb(found)
            return found

    return Wrong(recommender.model, recommender.catalog, recommender.genre_names, recommender.recipe)


def test_honest_explanations_are_exact_and_their_numbers_are_told(recommender: Recommender) -> None:
    results = run_behaviour_tests(recommender, HISTORIES, num_users=30, num_dislikes=10)
    assert all(result.passed for result in results[:2])
    metrics = results[0].metrics
    assert metrics["fidelity_num_recommendations"] > 250
    assert 0 < metrics["fidelity_max_sum_error"] < 1e-6
    assert 0 < metrics["fidelity_max_deletion_error_at_1"] < 1e-6
    assert 0 < metrics["fidelity_max_deletion_error_at_3"] < 1e-6
    assert 0.05 < metrics["fidelity_mean_share_at_1"] < metrics["fidelity_mean_share_at_3"] < 1


def failed(recommender: Recommender) -> dict[str, str]:
    """Behaviour tests that fail for the explanations of a few users, but not for honest ones, with what they say.

    The weights are drawn at random: what users like, and how lists answer, is not in them.
    """
    found, honest = (
        {result.name: result.detail for result in run_behaviour_tests(one, HISTORIES, num_users=5, num_dislikes=10)
         if not result.passed}
        for one in (recommender, make_recommender())
    )  # fmt: skip
    return {name: detail for name, detail in found.items() if name not in honest}


def double_likes(explainer: Explainer) -> None:
    explainer.weight["likes"] *= 2


def other_links(explainer: Explainer) -> None:
    explainer.transitions = replace(explainer.transitions, matrix=explainer.transitions.matrix.T)


@pytest.mark.parametrize("perturb", [double_likes, other_links])
def test_an_explainer_that_reads_other_weights_fails_both(recommender: Recommender, perturb: Perturb) -> None:
    found = failed(explained_wrongly(recommender, perturb))
    assert set(found) == {"contributions_sum_to_score", "deletion_lowers_by_share"}
    assert re.match(
        r"user u\d+, item i\d+: the contributions sum to -?[\d.]+, the score is -?[\d.]+$",
        found["contributions_sum_to_score"],
    )


def swap_names(explainer: Explainer) -> None:
    """What one like adds is told of another: every sum stays right."""
    explainer.labels["like"] = np.roll(explainer.labels["like"], 1)


def test_contributions_told_of_the_wrong_item_fail_by_deletion_alone(recommender: Recommender) -> None:
    found = failed(explained_wrongly(recommender, swap_names))
    assert set(found) == {"deletion_lowers_by_share"}
    assert re.match(
        r"user u\d+, item i\d+: without i\d+.* the score falls by .+, the share is ", found["deletion_lowers_by_share"]
    )


def test_the_taste_for_genres_is_not_what_an_item_adds(recommender: Recommender) -> None:
    """Deletion holds the taste: a share that had it in would not be what the other likes leave."""
    head = np.asarray(recommender.model.head).copy()
    head[list(recommender.model.head_names).index("genres")] = 50.0
    other = make_recommender()
    other.model.head.assign(head)
    measured = measure_fidelity(other, HISTORIES, sample_users(HISTORIES, 10, np.random.default_rng(0)))
    assert measured.max_deletion_error_at_3 < 1e-5


def test_without_users_there_is_nothing_to_measure(recommender: Recommender) -> None:
    measured = measure_fidelity(recommender, HISTORIES[:0], [])
    assert (measured.num_recommendations, measured.max_sum_error, measured.mean_share_at_3) == (0, 0.0, 0.0)
    strangers = measure_fidelity(recommender, HISTORIES[:0], ["nobody"])
    assert (strangers.num_recommendations, strangers.mean_share_at_1, strangers.worst_deletion != "") == (10, 0.0, True)


def test_a_sample_has_each_user_once() -> None:
    users = sample_users(HISTORIES, 1000, np.random.default_rng(0))
    assert sorted(users) == sorted(HISTORIES["user_id"].unique())
