"""Everything at once: models and baselines on one holdout."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.baselines import compared_lists
from recsys.evaluation.evaluate import USER_METRICS, Holdout, evaluate_systems
from recsys.evaluation.metrics.catalog import SYSTEM_METRICS
from recsys.evaluation.metrics.user_slices import DIMENSIONS
from recsys.model.recommender import Recommender
from tests.unit.recommenders import NUM_ITEMS, make_histories, make_recommender

BEGIN = datetime(2024, 5, 1, tzinfo=UTC)


def make_holdout(num_users: int, recommender: Recommender) -> Holdout:
    """Half of what users have met is from before the holdout, half is what comes."""
    every = make_histories(num_users, seed=4)
    every = every[every["signal"].isin(["like", "dislike"])].reset_index(drop=True)
    label = (every["signal"] == "like").astype(int)
    before = np.arange(len(every)) % 2 == 0
    occurred_at = pd.Timestamp(BEGIN) - pd.to_timedelta(every["age_days"] + 1, unit="D")
    return Holdout(
        judgements=every[~before][["user_id", "item_id"]].assign(label=label[~before]),
        examples=every[before][["user_id", "item_id"]].assign(label=label[before], occurred_at=occurred_at[before]),
        histories=every[before],
        items=recommender.catalog,
        begins_at=BEGIN,
        half_life_days=3.0,
    )


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return make_recommender()


def test_nothing_is_left_out(recommender: Recommender) -> None:
    holdout = make_holdout(500, recommender)
    found = evaluate_systems({"challenger": recommender, "champion": recommender}, holdout, NUM_ITEMS)
    users = sorted(holdout.judgements["user_id"].unique())
    systems = ["challenger", "champion", "decayed_popularity", "popularity"]
    assert list(zip(found.per_user["system"], found.per_user["user_id"], strict=True)) == [
        (system, user) for system in systems for user in users
    ]
    assert set(USER_METRICS) <= set(found.per_user)
    assert set(found.per_system) == set(systems)
    assert all(set(own) == set(SYSTEM_METRICS) for own in found.per_system.values())
    assert list(found.slices) == ["user_id", *DIMENSIONS]
    assert list(found.slices["user_id"]) == users
    pd.testing.assert_frame_equal(*(
        found.per_user[found.per_user["system"] == name].drop(columns="system").reset_index(drop=True)
        for name in ("challenger", "champion")
    ))  # fmt: skip


def test_auc_is_there_for_who_liked_and_disliked_and_only_for_them(recommender: Recommender) -> None:
    holdout = make_holdout(60, recommender)
    per_user = evaluate_systems({"challenger": recommender}, holdout, NUM_ITEMS).per_user
    has_both = (per_user["num_liked"] > 0) & (per_user["num_disliked"] > 0)
    assert (per_user["auc"].notna() == has_both).all()
    assert 0 < has_both.sum() < len(per_user)


def test_what_the_holdout_holds_changes_neither_popularity_nor_novelty(recommender: Recommender) -> None:
    """Otherwise a system would be called popular for predicting the future."""
    holdout = make_holdout(60, recommender)
    names = ["novelty_at_10", "popularity_at_10", "diversity_at_10", "calibration_error_at_10"]
    before = evaluate_systems({"challenger": recommender}, holdout, NUM_ITEMS).per_user
    flipped = holdout.judgements.assign(label=1 - holdout.judgements["label"])
    other = Holdout(**{**vars(holdout), "judgements": flipped})
    after = evaluate_systems({"challenger": recommender}, other, NUM_ITEMS).per_user
    pd.testing.assert_frame_equal(before[names], after[names])
    assert not before["ndcg_at_10"].equals(after["ndcg_at_10"])


def test_what_is_barred_is_neither_listed_nor_judged(recommender: Recommender) -> None:
    """All systems choose from the same items, and their hits count among those only."""
    holdout = make_holdout(200, recommender)
    barred = frozenset(f"i{n:02d}" for n in range(0, NUM_ITEMS, 2))
    restricted = Holdout(**{**vars(holdout), "barred": barred})
    assert set(restricted.judgements["item_id"]) == set(holdout.judgements["item_id"]) - barred
    lists = compared_lists(
        {"challenger": recommender, "champion": recommender.without_items(frozenset(["i01"]))},
        restricted.examples, restricted.histories, sorted(holdout.judgements["user_id"].unique()), BEGIN, 3.0, barred,
    )  # fmt: skip
    assert set(lists) == {"challenger", "champion", "popularity", "decayed_popularity"}
    for own in lists.values():
        assert set(own["item_id"]).isdisjoint(barred)
    assert "i01" in set(lists["champion"]["item_id"])  # judged by the run's rule, whatever the champion was made for
    found = evaluate_systems({"challenger": recommender}, restricted, NUM_ITEMS).per_user
    judged = restricted.judgements[restricted.judgements["label"] == 1].groupby("user_id").size()
    own = found[found["system"] == "challenger"].set_index("user_id")["num_liked"]
    assert own[own > 0].to_dict() == judged.to_dict()
    assert set(found["user_id"]) == set(restricted.judgements["user_id"])


def test_a_holdout_without_users_is_judged_too(recommender: Recommender) -> None:
    holdout = make_holdout(20, recommender)
    empty = Holdout(**{**vars(holdout), "judgements": holdout.judgements.iloc[:0]})
    found = evaluate_systems({"challenger": recommender}, empty, NUM_ITEMS)
    assert found.per_user.empty
    assert found.slices.empty
    assert set(USER_METRICS) <= set(found.per_user)


def test_the_same_list_for_everybody_shows(recommender: Recommender) -> None:
    holdout = make_holdout(300, recommender)
    found = evaluate_systems({"challenger": recommender}, holdout, NUM_ITEMS).per_system
    assert found["popularity"]["personalisation_at_10"] < found["challenger"]["personalisation_at_10"]
    assert found["popularity"]["gini_at_10"] > found["challenger"]["gini_at_10"]


def test_later_events_do_not_leak_into_examples_by_mistake(recommender: Recommender) -> None:
    holdout = make_holdout(20, recommender)
    later = holdout.examples.assign(occurred_at=pd.Timestamp(BEGIN + timedelta(days=1)))
    with pytest.raises(ValueError, match="after"):
        evaluate_systems({"challenger": recommender}, Holdout(**{**vars(holdout), "examples": later}), NUM_ITEMS)
