"""How the terms of the model are weighed: never worse than the best trend on validation, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from recsys.model.additive import PERSONAL_TERMS, head_names
from recsys.training.head.examples import HeadExamples
from recsys.training.head.fit import fit_head
from recsys.training.head.refinement import keras_refinement, listwise_loss
from recsys.training.head.search import HeadSearch, search_setting
from recsys.training.recipe.recipe import HeadConfig

CONFIG = HeadConfig(k=3, epochs=3)
HALF_LIVES = (1.0, 30.0)
NAMES = head_names(HALF_LIVES)
NUM_TERMS = len(HALF_LIVES) + len(PERSONAL_TERMS)
DISLIKES = NAMES.index("dislikes")


def make_examples(seed: int, num_lists: int = 12, length: int = 8, informative: str | None = None) -> HeadExamples:
    """Random lists with padding; with `informative`, that term says which candidates are liked."""
    rng = np.random.default_rng(seed)
    terms = rng.random((num_lists, length, NUM_TERMS)).astype(np.float32)
    for name in ("dislikes", "disliked_together"):
        terms[..., NAMES.index(name)] *= -1  # dislikes only lower a score
    labels = rng.choice(np.array([1, 0, 0, 0, -1], np.int8), (num_lists, length))
    labels[:, 0] = 1
    if informative is not None:
        terms[..., NAMES.index(informative)] = labels == 1
    for row, size in enumerate(rng.integers(2, length + 1, num_lists)):
        labels[row, size:], terms[row, size:] = -2, 0.0
    weights = np.where(np.abs(labels) == 1, rng.uniform(0.2, 1.0, labels.shape), 0.0).astype(np.float32)
    regard = rng.uniform(0.5, 1.0, labels.shape).astype(np.float32)
    num_liked = (labels == 1).sum(axis=1) + rng.integers(0, 2, num_lists)
    return HeadExamples(terms, regard, np.ones_like(regard), labels, weights, num_liked, HALF_LIVES)


def worth(search: HeadSearch, weights: np.ndarray) -> float:
    return float(search.values(search.scores(weights)).mean())


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_search_is_never_below_its_start(seed: int) -> None:
    search = HeadSearch(make_examples(seed), CONFIG)
    for start in (search.trend_alone(search.best_trend()), search.personal(search.likes_alone())):
        found, values = search.improve(start)
        value = float(values.mean())
        assert value >= worth(search, start)
        assert value == pytest.approx(worth(search, found), abs=0.02)  # float32 sums in another order may swap a tie
        assert found[DISLIKES] >= CONFIG.min_dislike_weight
        assert (found >= 0).all()
    trends = [search.ndcg(search.trend_alone(n)) for n in range(2)]
    assert trends[search.best_trend()] == max(trends)


@pytest.mark.parametrize("seed", range(4))
def test_the_head_is_never_clearly_less_accurate_than_the_best_trend(seed: int) -> None:
    examples = make_examples(seed)
    head = fit_head(examples, CONFIG, seed)
    search = HeadSearch(examples, CONFIG)
    _, exposure = search.measure(search.scores(search.trend_alone(search.best_trend())))
    # NDCG may only be given away for fewer disliked items.
    found = head.metrics["validation_ndcg_at_10"] + CONFIG.exposure_penalty * exposure
    assert found >= (1.0 - CONFIG.trend_margin) * head.metrics["validation_ndcg_at_10_best_trend"]
    assert head.best_trend_half_life_days == HALF_LIVES[search.best_trend()]
    assert head.source in {"trend", "search", "keras"}
    assert head.metrics["validation_num_lists"] == len(examples.num_liked)
    assert (head.weights >= 0).all()
    assert head.weights[DISLIKES] > 0


@pytest.mark.parametrize("term", ["likes", "recent", "genres"])
def test_a_term_that_knows_is_found(term: str) -> None:
    head = fit_head(make_examples(1, informative=term), CONFIG, 0)
    assert head.weights[NAMES.index(term)] > 0
    assert head.metrics["validation_ndcg_at_10"] > head.metrics["validation_ndcg_at_10_best_trend"] + 0.1


def test_scaling_keeps_the_ranking_and_the_scores_of_order_1() -> None:
    head = fit_head(make_examples(1, informative="likes"), CONFIG, 0)
    assert head.weights[:2].sum() <= 1.0 + 1e-6
    assert head.weights[:NUM_TERMS].max() <= 1.0
    assert head.weights.dtype == np.float32


def test_the_same_examples_and_seed_give_the_same_head() -> None:
    search = HeadSearch(make_examples(3, num_lists=40), CONFIG)
    one, other = (keras_refinement(search, search.trend_alone(0), 5) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        fit_head(search.examples, CONFIG, 5).weights, fit_head(search.examples, CONFIG, 5).weights
    )


def test_keras_moves_towards_the_term_that_knows_and_keeps_the_least_dislike_weight() -> None:
    search = HeadSearch(make_examples(2, num_lists=60, informative="genres"), HeadConfig(epochs=10))
    start = search.trend_alone(search.best_trend())
    found = keras_refinement(search, start, 0)
    assert found[NAMES.index("genres")] > start[NAMES.index("genres")]
    assert found[DISLIKES] >= CONFIG.min_dislike_weight
    assert (found >= 0).all()


def empty_examples(half_lives: tuple[float, ...]) -> HeadExamples:
    nothing = np.zeros((0, 1), np.float32)
    terms = np.zeros((0, 1, len(half_lives) + len(PERSONAL_TERMS)), np.float32)
    return HeadExamples(terms, nothing, nothing, nothing.astype(np.int8), nothing, np.zeros(0, np.int64), half_lives)


def test_without_examples_the_longest_trend_stands() -> None:
    head = fit_head(empty_examples(HALF_LIVES), CONFIG, 0)
    assert head.source == "untuned"
    assert {name: w for name, w in zip(NAMES, head.weights, strict=True) if w} == {
        "trend_30d": 1.0,
        "dislikes": pytest.approx(CONFIG.min_dislike_weight),
    }
    assert head.best_trend_half_life_days == 30.0


def lists(labels: list[list[int]], scores: list[list[float]], num_liked: list[int]) -> HeadSearch:
    """Lists whose only trend is the score."""
    terms = np.zeros((len(labels), len(labels[0]), 1 + len(PERSONAL_TERMS)), np.float32)
    terms[..., 0] = scores
    given, ones = np.array(labels, np.int8), np.ones((len(labels), len(labels[0])), np.float32)
    return HeadSearch(
        HeadExamples(terms, ones, ones, given, np.abs(given).astype(np.float32), np.array(num_liked), (1.0,)), CONFIG
    )


def test_what_is_maximised_is_ndcg_less_exposure() -> None:
    search = lists([[1, 0, -1, 1], [0, 1, 0, -2]], [[4, 3, 2, 1], [1, 3, 2, 9]], [2, 3])
    scores = search.scores(search.trend_alone(0))
    ndcg, exposure = search.measure(scores)
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert ndcg == pytest.approx((1 / (1 + second) + 1 / (1 + second + third)) / 2)
    assert exposure == pytest.approx(1 / 3)  # one of three slots, of the only user with a dislike to come
    assert search.values(scores).mean() == pytest.approx(ndcg - CONFIG.exposure_penalty * exposure)


def test_what_could_be_chance_is_no_improvement() -> None:
    search = lists([[1, 0]] * 8, [[2, 1]] * 8, [1] * 8)
    before = np.full(8, 0.5)
    half, most = before.copy(), before.copy()
    half[:5] += 0.2
    half[5:] -= 0.2
    most[:6] += 0.05
    assert half.mean() > most.mean()
    assert search.is_better(most, before)
    assert not search.is_better(half, before)
    assert not search.is_better(before, before)
    assert not search.is_better(before + 0.5 * CONFIG.min_gain * before, before)


def test_padding_is_never_ranked() -> None:
    padded = lists([[1, 0, -2, -2]], [[1, 2, 9, 9]], [1])
    alone = lists([[1, 0]], [[1, 2]], [1])
    assert padded.ndcg(padded.trend_alone(0)) == alone.ndcg(alone.trend_alone(0)) == pytest.approx(1 / np.log2(3))


def test_regard_and_what_is_personal_count_wherever_the_head_was_searched_for() -> None:
    for term in ("likes", "recent", "genres"):
        head = fit_head(make_examples(1, informative=term), CONFIG, 0)
        assert head.source in {"search", "keras"}
        assert head.weights[NAMES.index("regard_power")] == CONFIG.regard_power
        assert head.weights[NAMES.index("likes")] > 0
        assert head.weights[NAMES.index("recent")] > 0


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


def test_the_setting_that_serves_the_top_is_chosen() -> None:
    poor, good = make_examples(4), make_examples(4, informative="likes")
    assert search_setting((1.0, 2.0, 3.0), lambda reg: good if reg == 2.0 else poor, "likes", CONFIG)[0] == 2.0
    assert search_setting((1.0, 2.0), lambda reg: empty_examples(HALF_LIVES), "likes", CONFIG)[0] == 1.0
    with pytest.raises(ValueError, match="at least one setting"):
        search_setting((), lambda reg: good, "likes", CONFIG)
