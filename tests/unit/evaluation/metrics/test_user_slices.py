from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from recsys.evaluation.metrics.item_statistics import KnownItems
from recsys.evaluation.metrics.user_slices import DIMENSIONS, activity, lately_disliked, recency, slice_users, taste

BEGIN = datetime(2024, 5, 1, tzinfo=UTC)


def history(user: str, num_items: int, age_days: float = 2.0) -> pd.DataFrame:
    items = [f"i{n}" for n in range(num_items)]
    return pd.DataFrame({"user_id": user, "item_id": items, "signal": "like", "age_days": age_days})


def test_activity_is_in_thirds_of_those_with_a_history() -> None:
    lengths = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 50, "f": 60}
    histories = pd.concat([history(user, n) for user, n in lengths.items()])
    found = activity(pd.Index([*lengths, "nobody"]), histories)
    assert list(found) == ["light", "light", "regular", "regular", "heavy", "heavy", "new"]


def test_users_of_one_length_are_in_one_slice() -> None:
    histories = pd.concat([history(f"u{n}", 3) for n in range(9)])
    assert set(activity(pd.Index([f"u{n}" for n in range(9)]), histories)) == {"light"}
    assert set(activity(pd.Index(["x", "y"]), histories)) == {"new"}


def test_taste_names_the_genres_that_enough_users_share() -> None:
    liked = np.zeros((60, 3))
    liked[:30, 0], liked[30:58, 1], liked[58, 2] = 2, 3, 1  # one user in sixty: less than 5 %
    liked[0, 1] = 2  # as much of the second genre: the first by name stands
    found = taste(liked, ("Action", "Comedy", "Western"))
    assert pd.Series(found).value_counts().to_dict() == {"Action": 30, "Comedy": 28, "other": 1, "unknown": 1}
    assert list(taste(np.zeros((2, 0)), ())) == ["unknown"] * 2


@pytest.mark.parametrize(
    ("age_days", "band"),
    [
        (0.2, "within a day"),
        (1.0, "within a day"),
        (5, "within a week"),
        (30, "within a month"),
        (99, "longer ago"),
    ],
)
def test_recency_is_that_of_the_newest_event(age_days: float, band: str) -> None:
    histories = pd.concat([history("ann", 3, age_days + 50), history("ann", 1, age_days)])
    assert list(recency(pd.Index(["ann", "nobody"]), histories)) == [band, "never"]


def opinions(item: str, liked: int, disliked: int, days_ago: float) -> pd.DataFrame:
    at = BEGIN - timedelta(days=days_ago)
    return pd.DataFrame({"item_id": item, "label": [1] * liked + [0] * disliked, "occurred_at": pd.Timestamp(at)})


def test_lately_disliked_is_what_met_with_more_dislikes_than_usual() -> None:
    examples = pd.concat([
        opinions("hated", 1, 3, 5), opinions("loved", 20, 2, 5), opinions("one voice", 0, 1, 5),
        opinions("long ago", 0, 9, 40),
    ])  # fmt: skip
    assert lately_disliked(examples, BEGIN) == {"hated"}
    assert lately_disliked(examples.iloc[:0], BEGIN) == set()


def test_every_user_is_in_one_slice_of_every_dimension() -> None:
    items = pd.DataFrame({"item_id": ["hated", "i0"], "genres": [("Drama",), ("Comedy",)]})
    examples = pd.concat([opinions("hated", 1, 3, 5), opinions("i0", 4, 0, 5)]).assign(user_id=list("abcdabcd"))
    known = KnownItems.build(items, examples)
    judgements = pd.DataFrame(
        {"user_id": ["ann", "bob", "bob"], "item_id": ["hated", "hated", "i0"], "label": [1, 0, 1]}
    )
    liked = np.array([[0.0, 1.0], [0.0, 0.0]])
    users = pd.Index(["ann", "bob"])
    found = slice_users(users, history("ann", 1), judgements, examples, liked, known, BEGIN)
    assert list(found) == ["user_id", *DIMENSIONS]
    assert found.iloc[0].tolist() == ["ann", "light", "Drama", "within a week", "likes what others disliked"]
    assert found.iloc[1].tolist() == ["bob", "new", "unknown", "never", "rest"]
