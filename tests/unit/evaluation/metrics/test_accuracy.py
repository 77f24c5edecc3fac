import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation.metrics.accuracy import METRICS, coverage, evaluate_lists

USERS, ITEMS = ["ann", "bob", "cid"], [f"i{n}" for n in range(7)]

lists_of_users = st.dictionaries(st.sampled_from([*USERS, "stranger"]), st.lists(st.sampled_from(ITEMS), unique=True))
labels_of_users = st.dictionaries(
    st.sampled_from(USERS),
    st.dictionaries(st.sampled_from([*ITEMS, "unknown to every system"]), st.sampled_from([0, 1]), min_size=1),
    min_size=1,
)


def as_lists(lists: dict[str, list[str]]) -> pd.DataFrame:
    rows = [(user, rank, item) for user, items in lists.items() for rank, item in enumerate(items, start=1)]
    return pd.DataFrame(rows, columns=["user_id", "rank", "item_id"])


def as_judgements(labels: dict[str, dict[str, int]]) -> pd.DataFrame:
    rows = [(user, item, label) for user, items in labels.items() for item, label in items.items()]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "label"]).astype({"label": np.int8})


def brute_force(items: list[str], labels: dict[str, int], k: int, recall_k: int) -> list[float]:
    """One user's metrics, slot by slot, in the order of METRICS."""
    liked = {item for item, label in labels.items() if label == 1}
    disliked = set(labels) - liked
    ndcg = recall = reciprocal = exposure = math.nan
    if liked:
        gained = ideal = 0.0
        for slot in range(k):
            discount = math.log(2) / math.log(slot + 2)
            if slot < len(items) and items[slot] in liked:
                gained += discount
            if slot < len(liked):
                ideal += discount
        ndcg = gained / ideal
        recall = len(liked & set(items[:recall_k])) / len(liked)
        reciprocal = next((1 / (slot + 1) for slot, item in enumerate(items[:recall_k]) if item in liked), 0.0)
    if disliked:
        exposure = sum(item in disliked for item in items[:k]) / k
    return [ndcg, recall, reciprocal, exposure]


@settings(deadline=None)
@given(lists_of_users, labels_of_users, st.integers(1, 5), st.integers(1, 6), st.randoms(use_true_random=False))
def test_agrees_with_a_brute_force(lists, labels, k, recall_k, random) -> None:
    rows = as_lists(lists)
    order = list(range(len(rows)))
    random.shuffle(order)  # the ranks count, not the order of the rows
    judged = evaluate_lists({"some": rows.iloc[order], "empty": rows.iloc[:0]}, as_judgements(labels), k, recall_k)
    assert list(zip(judged["system"], judged["user_id"], strict=True)) == [
        (system, user) for system in ("empty", "some") for user in sorted(labels)
    ]
    for row in judged.to_dict("records"):
        items = lists.get(row["user_id"], []) if row["system"] == "some" else []
        own = labels[row["user_id"]]
        assert (row["num_liked"], row["num_disliked"]) == (sum(own.values()), len(own) - sum(own.values()))
        np.testing.assert_allclose([row[name] for name in METRICS], brute_force(items, own, k, recall_k), atol=1e-12)


def test_a_worked_example() -> None:
    """Liked at ranks 2 and 4 of three liked; one disliked at rank 1."""
    lists = as_lists({"ann": ["i0", "i1", "i2", "i3"]})
    labels = as_judgements({"ann": {"i0": 0, "i1": 1, "i3": 1, "never made": 1}})
    row = evaluate_lists({"x": lists}, labels).iloc[0]
    gained, ideal = 1 / math.log2(3) + 1 / math.log2(5), 1 + 1 / math.log2(3) + 1 / math.log2(4)
    np.testing.assert_allclose(list(row[list(METRICS)]), [gained / ideal, 2 / 3, 1 / 2, 1 / 10])


def test_a_perfect_list_has_an_ndcg_of_one_however_many_items_are_liked() -> None:
    items = [f"i{n}" for n in range(30)]
    for num_liked in (1, 9, 10, 11, 30):
        labels = as_judgements({"ann": dict.fromkeys(items[:num_liked], 1)})
        assert evaluate_lists({"x": as_lists({"ann": items})}, labels)["ndcg_at_10"].item() == pytest.approx(1.0)


def test_users_of_the_lists_whom_nobody_judged_are_left_out() -> None:
    judged = evaluate_lists({"x": as_lists({"ann": ["i0"], "bob": ["i0"]})}, as_judgements({"bob": {"i0": 1}}))
    assert list(judged["user_id"]) == ["bob"]


def test_an_empty_holdout_gives_no_rows() -> None:
    judged = evaluate_lists({"x": as_lists({"ann": ["i0"]})}, as_judgements({}))
    assert judged.empty
    assert {"system", "user_id", "num_liked", "num_disliked", *METRICS} == set(judged)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (as_lists({"ann": ["i0", "i1", "i0"]}), "gives user ann the item_id i0 twice"),
        (as_lists({"ann": ["i0", "i1"]}).assign(rank=1), "gives user ann the rank 1 twice"),
        (as_lists({"ann": ["i0", "i1"]}).assign(rank=[0, 1]), r"Expected ranks 1, 2, 3"),
        (as_lists({"ann": ["i0", "i1"]}).assign(rank=[1.0, 1.5]), r"Expected ranks 1, 2, 3"),
        (as_lists({"ann": ["i0"]}).drop(columns="rank"), r"missing \['rank'\]"),
    ],
)
def test_lists_that_are_no_lists_are_refused(lists: pd.DataFrame, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        evaluate_lists({"x": lists}, as_judgements({"ann": {"i0": 1}}))


@pytest.mark.parametrize(
    ("judgements", "expected"),
    [
        (pd.concat([as_judgements({"ann": {"i0": 1}}), as_judgements({"ann": {"i0": 0}})]), "user ann with item i0"),
        (as_judgements({"ann": {"i0": 1}}).assign(label=2), r"got \['2'\]"),
        (as_judgements({"ann": {"i0": 1}}).assign(label=np.nan), r"got \['nan'\]"),
        (as_judgements({"ann": {"i0": 1}}).drop(columns="label"), r"missing \['label'\]"),
    ],
)
def test_judgements_that_contradict_themselves_are_refused(judgements: pd.DataFrame, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        evaluate_lists({"x": as_lists({"ann": ["i0"]})}, judgements)


def test_no_system_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one system"):
        evaluate_lists({}, as_judgements({"ann": {"i0": 1}}))


def test_coverage_counts_each_item_once_and_only_the_first_k() -> None:
    lists = as_lists({"ann": ["i0", "i1", "i2"], "bob": ["i1", "i0", "i3"]})
    assert coverage(lists, 8, 2) == pytest.approx(2 / 8)
    assert coverage(lists, 8, 3) == pytest.approx(4 / 8)
    assert coverage(lists.iloc[:0], 8, 3) == 0


def test_ten_thousand_users_are_judged_within_a_second() -> None:
    rng = np.random.default_rng(0)
    users, items = np.array([f"u{n}" for n in range(10_000)]), np.array([f"i{n}" for n in range(2_000)])
    starts = rng.integers(0, 2_000, (10_000, 1))
    positions = (starts + np.arange(20)) % 2_000
    lists = pd.DataFrame(
        {"user_id": users.repeat(20), "rank": np.tile(np.arange(1, 21), 10_000), "item_id": items[positions.ravel()]}
    )
    judgements = lists[lists["rank"] % 4 == 0].assign(label=lambda frame: (frame["rank"] % 8 == 0).astype(np.int8))
    began = time.process_time()
    judged = evaluate_lists({"x": lists}, judgements)
    assert time.process_time() - began < 1.0
    assert len(judged) == 10_000
