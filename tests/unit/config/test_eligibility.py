"""What may be recommended: rules, availability, and both over a whole catalog."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from recsys.config.eligibility import EligibilityRule
from recsys.errors import InputError
from recsys.model.eligible_items import barred_items, catalog_frame, eligible_mask
from recsys.records import Item

NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FILM = Item("f", "Film", ("Drama", "Sci-Fi"), release_year=1999, tags=("spring",))


@pytest.mark.parametrize(
    ("rule", "admitted"),
    [
        ({}, True),
        ({"max_year": 1999}, True),
        ({"max_year": 1998}, False),
        ({"min_year": 1999, "max_year": 1999}, True),
        ({"min_year": 2000}, False),
        ({"genres": ["drama"]}, True),
        ({"genres": ["Comedy", "Sci-Fi"]}, True),
        ({"genres": ["Comedy"]}, False),
        ({"without_genres": ["SCI-FI"]}, False),
        ({"genres": ["Drama"], "without_genres": ["Western"]}, True),
        ({"tags": ["spring"]}, True),
        ({"tags": ["autumn"]}, False),
        ({"without_tags": ["spring"]}, False),
        ({"max_year": 2011, "genres": ["Comedy"]}, False),  # all conditions must hold
    ],
)
def test_a_rule_is_a_predicate_on_the_catalog(rule: dict[str, Any], admitted: bool) -> None:
    assert FILM.is_eligible(EligibilityRule.from_dict(rule), NOW) is admitted


def test_a_film_of_an_unknown_year_is_not_admitted_where_a_year_is_asked_for() -> None:
    unknown = Item("u", "Unknown")
    assert unknown.is_eligible(EligibilityRule(), NOW)
    assert not unknown.is_eligible(EligibilityRule(max_year=2011), NOW)
    assert not unknown.is_eligible(EligibilityRule(min_year=1900), NOW)


@pytest.mark.parametrize(
    ("item", "eligible"),
    [
        (Item("i", "I"), True),
        (Item("i", "I", is_hidden=True), False),
        (Item("i", "I", available_from=NOW), True),  # from then on
        (Item("i", "I", available_from=NOW + DAY), False),
        (Item("i", "I", available_until=NOW), False),  # until before then
        (Item("i", "I", available_until=NOW + DAY), True),
        (Item("i", "I", available_from=NOW - DAY, available_until=NOW + DAY, is_hidden=True), False),
    ],
)
def test_an_item_is_available_for_a_span_and_unless_it_is_hidden(item: Item, eligible: bool) -> None:
    assert item.is_eligible(EligibilityRule(), NOW) is eligible


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"years": 3}, "Expected an eligibility rule of min_year, max_year, .* got years"),
        ({"max_year": "2011"}, "max_year to be a year from 1870 to 2100, got '2011'"),
        ({"max_year": True}, "max_year to be a year"),
        ({"min_year": 1492}, "min_year to be a year"),
        ({"min_year": 2012, "max_year": 2011}, "min_year up to max_year, got 2012 and 2011"),
        ({"genres": "Drama"}, r"genres to be a list of names, such as \['Drama'\], got 'Drama'"),
        ({"tags": [""]}, "tags to be a list of names"),
    ],
)
def test_a_wrong_rule_says_what_was_expected(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        EligibilityRule.from_dict(values)


@pytest.mark.parametrize(
    "rule",
    [
        EligibilityRule(),
        EligibilityRule(max_year=2011),
        EligibilityRule(1990, 2011, ("Drama", "Crime"), ("Horror",), ("a",), ("b",)),
    ],
)
def test_a_rule_goes_through_json_and_says_only_what_is_set(rule: EligibilityRule) -> None:
    assert EligibilityRule.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule
    assert rule.is_open == (rule.as_dict() == {})


def test_a_rule_in_words() -> None:
    assert str(EligibilityRule()) == "all items"
    rule = EligibilityRule(1990, 2011, ("Drama", "Crime"), ("Horror",))
    assert str(rule) == "from 1990, up to 2011, genre Drama or Crime, no genre Horror"


def random_item(n: int, rng: np.random.Generator) -> Item:
    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.5 else None

    start = NOW + int(rng.integers(-5, 5)) * DAY
    return Item(
        f"i{n:04d}", f"Film {n}", tuple(rng.choice(["Drama", "Crime", "Horror"], int(rng.integers(3)), replace=False)),
        release_year=maybe(int(rng.integers(1990, 2020))),
        tags=tuple(rng.choice(["a", "b"], int(rng.integers(3)), replace=False)),
        available_from=maybe(start), available_until=maybe(start + int(rng.integers(1, 5)) * DAY),
        is_hidden=bool(rng.random() < 0.2),
    )  # fmt: skip


def random_rule(rng: np.random.Generator) -> EligibilityRule:
    names: list[tuple[str, ...]] = [
        tuple(rng.choice(values, int(rng.integers(2)), replace=False))
        for values in (["Drama", "Crime"], ["Horror"], ["a", "b"], ["b"])
    ]
    years = sorted(int(year) for year in rng.integers(1990, 2020, 2))
    return EligibilityRule(*(year if rng.random() < 0.5 else None for year in years), *names)


def test_the_mask_of_a_catalog_says_what_each_item_says_alone() -> None:
    rng = np.random.default_rng(5)
    items = [random_item(n, rng) for n in range(400)]
    catalog = catalog_frame(items)
    counts = []
    for _ in range(40):
        rule, at = random_rule(rng), NOW + int(rng.integers(-6, 6)) * DAY
        mask = eligible_mask(catalog, rule, at)
        assert mask.tolist() == [item.is_eligible(rule, at) for item in items]
        assert barred_items(catalog, rule, at) == {i.item_id for i in items if not i.is_eligible(rule, at)}
        counts.append(int(mask.sum()))
    assert min(counts) < 60
    assert max(counts) > 150


def test_a_catalog_without_these_columns_restricts_nothing() -> None:
    catalog = catalog_frame([FILM])[["item_id", "title", "genres"]]
    assert eligible_mask(catalog, EligibilityRule(), NOW).tolist() == [True]
    assert eligible_mask(catalog, EligibilityRule(genres=("Drama",)), NOW).tolist() == [True]
    assert eligible_mask(catalog, EligibilityRule(max_year=2011), NOW).tolist() == [False]
