"""What validation predicts from what: windows of the newest days, or every user's own end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recsys.feedback.adjustments import ItemFeatures
from recsys.model.additive import PERSONAL_TERMS
from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.model.linked_weights import Associations
from recsys.training.dataset.events import Events, NeutralEvents
from recsys.training.families.additive.selection import build_model
from recsys.training.head.examples import collect_examples, validation_splits
from recsys.training.recipe.recipe import FitConfig, HeadConfig


def events(ages: list[float], users: list[int] | None = None, is_like: bool = True) -> Events:
    count = len(ages)
    return Events(
        users=np.array(users or range(count), np.int64), items=np.zeros(count, np.int64),
        is_like=np.full(count, is_like), age_days=np.array(ages, np.float64), base_weight=np.ones(count),
        reasons=np.full(count, "", object), half_life_days=10.0, as_of=datetime(2024, 3, 1, tzinfo=UTC),
        user_ids=np.array([f"u{n}" for n in range(count)], object), item_ids=np.array(["i0"], object),
        max_user_share=1.0,
        neutral=NeutralEvents.none(),
    )  # fmt: skip


def test_windows_are_added_until_enough_users_are_in_them() -> None:
    found = validation_splits(events([0.5, 1.5, 2.5, 3.5, 9.0]), HeadConfig(num_users=3, max_windows=10), 0)
    assert [split.future.tolist().index(True) for split in found] == [0, 1, 2]
    assert [split.past.age_days.tolist() for split in found] == [[0.5, 1.5, 2.5, 8.0], [0.5, 1.5, 7.0], [0.5, 6.0]]


def test_a_user_counts_once_a_window_and_dislikes_do_not_count() -> None:
    config = HeadConfig(num_users=2, max_windows=3)
    assert len(validation_splits(events([0.1, 0.2, 1.5, 9.0], [0, 0, 0, 1]), config, 0)) == 2
    assert len(validation_splits(events([0.1, 0.2, 1.5, 9.0], is_like=False), config, 0)) == 3


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ([0.0], 0),  # nothing is older than a day: there is no past to predict from
        ([0.1, 0.9], 0),
        ([0.1, 1.0], 1),
        ([0.1, 2.5], 2),
    ],
)
def test_a_short_stream_gives_as_many_windows_as_have_a_past(ages: list[float], expected: int) -> None:
    assert len(validation_splits(events(ages), HeadConfig(), 0)) == expected


def test_a_sparse_stream_gets_one_long_window() -> None:
    stream = events([float(n) for n in range(20, 1_000, 10)])
    (split,) = validation_splits(stream, HeadConfig(num_users=50), 0)
    assert 0 < split.future.sum() < 20
    assert stream.age_days[split.future].max() < split.past.age_days.min() + 90


def sittings(num_users: int, size: int) -> Events:
    """Every user does everything within an hour of a day of their own."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(num_users), size)
    ages = 10.0 * users + rng.uniform(0, 0.04, len(users))
    return events(ages.tolist(), users.tolist())


def test_where_everything_is_done_in_one_sitting_every_user_s_own_end_is_foretold() -> None:
    stream = sittings(100, 10)
    (split,) = validation_splits(stream, HeadConfig(), 0)
    np.testing.assert_array_equal(np.bincount(stream.users[split.future]), 2)  # a fifth of ten
    assert len(split.past.users) == 800
    for user in range(100):
        own = stream.users == user
        assert stream.age_days[own & split.future].max() < stream.age_days[own & ~split.future].min()


def test_only_so_many_users_give_their_end_and_the_seed_says_which() -> None:
    stream, config = sittings(100, 10), HeadConfig(num_users=30)
    one, same, other = (validation_splits(stream, config, seed)[0].future for seed in (1, 1, 2))
    assert len(np.unique(stream.users[one])) == 30
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_stream_without_a_past_is_collected_to_nothing() -> None:
    no_split, no_features = (lambda past: pytest.fail("There is no split."), FeatureVocabulary.build([]))
    found = collect_examples(events([0.1]), [], no_split, no_features, HeadConfig())
    assert found.terms.shape == (0, 1, len(PERSONAL_TERMS))
    assert len(found.num_liked) == 0


def many_films() -> Events:
    """Twenty users, each with five films of forty, one every half day; the first ten films are old."""
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(20), 5)
    items = np.concatenate([rng.permutation(40)[:5] for _ in range(20)])
    return replace(
        events(list(rng.uniform(0.0, 8.0, 100)), users.tolist()), items=items,
        item_ids=np.array([f"i{n}" for n in range(40)], object),
    )  # fmt: skip


def test_candidates_and_what_is_to_be_predicted_are_eligible() -> None:
    stream, eligible = many_films(), np.arange(40) < 10
    none = Associations.none(40, 40, False)
    matrices = dict.fromkeys(("item_item", "transitions", "disliked_together"), none)
    config = FitConfig(trend_half_lives_days=(1.0, 30.0))
    every, some = (
        collect_examples(
            stream,
            validation_splits(stream, HeadConfig(max_windows=4), 0, chosen),
            lambda past: build_model(past, np.zeros((40, 1), np.float32), matrices, config),
            FeatureVocabulary.build([ItemFeatures((), (), None)] * 40),
            HeadConfig(candidates_per_term=40),
        )
        for chosen in (None, lambda at: eligible)
    )
    likes = stream.items[(stream.age_days < 4.0)]
    assert every.num_liked.sum() > some.num_liked.sum() == eligible[likes].sum()
    assert (some.labels > -2).sum(axis=1).max() <= 10
    assert (every.labels > -2).sum(axis=1).max() > 10
    assert ((some.labels == 1).sum(axis=1) == some.num_liked).all()


def test_windows_are_added_until_enough_users_like_what_was_eligible_then() -> None:
    """A film that became available later is nothing that a list of that day could have held."""
    stream = many_films()
    config = HeadConfig(num_users=12, max_windows=14)
    opened = stream.as_of - timedelta(days=2)
    asked: list[datetime] = []

    def eligible(at: datetime) -> np.ndarray:
        asked.append(at)
        return (np.arange(40) < 10) | ((np.arange(40) < 20) & (at >= opened))

    every, some = (validation_splits(stream, config, 0, chosen) for chosen in (None, eligible))
    assert len(some) > len(every)
    assert asked == [split.past.as_of for split in some]
    assert [int(split.eligible.sum()) for split in some] == [20 if split.past.as_of >= opened else 10 for split in some]
