import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.layers import TopKRecommendationSelector


def brute_force(
    scores: list[float], ids: list[int], seen: list[bool], eligible: list[bool], k: int
) -> tuple[list[int], list[float]]:
    """Slot by slot: the best place left, of an id that no place forbids and that is not taken."""
    allowed = [
        e and not s and i >= 0 and score > -math.inf for score, i, s, e in zip(scores, ids, seen, eligible, strict=True)
    ]
    forbidden = {i for i, a in zip(ids, allowed, strict=True) if not a}
    picked: list[int] = []
    for place in sorted(range(len(scores)), key=lambda n: (-scores[n] if allowed[n] else math.inf, n)):
        if ids[place] not in forbidden and ids[place] not in [ids[n] for n in picked] and len(picked) < k:
            picked.append(place)
    padding = k - len(picked)
    return [ids[n] for n in picked] + [-1] * padding, [scores[n] for n in picked] + [-math.inf] * padding


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[float, int, bool, bool]]:
    # Few distinct scores and ids, so that ties and duplicates are common.
    score = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0, math.nan, -math.inf])
    return draw(st.lists(st.tuples(score, st.integers(-1, 6), st.booleans(), st.booleans()), min_size=0, max_size=9))


@given(rows(), st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_agrees_with_a_brute_force(row: list[tuple[float, int, bool, bool]], k: int) -> None:
    scores, ids, seen, eligible = ([part[n] for part in row] for n in range(4))
    expected_ids, expected_scores = brute_force(scores, ids, seen, eligible, k)
    best_ids, best = TopKRecommendationSelector(k)(
        np.array([scores], np.float32),
        item_ids=np.array([ids], np.int64),
        seen=np.array([seen], bool),
        eligible=np.array([eligible], bool),
    )
    assert best_ids.dtype == tf.int64
    np.testing.assert_array_equal(best_ids, [expected_ids])
    np.testing.assert_array_equal(best, [expected_scores])


def test_gives_item_ids_not_positions() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.7, 0.2, 0.3]], np.float32)
    ids, best = TopKRecommendationSelector(k=2)(scores, item_ids=np.array([[30, 10, 20], [7, 8, 9]]))
    np.testing.assert_array_equal(ids, [[10, 20], [7, 9]])
    np.testing.assert_allclose(best, [[0.9, 0.5], [0.7, 0.3]])
    ids, _ = TopKRecommendationSelector(k=2)(scores, item_ids=np.array([30, 10, 20]))  # one list for all
    np.testing.assert_array_equal(ids, [[10, 20], [30, 20]])


def test_with_scores_alone_the_positions_are_the_ids() -> None:
    ids, best = TopKRecommendationSelector(k=4)(np.array([[0.5, 0.9, 0.5]], np.float32))
    np.testing.assert_array_equal(ids, [[1, 0, 2, -1]])
    np.testing.assert_array_equal(best, np.array([[0.9, 0.5, 0.5, -np.inf]], np.float32))


def test_who_has_seen_one_copy_of_an_item_is_not_shown_another() -> None:
    ids, _ = TopKRecommendationSelector(k=2)(
        np.array([[3.0, 2.0, 1.0]], np.float32), item_ids=np.array([[5, 6, 5]]), seen=np.array([[False, False, True]])
    )
    np.testing.assert_array_equal(ids, [[6, -1]])


@pytest.mark.parametrize("num_items", [7, 400])
def test_compiled_it_picks_the_same(num_items: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (4, num_items)).astype(np.float32)
    ids, seen = rng.integers(0, num_items, (4, num_items)), rng.random((4, num_items)) < 0.3
    selector = TopKRecommendationSelector(k=10)
    compiled = tf.function(lambda s, i, m: selector(s, item_ids=i, seen=m), jit_compile=True)
    for result, expected in zip(compiled(scores, ids, seen), selector(scores, item_ids=ids, seen=seen), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_lists_of_any_length_fit_one_functional_model() -> None:
    scores, ids = keras.Input((None,)), keras.Input((None,), dtype="int64")
    outputs = TopKRecommendationSelector(k=3)(scores, item_ids=ids)
    assert [(tuple(x.shape), x.dtype) for x in outputs] == [((None, 3), "int64"), ((None, 3), "float32")]
    model = keras.Model([scores, ids], outputs)
    for length in (1, 5):
        listed = np.arange(10, 10 + length)[None]
        picked, _ = model.predict([listed.astype(np.float32), listed], verbose=0)
        assert list(picked[0]) == [*listed[0][::-1][:3], *[-1] * max(3 - length, 0)]


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_list_needs_a_whole_number_of_slots(k: object) -> None:
    with pytest.raises(ValueError, match="Expected k to be a whole number >= 1"):
        TopKRecommendationSelector(k)


@pytest.mark.parametrize("name", ["item_ids", "seen", "eligible"])
def test_masks_and_ids_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected {name} of the shape of scores"):
        TopKRecommendationSelector(k=2)(np.ones((2, 3), np.float32), **{name: np.ones((2, 4), np.int32)})
    with pytest.raises(ValueError, match="Expected scores"):
        TopKRecommendationSelector(k=2)(np.ones(3, np.float32))
