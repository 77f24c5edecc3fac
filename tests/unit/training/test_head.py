"""How the terms of the model are weighed: never worse than the best trend on validation, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.training.events import Events
from recsys.training.head import (
    best_trend,
    coordinate_search,
    fit_head,
    keras_refinement,
    listwise_loss,
    objective,
    search_reg,
)
from recsys.training.head_examples import HeadConfig, HeadExamples, Window, collect_examples, validation_windows

CONFIG = HeadConfig(k=3, epochs=3)
NUM_TERMS = 5  # two trends; likes, dislikes, genres


def make_examples(seed: int, num_lists: int = 12, length: int = 8, informative: int | None = None) -> HeadExamples:
    """Random lists with padding; with `informative`, that term says which candidates are liked."""
    rng = np.random.default_rng(seed)
    terms = rng.random((num_lists, length, NUM_TERMS)).astype(np.float32)
    terms[..., -2] *= -1  # dislikes only lower a score
    labels = rng.choice(np.array([1, 0, 0, 0, -1], np.int8), (num_lists, length))
    labels[:, 0] = 1
    if informative is not None:
        terms[..., informative] = labels == 1
    for row, size in enumerate(rng.integers(2, length + 1, num_lists)):
        labels[row, size:], terms[row, size:] = -2, 0.0
    weights = np.where(np.abs(labels) == 1, rng.uniform(0.2, 1.0, labels.shape), 0.0).astype(np.float32)
    return HeadExamples(terms, labels, weights, (labels == 1).sum(axis=1) + rng.integers(0, 2, num_lists), (1.0, 30.0))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_search_is_never_below_the_best_trend(seed: int) -> None:
    examples = make_examples(seed)
    trend, position = best_trend(examples, CONFIG)
    found = coordinate_search(examples, trend, CONFIG, 0)
    assert objective(examples, found, CONFIG)[0] >= objective(examples, trend, CONFIG)[0]
    assert found[-2] >= CONFIG.min_dislike_weight
    assert (found >= 0).all()
    values = [
        objective(examples, np.eye(NUM_TERMS, dtype=np.float32)[n] + [0, 0, 0, 0.1, 0], CONFIG)[0] for n in (0, 1)
    ]
    assert values[position] == max(values)


@pytest.mark.parametrize("seed", range(4))
def test_the_head_is_never_below_the_best_trend(seed: int) -> None:
    examples = make_examples(seed)
    head = fit_head(examples, CONFIG, seed)
    trend, position = best_trend(examples, CONFIG)
    found = (
        head.metrics["validation_ndcg_at_10"]
        - CONFIG.exposure_penalty * (head.metrics["validation_dislike_exposure_at_10"])
    )
    assert found >= objective(examples, trend, CONFIG)[0]
    assert head.best_trend_half_life_days == (1.0, 30.0)[position]
    assert head.source in {"trend", "search", "keras"}
    assert head.metrics["validation_num_lists"] == len(examples.num_liked)
    assert (head.weights >= 0).all()
    assert head.weights[-2] > 0


def test_a_term_that_knows_is_found() -> None:
    examples = make_examples(1, informative=-3)
    head = fit_head(examples, CONFIG, 0)
    assert head.source == "search"
    assert head.weights[-3] == head.weights.max()
    assert head.metrics["validation_ndcg_at_10"] > head.metrics["validation_ndcg_at_10_best_trend"] + 0.1


def test_scaling_keeps_the_ranking_and_the_scores_of_order_1() -> None:
    head = fit_head(make_examples(1, informative=-3), CONFIG, 0)
    assert head.weights[:2].sum() <= 1.0 + 1e-6
    assert head.weights.max() <= 1.0
    assert head.weights.dtype == np.float32


def test_the_same_examples_and_seed_give_the_same_head() -> None:
    examples = make_examples(3, num_lists=40)
    one, other = (keras_refinement(examples, best_trend(examples, CONFIG)[0], CONFIG, 5) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(fit_head(examples, CONFIG, 5).weights, fit_head(examples, CONFIG, 5).weights)


def test_keras_moves_towards_the_term_that_knows_and_keeps_the_least_dislike_weight() -> None:
    examples = make_examples(2, num_lists=60, informative=-1)
    start, _ = best_trend(examples, CONFIG)
    found = keras_refinement(examples, start, HeadConfig(epochs=10), 0)
    assert found[-1] > start[-1]
    assert found[-2] >= CONFIG.min_dislike_weight
    assert (found >= 0).all()


def test_without_examples_the_longest_trend_stands() -> None:
    empty = HeadExamples(
        np.zeros((0, 1, NUM_TERMS), np.float32), np.zeros((0, 1), np.int8), np.zeros((0, 1), np.float32),
        np.zeros(0, np.int64), (1.0, 30.0),
    )  # fmt: skip
    head = fit_head(empty, CONFIG, 0)
    assert head.source == "untuned"
    np.testing.assert_allclose(head.weights, [0, 1, 0, CONFIG.min_dislike_weight, 0])
    assert head.best_trend_half_life_days == 30.0


def lists(labels: list[list[int]], scores: list[list[float]], num_liked: list[int]) -> HeadExamples:
    """Lists whose only trend is the score."""
    terms = np.zeros((len(labels), len(labels[0]), 4), np.float32)
    terms[..., 0] = scores
    given = np.array(labels, np.int8)
    return HeadExamples(terms, given, np.abs(given).astype(np.float32), np.array(num_liked), (1.0,))


def test_the_objective_is_ndcg_less_exposure() -> None:
    examples = lists([[1, 0, -1, 1], [0, 1, 0, -2]], [[4, 3, 2, 1], [1, 3, 2, 9]], [2, 3])
    value, ndcg, exposure = objective(examples, np.array([1, 0, 0, 0], np.float32), CONFIG)
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert ndcg == pytest.approx((1 / (1 + second) + 1 / (1 + second + third)) / 2)
    assert exposure == pytest.approx(1 / 6)  # one of three slots, and none of three
    assert value == pytest.approx(ndcg - CONFIG.exposure_penalty * exposure)


def test_padding_is_never_ranked() -> None:
    padded = lists([[1, 0, -2, -2]], [[1, 2, 9, 9]], [1])
    alone = lists([[1, 0]], [[1, 2]], [1])
    weights = np.array([1, 0, 0, 0], np.float32)
    assert (
        objective(padded, weights, CONFIG)[1] == objective(alone, weights, CONFIG)[1] == pytest.approx(1 / np.log2(3))
    )


def loss(targets: list[float], scores: list[float]) -> float:
    values = listwise_loss(ops.convert_to_tensor([targets], "float32"), ops.convert_to_tensor([scores], "float32"))
    return float(ops.convert_to_numpy(values)[0])


SCORES = st.floats(-4, 4, width=32)


@given(st.lists(SCORES, min_size=3, max_size=3), st.floats(0.125, 1, width=32), st.floats(0.5, 3, width=32))
@settings(deadline=None)
def test_a_wrong_order_costs_more(scores: list[float], weight: float, step: float) -> None:
    low, middle, high = sorted(scores)
    targets = [weight, 0.0, -weight]  # liked, neither, disliked
    right, wrong = [high + step, middle, low], [low, middle, high + step]
    assert loss(targets, right) < loss(targets, wrong)
    raised = [right[0] + step, *right[1:]]
    assert loss(targets, raised) < loss(targets, right)  # a higher score of what is liked
    lowered = [*right[:2], right[2] - step]
    assert loss(targets, lowered) < loss(targets, right)  # a lower one of what is disliked


def test_the_loss_leads_weights_in_the_right_direction() -> None:
    targets, start = [0.9, 0.0, -0.7, -2.0], [0.2, 0.1, 0.3, 5.0]
    slope = [
        loss(targets, [s + 0.01 * (n == moved) for n, s in enumerate(start)]) - loss(targets, start)
        for moved in range(4)
    ]
    assert slope[0] < 0 < slope[1]
    assert slope[2] > 0
    assert slope[3] == 0  # padding


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.0, -0.5]), SCORES), min_size=1, max_size=5), SCORES)
@settings(deadline=None)
def test_padding_costs_nothing(rows: list[tuple[float, float]], padded_score: float) -> None:
    targets, scores = [target for target, _ in rows], [score for _, score in rows]
    padded = loss([*targets, -2.0, -2.0], [*scores, padded_score, 0.0])
    assert padded == pytest.approx(loss(targets, scores), abs=1e-5)
    assert np.isfinite(padded)


def events(ages: list[float], users: list[int] | None = None, is_like: bool = True) -> Events:
    count = len(ages)
    return Events(
        users=np.array(users or range(count), np.int64), items=np.zeros(count, np.int64),
        is_like=np.full(count, is_like), age_days=np.array(ages, np.float64), base_weight=np.ones(count),
        reasons=np.full(count, "", object), half_life_days=10.0, num_users=count, num_items=1, max_user_share=1.0,
    )  # fmt: skip


def test_windows_are_added_until_enough_users_are_in_them() -> None:
    config = HeadConfig(num_users=3, max_windows=10)
    found = validation_windows(events([0.5, 1.5, 2.5, 3.5, 9.0]), config)
    assert found == [Window(1.0, 0.0), Window(2.0, 1.0), Window(3.0, 2.0)]


def test_a_user_counts_once_a_window_and_dislikes_do_not_count() -> None:
    config = HeadConfig(num_users=2, max_windows=3)
    assert len(validation_windows(events([0.1, 0.2, 1.5, 9.0], [0, 0, 0, 1]), config)) == 2
    assert len(validation_windows(events([0.1, 0.2, 1.5, 9.0], is_like=False), config)) == 3


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ([0.0], 0),  # nothing is older than a day: there is no past to foretell from
        ([0.1, 0.9], 0),
        ([0.1, 1.0], 1),
        ([0.1, 2.5], 2),
    ],
)
def test_a_short_stream_gives_as_many_windows_as_have_a_past(ages: list[float], expected: int) -> None:
    assert len(validation_windows(events(ages), HeadConfig())) == expected


def test_a_sparse_stream_gets_one_long_window() -> None:
    found = validation_windows(events([float(n) for n in range(20, 1_000, 10)]), HeadConfig(num_users=50))
    (window,) = found
    assert window.end_days == 0.0
    assert window.start_days > 14


def test_a_stream_without_a_past_is_collected_to_nothing_and_still_gives_a_head() -> None:
    never = HeadExamples(
        np.zeros((0, 1, 0), np.float32),
        np.zeros((0, 1), np.int8),
        np.zeros((0, 1), np.float32),
        np.zeros(0, np.int64),
        (),
    )
    no_window, no_features = (lambda past: pytest.fail("There is no window."), FeatureVocabulary.build([]))
    found = collect_examples(events([0.1]), [], no_window, no_features, CONFIG)
    assert found.terms.shape == never.terms.shape
    assert search_reg((1.0, 2.0), lambda reg: found, CONFIG)[0] == 1.0


def test_the_ridge_that_serves_the_top_is_chosen() -> None:
    poor, good = make_examples(4), make_examples(4, informative=-3)
    assert search_reg((1.0, 2.0, 3.0), lambda reg: good if reg == 2.0 else poor, CONFIG)[0] == 2.0
    with pytest.raises(ValueError, match="at least one value in reg_grid"):
        search_reg((), lambda reg: good, CONFIG)
