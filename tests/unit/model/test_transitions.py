"""What comes next: sums over sequences, and the weights that they give."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.model import transitions
from recsys.model.recency import NEUTRAL_STRENGTH, recency_weights, refreshed_weights
from recsys.model.transitions import (
    DISLIKE_TARGET,
    HALF_LIFE_EVENTS,
    NEUTRAL_TARGET,
    REACH,
    Sequences,
    pair_draws,
    sequence_order,
)

NUM_ITEMS = 7


def in_order(users: np.ndarray, items: np.ndarray, ages: np.ndarray, signal: np.ndarray, seed: int) -> Sequences:
    draws = pair_draws(users.astype(np.uint64), items.astype(np.uint64), seed)
    order = sequence_order(users, ages, draws)
    return Sequences(users[order], items[order], signal[order])


def random_sequences(seed: int, num_events: int = 150) -> Sequences:
    rng = np.random.default_rng(seed)
    return in_order(
        rng.integers(0, 6, num_events), rng.integers(-1, NUM_ITEMS, num_events), rng.uniform(0, 30, num_events),
        rng.integers(-1, 2, num_events).astype(np.int8), seed,
    )  # fmt: skip


def plain_moments(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """The same sums, place by place."""
    past_past, past_future = np.zeros((NUM_ITEMS, NUM_ITEMS)), np.zeros((NUM_ITEMS, NUM_ITEMS))
    given, wanted = {1: 1.0, 0: NEUTRAL_STRENGTH, -1: 0.0}, {1: 1.0, 0: NEUTRAL_TARGET, -1: DISLIKE_TARGET}
    for user in np.unique(sequences.users):
        own = np.flatnonzero(sequences.users == user)
        items, signal = sequences.items[own], sequences.signal[own]
        for place in range(len(own)):
            past, future = np.zeros(NUM_ITEMS), np.zeros(NUM_ITEMS)
            for other in range(len(own)):
                distance = place - 1 - other if other < place else other - place
                if items[other] < 0 or distance >= REACH:
                    continue
                faded = 0.5 ** (distance / HALF_LIFE_EVENTS)
                if other < place:
                    past[items[other]] += given[int(signal[other])] * faded
                else:
                    future[items[other]] += wanted[int(signal[other])] * faded
            past_past += np.outer(past, past) / np.sqrt(len(own))
            past_future += np.outer(past, future) / np.sqrt(len(own))
    return past_past, past_future


@pytest.mark.parametrize("block", [7, 100_000])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_sums_are_those_of_every_place(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "ROWS_PER_BLOCK", block)
    sequences = random_sequences(seed)
    for found, expected in zip(sequences.moments(NUM_ITEMS), plain_moments(sequences), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    for found, expected in zip(sequences.moments(NUM_ITEMS, is_sparse=True), plain_moments(sequences), strict=True):
        np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)


def test_what_follows_gets_a_weight_and_what_went_before_does_not() -> None:
    """Everybody goes from item 0 to item 1, and to a film of their own in between."""
    users = np.repeat(np.arange(40), 3)
    items = np.column_stack([np.zeros(40), 2 + np.arange(40) % 5, np.ones(40)]).astype(np.int64).ravel()
    ages = np.tile([3.0, 2.0, 1.0], 40)
    sequences = in_order(users, items, ages, np.ones(120, np.int8), 0)
    weights = transitions.transition_weights(*sequences.moments(NUM_ITEMS), reg=0.5)
    assert weights[0, 1] == weights[0].max() > 0.1
    assert abs(weights[1, 0]) < 1e-6
    assert not np.diag(weights).any()
    assert weights.dtype == np.float32


def test_what_users_go_on_to_dislike_is_foretold_not_to_come() -> None:
    users, items = np.repeat(np.arange(40), 2), np.tile([0, 1], 40)
    signal = np.tile([1, -1], 40).astype(np.int8)
    sequences = in_order(users, items, np.tile([2.0, 1.0], 40), signal, 0)
    weights = transitions.transition_weights(*sequences.moments(2), reg=0.5)
    assert weights[0, 1] < -0.1
    assert weights[1, 0] == 0.0  # a dislike is no past to go on from


def test_events_of_one_moment_come_in_an_order_that_only_the_seed_decides() -> None:
    users, items, ages = np.zeros(20, np.int64), np.arange(20), np.zeros(20)
    liked = np.ones(20, np.int8)
    one, same, other = (in_order(users, items, ages, liked, seed).items.tolist() for seed in (1, 1, 2))
    assert one == same != other
    assert one != sorted(one)


def test_nothing_gives_nothing() -> None:
    nothing = in_order(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int8), 0)
    assert not nothing.moments(3)[0].any()
    assert transitions.transition_weights(np.zeros((0, 0)), np.zeros((0, 0)), 1.0).shape == (0, 0)
    with pytest.raises(ValueError, match="reg > 0"):
        transitions.transition_weights(np.eye(2), np.eye(2), 0.0)


def test_recency_counts_newer_events_not_days() -> None:
    users = np.array([0, 0, 0, 1, 1])
    liked = np.array([True, True, False, True, True])
    found = recency_weights(users, np.array([9.0, 400.0, 1.0, 5.0, 5.0]), liked)
    halving = 0.5 ** (1 / 10)
    np.testing.assert_allclose(found[:3], [halving, halving**2, NEUTRAL_STRENGTH])
    np.testing.assert_allclose(found[3:], 0.5 ** (0.5 / 10))  # the same moment: the same weight


def test_taste_is_as_of_the_newest_like_and_a_dislike_more_changes_nothing_else() -> None:
    users, weights = np.array([0, 0, 0, 1]), np.array([0.25, 0.125, 0.2, 0.1])
    liked = np.array([True, True, False, False])
    found = refreshed_weights(users, weights, liked)
    np.testing.assert_allclose(found, [1.0, 0.5, 0.8, 0.1])  # without a like nothing is moved
    more = refreshed_weights(np.append(users, 0), np.append(weights, 0.8), np.append(liked, False))
    np.testing.assert_array_equal(more[:4], found)
    assert more[4] == 1.0
