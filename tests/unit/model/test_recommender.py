import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.errors import InputError
from recsys.model.counterfactual import counterfactuals
from recsys.model.recommender import RECOMMENDATION_COLUMNS, Recommender

Histories = Callable[..., pd.DataFrame]


def test_contributions_sum_to_the_score_of_every_recommendation(
    recommender: Recommender, random_histories: Histories
) -> None:
    lists = recommender.recommend(random_histories(2000, seed=1), k=10)
    sums = np.array([sum(json.loads(text).values()) for text in lists["contributions"]])
    assert len(lists) > 15_000
    assert np.abs(sums - lists["score"]).max() <= 1e-5


def test_scores_of_lists_are_the_scores_of_the_model(recommender: Recommender, random_histories: Histories) -> None:
    histories = random_histories(50, seed=2)
    users = sorted(histories["user_id"].unique())
    scores = recommender.score(histories, users)
    lists = recommender.recommend(histories, k=5)
    rows = [users.index(user) for user in lists["user_id"]]
    columns = [list(recommender.item_ids).index(item) for item in lists["item_id"]]
    np.testing.assert_array_equal(lists["score"].to_numpy(np.float32), scores[rows, columns])


def test_lists_are_sorted_and_hold_nothing_from_the_history(
    recommender: Recommender, random_histories: Histories
) -> None:
    histories = random_histories(300, seed=3)
    lists = recommender.recommend(histories, k=10)
    assert lists.merge(histories, on=["user_id", "item_id"]).empty
    assert not lists.duplicated(["user_id", "item_id"]).any()
    assert (lists.groupby("user_id")["score"].diff().dropna() <= 0).all()
    assert (lists.groupby("user_id")["rank"].first() == 1).all()


def test_a_user_without_history_gets_the_trend_and_that_reason(recommender: Recommender) -> None:
    empty = pd.DataFrame({"user_id": [], "item_id": [], "signal": [], "weight": []}).astype({"weight": float})
    lists = recommender.recommend(empty, k=10, user_ids=["nobody"])
    trend = np.array([0.6, 0.4]) @ np.asarray(recommender.model.trends) * np.asarray(recommender.model.regard) ** 1.5
    assert list(lists["item_id"]) == list(recommender.item_ids[np.argsort(-trend, kind="stable")[:10]])
    assert set(lists["reason"]) == {"Popular right now"}


def test_who_has_seen_everything_gets_an_empty_list_and_who_has_seen_nearly_all_a_short_one(
    recommender: Recommender,
) -> None:
    everything = [("all", item, "seen", 1.0) for item in recommender.item_ids]
    nearly = [("nearly", item, "like", 1.0) for item in recommender.item_ids[:-2]]
    histories = pd.DataFrame(everything + nearly, columns=["user_id", "item_id", "signal", "weight"])
    lists = recommender.recommend(histories, k=10)
    assert list(lists["user_id"]) == ["nearly", "nearly"]
    assert set(lists["item_id"]) == set(recommender.item_ids[-2:])


def test_asked_about_nobody_it_answers_with_nothing_in_the_same_shape(recommender: Recommender) -> None:
    empty = pd.DataFrame({"user_id": [], "item_id": [], "signal": [], "weight": []}).astype({"weight": float})
    assert recommender.score(empty, []).shape == (0, len(recommender.item_ids))
    assert list(recommender.recommend(empty).columns) == RECOMMENDATION_COLUMNS
    assert list(recommender.top_items(empty, [], 10).columns) == RECOMMENDATION_COLUMNS[:4]
    everything = pd.DataFrame({"user_id": "u", "item_id": recommender.item_ids, "signal": "seen", "weight": 1.0})
    for histories, users in ((empty, []), (everything, ["u"])):
        assert recommender.recommend(histories, 10, users).empty
        assert recommender.top_items(histories, users, 10).empty
    np.testing.assert_array_equal(recommender.score(everything, ["u"]), recommender.score(empty, ["nobody"]))


def test_a_history_of_one_like_is_all_that_a_reason_cites(recommender: Recommender) -> None:
    own = pd.DataFrame({"user_id": ["u"], "item_id": ["i03"], "signal": ["like"], "weight": [0.1]})
    lists = recommender.recommend(own, k=30, user_ids=["u", "nobody"])
    assert lists["user_id"].value_counts().to_dict() == {"nobody": 30, "u": 29}
    names = {name for text in lists["contributions"] for name in json.loads(text) if not name.startswith("genre:")}
    assert names == {"trend", "like:i03", "recent:i03"}


def test_items_that_the_model_does_not_know_change_nothing(recommender: Recommender) -> None:
    histories = pd.DataFrame({"user_id": ["u"], "item_id": ["unheard of"], "signal": ["like"], "weight": [1.0]})
    scores = recommender.score(histories, ["u", "nobody"])
    np.testing.assert_array_equal(scores[0], scores[1])


def test_reasons_cite_the_likes_that_carried_the_item_by_title(recommender: Recommender) -> None:
    histories = pd.DataFrame(
        {"user_id": ["u"] * 2, "item_id": ["i00", "i01"], "signal": ["like"] * 2, "weight": [1.0] * 2}
    )
    top = recommender.recommend(histories, k=10)
    ranks = {
        (item, removed): rank
        for item, removed, rank in counterfactuals(recommender, histories, "u", list(top["item_id"]))[
            ["item_id", "removed_item_id", "rank"]
        ].itertuples(index=False)
    }
    cited = 0
    for row in top.itertuples():
        terms = json.loads(row.contributions)
        least = 0.05 * sum(value for value in terms.values() if value > 0)
        for name in ("i00", "i01"):
            carries = any(terms.get(f"{kind}:{name}", 0.0) >= least for kind in ("like", "recent"))
            holds = carries and ranks[row.item_id, name] >= row.rank
            assert (f"Film {int(name[1:])}" in row.reason) == holds
            cited += holds
    assert cited >= 3


@pytest.mark.slow
def test_a_fresh_process_gives_equal_scores(
    recommender: Recommender, random_histories: Histories, tmp_path: Path
) -> None:
    histories = random_histories(40, seed=6)
    users = sorted(histories["user_id"].unique())
    recommender.save(tmp_path / "saved")
    histories.to_parquet(tmp_path / "histories.parquet")
    code = (
        "import sys, numpy, pandas; from recsys.model.recommender import RECOMMENDATION_COLUMNS, Recommender\n"
        "folder = sys.argv[1]; histories = pandas.read_parquet(folder + '/histories.parquet')\n"
        "scores = Recommender.load(folder + '/saved').score(histories, sorted(histories['user_id'].unique()))\n"
        "numpy.save(folder + '/scores.npy', scores)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), recommender.score(histories, users))


def test_loading_from_a_folder_without_a_model_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.keras, catalog\.parquet, recipe\.json is missing"):
        Recommender.load(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("u", "i00", "adore", 1.0)], "Expected signals"),
        ([("u", "i00", "like", 0.0)], r"weights in \(0, 1\]"),
        ([("u", "i00", "like", 1.5)], r"weights in \(0, 1\]"),
        ([("u", "i00", "like", 1.0), ("u", "i00", "seen", 1.0)], "one row per"),
    ],
)
def test_histories_that_break_their_contract_are_refused(
    recommender: Recommender, rows: list[tuple[str, str, str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        recommender.recommend(pd.DataFrame(rows, columns=["user_id", "item_id", "signal", "weight"]))


def test_a_list_needs_at_least_one_slot(recommender: Recommender, random_histories: Histories) -> None:
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        recommender.recommend(random_histories(1, seed=0), k=0)
