"""Features that stand out, against a reference that counts dislikes one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from recsys.feedback.adjustments import ItemFeatures
from recsys.feedback.lifts import Basis, ItemCount, compare, measure_lifts
from recsys.feedback.reasons import FeatureKind

GENRES, CAST, FRANCHISES = ("Horror", "Comedy", "War"), ("Ann", "Bob"), ("Saga", None)
FILMS = st.builds(
    ItemFeatures,
    genres=st.lists(st.sampled_from(GENRES), max_size=3).map(tuple),
    cast=st.lists(st.sampled_from(CAST), max_size=2).map(tuple),
    franchise=st.sampled_from(FRANCHISES),
)


def has(film: ItemFeatures, kind: FeatureKind, name: str) -> bool:
    return name in film.of_kind(kind)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FILMS, st.integers(0, 15), st.integers(0, 40)), min_size=1, max_size=8))
def test_lifts_are_those_of_counting_one_by_one(films: Sequence[tuple[ItemFeatures, int, int]]) -> None:
    items = [ItemCount(f"i{n}", dislikes, met, "u1", "u2") for n, (_, dislikes, met) in enumerate(films)]
    features = {f"i{n}": film for n, (film, _, _) in enumerate(films)}
    comparison = compare(items, features, Basis.EXPOSURES)
    dislikes = [film for film, count, met in films for _ in range(count) if met]
    shown = [film for film, _, met in films for _ in range(met)]
    assert (comparison.num_compared, comparison.num_met) == (len(dislikes), len(shown))
    for lift in measure_lifts(comparison):
        among = sum(has(film, lift.kind, lift.name) for film in dislikes)
        met = sum(has(film, lift.kind, lift.name) for film in shown)
        assert (lift.compared, lift.met) == (among, met)
        if dislikes and met:
            assert lift.lift == pytest.approx(among / len(dislikes) / (met / len(shown)))
        else:
            assert lift.lift is None
            assert lift.p_value is None


def test_a_film_counts_a_feature_once_and_an_unknown_film_none() -> None:
    comparison = compare(
        [ItemCount("a", 2, 4, "u1", "u2"), ItemCount("b", 1, 4, "u1", "u1")],
        {"a": ItemFeatures(("War", "War"), ("War",))}, Basis.OPINIONS,
    )  # fmt: skip
    assert Counter((f.kind, f.name, f.num_dislikes, f.num_met) for f in comparison.features) == Counter(
        [(FeatureKind.GENRE, "War", 2, 4), (FeatureKind.CAST, "War", 2, 4)]
    )
    assert comparison.num_dislikes == 3


def test_what_nobody_met_is_not_compared() -> None:
    items = [ItemCount("shown", 1, 100, "u1", "u1"), ItemCount("elsewhere", 50, 0, "u1", "u9")]
    features = {"shown": ItemFeatures(("War",)), "elsewhere": ItemFeatures(("Horror",))}
    comparison = compare(items, features, Basis.EXPOSURES)
    assert (comparison.num_dislikes, comparison.num_compared) == (51, 1)
    horror, war = measure_lifts(comparison)
    assert (horror.name, horror.dislikes, horror.compared, horror.lift) == ("Horror", 50, 0, None)
    assert (war.lift, war.share) == (1.0, 1.0)


def test_p_values_are_binomial_and_corrected_by_holm() -> None:
    counts = {"a": (12, 10), "b": (6, 20), "c": (2, 70)}
    items = [ItemCount(name, dislikes, met, "u1", "u2") for name, (dislikes, met) in counts.items()]
    comparison = compare(items, {name: ItemFeatures((name,)) for name in counts}, Basis.EXPOSURES)
    raw = {name: binomtest(k, 20, met / 100, alternative="greater").pvalue for name, (k, met) in counts.items()}
    found = {lift.name: lift.p_value for lift in measure_lifts(comparison)}
    assert raw["a"] < raw["b"] < raw["c"]
    assert found["a"] == pytest.approx(3 * raw["a"])
    assert found["b"] == pytest.approx(2 * raw["b"])
    assert found["c"] == pytest.approx(raw["c"])
    (only,) = measure_lifts(comparison, min_count=10)
    assert only.p_value == pytest.approx(3 * raw["a"]), "those with few dislikes count among the tests, too"


@pytest.mark.parametrize(("ids", "several"), [(("u1", "u1"), False), (("u1", "u2"), True)])
def test_one_user_is_told_from_several(ids: tuple[str, str], several: bool) -> None:
    items = [ItemCount("a", 5, 10, *ids), ItemCount("b", 5, 10, "u1", "u1")]
    features = dict.fromkeys("ab", ItemFeatures(("War",)))
    (war,) = compare(items, features, Basis.EXPOSURES).features
    assert war.has_several_users is several
