"""No list of a model holds an item that is not eligible, whatever its users did."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.behaviour.responsiveness import simulate_dislikes
from recsys.evaluation.behaviour.suite import run_behaviour_tests
from recsys.model.counterfactual import counterfactuals
from recsys.model.recommender import Recommender
from tests.unit.recommenders import NUM_ITEMS, make_fitting_histories

Histories = Callable[..., pd.DataFrame]
YEARS = [2000 + n for n in range(NUM_ITEMS)]


@pytest.fixture
def restricted(recommender: Recommender) -> Recommender:
    """Its version may recommend films of up to 2011: the first twelve, but one that is hidden."""
    catalog = recommender.catalog.assign(release_year=YEARS, is_hidden=[n == 3 for n in range(NUM_ITEMS)])
    recipe = {**recommender.recipe, "eligible": {"max_year": 2011}}
    return Recommender(recommender.model, catalog, recommender.genre_names, recipe)


ELIGIBLE = {f"i{n:02d}" for n in range(12)} - {"i03"}


def test_lists_hold_only_what_is_eligible(restricted: Recommender, random_histories: Histories) -> None:
    histories = random_histories(2_000, seed=1)
    for lists in (
        restricted.recommend(histories, k=10),
        restricted.top_items(histories, sorted(histories["user_id"].unique()), 10),
        restricted.with_adjustment_power(3.0).recommend(histories, k=10),
    ):
        assert set(lists["item_id"]) == ELIGIBLE
        assert lists.merge(histories, on=["user_id", "item_id"]).empty


def test_a_list_is_as_long_as_what_is_left(restricted: Recommender, random_histories: Histories) -> None:
    histories = random_histories(300, seed=2)
    lists = restricted.recommend(histories, k=NUM_ITEMS)
    met = histories[histories["item_id"].isin(ELIGIBLE)].groupby("user_id").size()
    users = pd.Index(sorted(histories["user_id"].unique()))
    assert lists.groupby("user_id").size().reindex(users).tolist() == [len(ELIGIBLE) - met.get(u, 0) for u in users]


@pytest.mark.parametrize("seed", range(5))
def test_any_set_of_items_can_be_barred(recommender: Recommender, random_histories: Histories, seed: int) -> None:
    rng = np.random.default_rng(seed)
    barred = frozenset(rng.choice(recommender.item_ids, int(rng.integers(1, NUM_ITEMS)), replace=False))
    histories = random_histories(200, seed=seed)
    free, bound = (
        model.recommend(histories, k=NUM_ITEMS) for model in (recommender, recommender.without_items(barred))
    )
    expected = free[~free["item_id"].isin(barred)]
    assert set(bound["item_id"]).isdisjoint(barred)
    assert list(bound["item_id"]) == list(expected["item_id"])  # the rest, in the same order, with the same scores
    np.testing.assert_array_equal(bound["score"], expected["score"])


def test_scores_are_those_of_all_items(restricted: Recommender, random_histories: Histories) -> None:
    histories = random_histories(50, seed=3)
    users = sorted(histories["user_id"].unique())
    everything = replace(restricted, eligible=np.ones(NUM_ITEMS, bool))
    np.testing.assert_array_equal(restricted.score(histories, users), everything.score(histories, users))


def test_what_is_eligible_is_saved_with_the_version(
    restricted: Recommender, random_histories: Histories, tmp_path: Path
) -> None:
    histories = random_histories(50, seed=4)
    again = Recommender.load(restricted.save(tmp_path))
    assert again.rule.as_dict() == {"max_year": 2011}
    pd.testing.assert_frame_equal(again.recommend(histories, 5), restricted.recommend(histories, 5))


def test_counterfactual_ranks_count_eligible_items_only(restricted: Recommender, random_histories: Histories) -> None:
    histories = random_histories(20, seed=7)
    for user in sorted(histories["user_id"].unique())[:5]:
        top = restricted.recommend(histories, 5, [user])
        found = counterfactuals(restricted, histories, user, list(top["item_id"]))
        assert found["rank"].max() <= len(ELIGIBLE)
        for row in found.itertuples():
            without = histories.copy()
            mine = (without["user_id"] == user) & (without["item_id"] == row.removed_item_id)
            # The removed item is still seen, and the others keep their weights: the rank is that of the model's scores.
            block = restricted.matrices(without[without["user_id"] == user], [user]).without(
                np.zeros(1, np.int64), [[restricted.positions[str(row.removed_item_id)]]]
            )
            scores = np.asarray(restricted.model(block.inputs(restricted.features)))[0]
            is_open = restricted.is_open_to(block)[0]
            order = [restricted.item_ids[j] for j in np.argsort(-scores, kind="stable") if is_open[j]]
            assert mine.sum() == 1
            assert order.index(row.item_id) + 1 == row.rank


def test_simulated_dislikes_are_of_eligible_items(restricted: Recommender, random_histories: Histories) -> None:
    simulated = simulate_dislikes(restricted, random_histories(200, seed=5), 100, seed=0)
    assert len(simulated.dislikes)
    assert set(simulated.dislikes["item_id"]) <= ELIGIBLE


def test_behaviour_tests_expect_lists_of_eligible_items(restricted: Recommender) -> None:
    histories = make_fitting_histories(restricted, 150, seed=1)
    results = {result.name: result for result in run_behaviour_tests(restricted, histories, num_dislikes=50)}
    for name in (
        "extreme_histories_are_answered",
        "stranger_gets_a_list",
        "history_never_returns",
        "reload_scores_equally",
    ):
        assert results[name].passed, results[name].detail
