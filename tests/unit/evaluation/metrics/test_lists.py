"""What lists are like, against a slow reference that goes slot by slot."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.evaluation.metrics.item_statistics import KnownItems
from recsys.evaluation.metrics.lists import LIST_METRICS, MAX_LIKES, describe_lists, tastes_of
from recsys.feedback.reasons import FeatureKind

ITEMS = [f"i{n}" for n in range(6)]
USERS = ["ann", "bob", "cid"]
NAMES = st.lists(st.sampled_from("abc"), unique=True, max_size=2).map(tuple)
FILMS = st.lists(st.tuples(NAMES, NAMES, st.sampled_from([None, "x", "y"])), min_size=len(ITEMS), max_size=len(ITEMS))
LISTS = st.lists(st.lists(st.sampled_from([*ITEMS, "stranger"]), unique=True), min_size=3, max_size=3)
PAIRS = st.sets(st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS)))


def catalog(films: list[tuple[tuple[str, ...], tuple[str, ...], str | None]]) -> pd.DataFrame:
    rows = [(item, *film) for item, film in zip(ITEMS, films, strict=True)]
    return pd.DataFrame(rows, columns=["item_id", "genres", "cast", "franchise"])


def as_lists(lists: list[list[str]]) -> pd.DataFrame:
    rows = [
        (user, rank, item) for user, own in zip(USERS, lists, strict=True) for rank, item in enumerate(own, start=1)
    ]
    return pd.DataFrame(rows, columns=["user_id", "rank", "item_id"])


def pairs_frame(pairs: set[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(sorted(pairs), columns=["user_id", "item_id"])


def similar(one: tuple, other: tuple) -> float:
    """Slowly: mean over the kinds that one of both has; NaN where nothing is known of either."""
    kinds = [(set(a), set(b)) for a, b in zip(one, other, strict=True)]
    if not any(a for a, _ in kinds) or not any(b for _, b in kinds):
        return math.nan
    shares = [len(a & b) / len(a | b) for a, b in kinds if a | b]
    return sum(shares) / len(shares)


def features(films: list, item: str) -> tuple:
    if item not in ITEMS:
        return ((), (), ())
    genres, cast, franchise = films[ITEMS.index(item)]
    return (genres, cast, (franchise,) if franchise else ())


def mean(values: list[float]) -> float:
    told = [value for value in values if not math.isnan(value)]
    return sum(told) / len(told) if told else math.nan


def distribution(genres: list[tuple[str, ...]]) -> dict[str, float]:
    total = {g: math.fsum(1 / len(own) for own in genres if g in own) for g in "abc"}
    size = math.fsum(total.values())
    return {g: value / size for g, value in total.items()} if size else {}


def distance(p: dict[str, float], q: dict[str, float]) -> float:
    if not p or not q:
        return math.nan
    middle = {g: (p[g] + q[g]) / 2 for g in p}
    both = sum(sum(x[g] * math.log2(x[g] / middle[g]) for g in x if x[g] > 0) for x in (p, q))
    return math.sqrt(max(both / 2, 0.0))


@settings(deadline=None, max_examples=150)
@given(FILMS, LISTS, PAIRS, PAIRS, st.integers(1, 4))
def test_agrees_with_a_slow_reference(films, lists, met, liked, k) -> None:
    top, examples = as_lists(lists), pairs_frame(met)
    known = KnownItems.build(catalog(films), examples, top["item_id"])
    users = pd.Index(USERS)
    tastes = tastes_of(pairs_frame(liked).assign(signal="like"), users, known)
    found = describe_lists({"some": top}, users, known, tastes, k)
    every = list(known.item_ids)
    counts = {item: sum(i == item for _, i in met) for item in every}
    num_users = len({user for user, _ in met})
    below = {i: sum((counts[j] < counts[i]) + 0.5 * (counts[j] == counts[i]) for j in every) for i in every}
    for row, own in zip(found.to_dict("records"), lists, strict=True):
        first = own[:k]
        own_likes = sorted(i for u, i in liked if u == row["user_id"])
        diversity, liked_diversity = (
            1 - mean([similar(features(films, a), features(films, b)) for a, b in itertools.combinations(items, 2)])
            for items in (first, own_likes)
        )
        shown = distribution([features(films, item)[0] for item in first])
        taste = distribution([features(films, i)[0] for u, i in liked if u == row["user_id"]])
        expected = [
            diversity,
            np.maximum(liked_diversity - diversity, 0),
            mean([-math.log2((counts[item] + 1) / (num_users + 1)) for item in first]),
            mean([below[item] / len(every) for item in first]),
            distance(shown, taste),
        ]
        np.testing.assert_allclose([row[name] for name in LIST_METRICS], expected, atol=1e-7)


def test_only_what_both_sides_tell_makes_items_alike() -> None:
    films = [
        (("a",), (), None), (("a",), (), "x"), (("b",), (), "x"), ((), (), None), (("a", "b"), ("n",), "x"),
        ((), ("n",), None),
    ]  # fmt: skip
    known = KnownItems.build(catalog(films), pairs_frame(set()))
    first, second = np.array([0, 0, 1, 0, 3, 1, 0, -1, 5]), np.array([1, 2, 2, 3, 3, 4, 5, 0, 4])
    found = known.similarity.of_pairs(first, second)
    np.testing.assert_allclose(found, [0.5, 0, 0.5, np.nan, np.nan, (0.5 + 0 + 1) / 3, 0, np.nan, 1 / 3])
    genres = known.similarity.of_pairs(first, second, [FeatureKind.GENRE])
    np.testing.assert_allclose(genres, [1, 0, 0, np.nan, np.nan, 0.5, 0, np.nan, 0])


@pytest.mark.parametrize(
    ("liked", "shown", "expected"),
    [(["i0"], ["i1"], 0.0), (["i0"], ["i2"], 1.0), (["i0", "i2"], ["i1", "i2"], 0.0), ([], ["i0"], np.nan)],
)
def test_calibration_error_goes_from_the_users_own_genres_to_none_of_them(liked, shown, expected) -> None:
    films = [(("a",), (), None), (("a",), (), None), (("b",), (), None), *[((), (), None)] * 3]
    known = KnownItems.build(catalog(films), pairs_frame(set()))
    users = pd.Index(["ann"])
    tastes = tastes_of(pairs_frame({("ann", item) for item in liked}).assign(signal="like"), users, known)
    lists = pd.DataFrame({"user_id": "ann", "rank": range(1, len(shown) + 1), "item_id": shown})
    found = describe_lists({"x": lists}, users, known, tastes)["calibration_error_at_10"].iloc[0]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_dislikes_and_what_was_only_seen_are_no_taste() -> None:
    films = [(("a",), (), None)] * len(ITEMS)
    known = KnownItems.build(catalog(films), pairs_frame(set()))
    histories = pd.DataFrame({"user_id": "ann", "item_id": ITEMS[:3], "signal": ["dislike", "seen", "neutral"]})
    tastes = tastes_of(histories, pd.Index(["ann"]), known)
    assert tastes.genres.sum() == 0
    assert np.isnan(tastes.diversity).all()


def test_only_who_likes_several_things_can_be_given_too_much_of_the_same() -> None:
    films = [(("a",), (), None)] * 3 + [(("b",), (), None), (("c",), (), None), (("a",), (), None)]
    known = KnownItems.build(catalog(films), pairs_frame(set()))
    likes = pairs_frame({("ann", "i0"), ("ann", "i1"), ("bob", "i0"), ("bob", "i3")}).assign(signal="like")
    users = pd.Index(USERS[:2])
    lists = pd.DataFrame({"user_id": np.repeat(users, 2), "rank": [1, 2] * 2, "item_id": ["i2", "i5"] * 2})
    found = describe_lists({"x": lists}, users, known, tastes_of(likes, users, known))
    np.testing.assert_allclose(found["diversity_at_10"], [0, 0])
    np.testing.assert_allclose(found["diversity_shortfall_at_10"], [0, 1])


def test_of_many_likes_the_newest_say_how_diverse_a_taste_is() -> None:
    films = [(("a",), (), None)] * len(ITEMS)
    known = KnownItems.build(catalog(films).assign(genres=[("a",)] * 5 + [("b",)]), pairs_frame(set()))
    likes = pd.DataFrame({"user_id": "ann", "item_id": ["i5", *["i0"] * MAX_LIKES], "signal": "like"})
    for age, expected in ((9.0, 0.0), (-1.0, 2 / MAX_LIKES)):  # the odd one is the oldest, then the newest
        tastes = tastes_of(likes.assign(age_days=[age, *[0.0] * MAX_LIKES]), pd.Index(["ann"]), known)
        np.testing.assert_allclose(tastes.diversity, expected)
