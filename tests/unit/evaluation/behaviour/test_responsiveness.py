"""How much less the next list resembles a film, against a slow reference; and the power that a fit chooses by it."""

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.behaviour.responsiveness import (
    REASON_ABOUT,
    dislike_is_answered,
    next_resemblance,
    resemblance,
    simulate_dislikes,
)
from recsys.evaluation.metrics.similarity import ItemSimilarity
from recsys.feedback.reasons import FeatureKind
from recsys.model.recommender import Recommender
from recsys.training.head.adjustment_power import choose_power
from recsys.training.recipe.recipe import AnswerConfig
from tests.unit.recommenders import NUM_ITEMS, make_fitting_histories, make_recommender

CONFIG = AnswerConfig(num_dislikes=150)


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    """Films with genres, cast and, every third one, a franchise."""
    made, rng = make_recommender(), np.random.default_rng(0)
    cast = [tuple(f"actor {n}" for n in rng.choice(8, size=2, replace=False)) for _ in range(NUM_ITEMS)]
    franchise = [f"saga {n % 2}" if n % 3 == 0 else None for n in range(NUM_ITEMS)]
    catalog = made.catalog.assign(cast=cast, franchise=franchise)
    return Recommender(made.model, catalog, made.genre_names, made.recipe)


@pytest.fixture(scope="module")
def histories(recommender: Recommender) -> pd.DataFrame:
    return make_fitting_histories(recommender, 60, seed=2)


def test_each_reason_is_the_one_about_its_features() -> None:
    assert REASON_ABOUT == {
        FeatureKind.GENRE: "wrong_genre", FeatureKind.CAST: "poor_quality", FeatureKind.FRANCHISE: "tired_of_franchise",
    }  # fmt: skip


def test_users_dislike_items_of_their_own_lists(recommender: Recommender, histories: pd.DataFrame) -> None:
    simulated = simulate_dislikes(recommender, histories, 150, seed=0)
    dislikes, lists = simulated.dislikes, recommender.top_items(histories, sorted(histories["user_id"].unique()), 10)
    listed = set(zip(lists["user_id"], lists["item_id"], strict=True))
    pairs = list(zip(dislikes["of_user"], dislikes["item_id"], strict=True))
    assert 100 < len(pairs) <= 150
    assert set(pairs) <= listed
    assert len(set(pairs)) == len(pairs)  # nobody dislikes an item twice
    assert dislikes["of_user"].nunique() == histories["user_id"].nunique()  # everybody comes once before anybody again
    assert set(dislikes["kind"]) == set(FeatureKind)
    own = simulated.histories.groupby("user_id").size()
    lengths = histories.groupby("user_id").size()
    assert (own.reindex(dislikes["user_id"]).to_numpy() == lengths.reindex(dislikes["of_user"]).to_numpy()).all()


def test_resemblance_agrees_with_a_slow_reference(recommender: Recommender, histories: pd.DataFrame) -> None:
    simulated = simulate_dislikes(recommender, histories, 40, seed=1)
    features = {row["item_id"]: row for row in recommender.catalog.to_dict("records")}

    def names(item: str, kind: FeatureKind) -> set[str]:
        film = features[item]
        value = {"genre": film["genres"], "cast": film["cast"], "franchise": (film["franchise"],)}[str(kind)]
        return {name for name in value if name}

    lists = recommender.top_items(histories, sorted(histories["user_id"].unique()), 10)
    for row in simulated.dislikes.to_dict("records"):
        own = lists.loc[lists["user_id"] == row["of_user"], "item_id"]
        disliked = names(row["item_id"], row["kind"])
        shares = [len(disliked & names(i, row["kind"])) / len(disliked | names(i, row["kind"])) for i in own]
        assert row["item_id"] in set(own)  # counts before, as 1
        assert row["before"] == pytest.approx(sum(shares) / 10)


def test_an_empty_slot_resembles_nothing(recommender: Recommender) -> None:
    dislikes = pd.DataFrame({"user_id": ["a"], "position": [0], "kind": [FeatureKind.GENRE]})
    lists = pd.DataFrame({"user_id": ["a"], "item_id": [recommender.item_ids[0]]})
    found = resemblance(ItemSimilarity(recommender.features), dislikes, lists, recommender)
    assert found.tolist() == [0.1]


def test_a_reason_answers_more_than_none_and_a_larger_power_more_than_a_smaller(recommender, histories) -> None:
    falls = []
    for power in (1.0, 3.0, 9.0):
        one = recommender.with_adjustment_power(power)
        simulated = simulate_dislikes(one, histories, 150, seed=4)
        before = simulated.dislikes["before"].mean()
        falls.append(1 - next_resemblance(one, simulated).mean() / before)
    silent = 1 - next_resemblance(one, simulated, "unspecified").mean() / before
    assert silent < falls[0] < falls[1] < falls[2]


def test_a_fit_takes_the_smallest_power_that_is_surely_enough(recommender, histories) -> None:
    chosen = choose_power(recommender, histories, CONFIG, seed=0)
    assert chosen.power in CONFIG.powers[1:-1]
    assert chosen.fall >= 0.6
    place = CONFIG.powers.index(chosen.power)
    weaker = dislike_is_answered(recommender.with_adjustment_power(CONFIG.powers[place - 1]), histories, 150, seed=0)
    assert weaker.metrics["responsiveness_low"] < 0.6
    assert choose_power(recommender, histories, CONFIG, seed=0) == chosen


def test_where_nothing_is_enough_the_strongest_stands_and_without_features_none_is_needed(
    recommender, histories
) -> None:
    hopeless = AnswerConfig(min_fall=0.999, powers=(1.0, 2.0, 3.0), num_dislikes=60)
    assert choose_power(recommender, histories, hopeless, seed=0).power == 3.0
    catalog = recommender.catalog.assign(genres=[()] * NUM_ITEMS, cast=[()] * NUM_ITEMS, franchise=None)
    plain = Recommender(recommender.model, catalog, recommender.genre_names, recommender.recipe)
    assert choose_power(plain, histories, CONFIG, seed=0).power == 1.0
    assert "nothing to measure" in dislike_is_answered(plain, histories, 60).detail


def test_the_power_is_kept_with_the_model(recommender: Recommender, histories: pd.DataFrame, tmp_path) -> None:
    one = recommender.with_adjustment_power(3.0)
    again = Recommender.load(one.save(tmp_path / "recommender"))
    assert again.adjustment_power == again.features.power == 3.0
    told = histories.assign(reason=np.where(histories["signal"] == "dislike", "wrong_genre", ""))
    users = sorted(histories["user_id"].unique())
    np.testing.assert_array_equal(one.score(told, users), again.score(told, users))
    assert not np.array_equal(one.score(told, users), recommender.score(told, users))
