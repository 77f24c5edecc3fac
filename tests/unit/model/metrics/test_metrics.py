"""Every Keras metric says what the NumPy reference says, with ties, left-out items, rows without positives and weights."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.metrics import MRR, NDCG, AccuracyAtK, PrecisionAtK, RecallAtK, reference
from recsys.model.metrics.stated_policy import ranks

PAIRS = [
    (AccuracyAtK, reference.accuracy_at_k, 2),
    (PrecisionAtK, reference.precision_at_k, 2),
    (RecallAtK, reference.recall_at_k, 2),
    (NDCG, reference.ndcg, 2),
    (NDCG, reference.ndcg, None),
    (MRR, reference.mrr, 2),
    (MRR, reference.mrr, None),
    (PrecisionAtK, reference.precision_at_k, 20),  # longer than the lists
    (RecallAtK, reference.recall_at_k, 20),
    (NDCG, reference.ndcg, 20),
]
every_metric = pytest.mark.parametrize(("metric", "expected", "k"), PAIRS)
Reference = Callable[..., np.ndarray]


def batch(seed: int, num_rows: int, num_items: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few distinct scores, so that ties are the rule; some rows without positives, or with nothing at all."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1.0, 0.0, 0.0, 1.0], (num_rows, num_items)).astype(np.float32)
    labels[rng.random(num_rows) < 0.3] = rng.choice([0.0, -1.0])
    scores = rng.choice(np.array([-3.0, -1.0, -0.0, 0.0, 0.5, 1e9, np.nan, -np.inf], np.float32), labels.shape)
    return labels, scores, rng.choice([0.0, 0.5, 3.0], num_rows).astype(np.float32)


@every_metric
@given(seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_agrees_with_the_reference_over_batches(metric: type, expected: Reference, k: int | None, seed: int) -> None:
    batches = [batch(seed, 40), batch(seed + 1, 7)]
    plain, weighted = metric(k=k), metric(k=k)
    for labels, scores, weights in batches:
        plain.update_state(labels, scores)
        weighted.update_state(labels, scores, sample_weight=weights)
    labels, scores, weights = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    values = expected(labels, scores, k)
    assert float(plain.result()) == pytest.approx(reference.mean_over_rows(values), abs=1e-5)
    assert float(weighted.result()) == pytest.approx(reference.mean_over_rows(values, weights), abs=1e-5)


@every_metric
@pytest.mark.parametrize("label", [0.0, -1.0])
def test_without_any_row_that_counts_it_is_zero(metric: type, expected: Reference, k: int | None, label: float) -> None:
    labels, scores = np.full((2, 5), label, np.float32), np.ones((2, 5), np.float32)
    assert float(metric(k=k)(labels, scores)) == reference.mean_over_rows(expected(labels, scores, k)) == 0.0
    labels[0, 0] = 1.0
    assert float(metric(k=k)(labels, scores, sample_weight=np.zeros(2))) == 0.0


@given(seed=st.integers(0, 10_000), k=st.sampled_from([1, 3, None]))
@settings(max_examples=10, deadline=None)
def test_graded_labels_count_in_ndcg(seed: int, k: int | None) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(-1, 4, (5, 6)).astype(np.float32), rng.integers(0, 4, (5, 6)).astype(np.float32)
    expected = reference.mean_over_rows(reference.ndcg(labels, scores, k))
    assert float(NDCG(k)(labels, scores)) == pytest.approx(expected, abs=1e-5)


def test_in_a_compiled_model_they_say_the_same() -> None:
    labels, scores, weights = batch(3, 40, 50)
    scores = np.nan_to_num(scores, posinf=2.0, neginf=-2.0)
    model = keras.Sequential([keras.Input((50,)), keras.layers.Rescaling(1.0)])
    pairs = {metric: (expected, k) for metric, expected, k in PAIRS}  # one of each
    model.compile(loss="mse", weighted_metrics=[metric(k=k) for metric, (_, k) in pairs.items()])
    means = [reference.mean_over_rows(expected(labels, scores, k), weights) for expected, k in pairs.values()]
    assert model.evaluate(scores, labels, sample_weight=weights, verbose=0)[1:] == pytest.approx(means, abs=1e-5)


@every_metric
def test_they_are_the_same_after_saving(metric: type, expected: Reference, k: int | None) -> None:
    saved = keras.saving.serialize_keras_object(metric(k=k, name="mine"))
    loaded = keras.saving.deserialize_keras_object(saved)
    labels, scores, _ = batch(4, 20)
    assert loaded.name == "mine"
    assert float(loaded(labels, scores)) == float(metric(k=k)(labels, scores))


def test_with_xla_ties_are_broken_the_same() -> None:
    _, scores, _ = batch(3, 40, 50)
    np.testing.assert_array_equal(tf.function(ranks, jit_compile=True)(tf.constant(scores)), ranks(tf.constant(scores)))


def test_a_worked_example() -> None:
    """Positives at ranks 2 and 4 of three; the other row has none and does not count."""
    labels = np.array([[0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]], np.float32)
    scores = np.array([[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], np.float32)
    gained, ideal = 1 / np.log2(3) + 1 / np.log2(5), 1 + 1 / np.log2(3) + 1 / np.log2(4)
    for metric, expected in (
        (AccuracyAtK(4), 1.0), (AccuracyAtK(1), 0.0), (PrecisionAtK(4), 2 / 4), (PrecisionAtK(20), 3 / 20),
        (RecallAtK(4), 2 / 3), (NDCG(4), gained / ideal), (MRR(), 1 / 2), (MRR(1), 0.0),
    ):  # fmt: skip
        assert float(metric(labels, scores)) == pytest.approx(expected, rel=1e-5)


def test_of_equal_scores_the_lower_position_comes_first_every_time() -> None:
    first, last = np.eye(1, 9, 0, np.float32), np.eye(1, 9, 8, np.float32)
    for _ in range(5):
        assert float(MRR()(first, np.zeros((1, 9), np.float32))) == 1.0
        assert float(MRR()(last, np.zeros((1, 9), np.float32))) == pytest.approx(1 / 9)


def test_weights_are_one_per_row() -> None:
    labels, scores, weights = batch(1, 6)
    column, row = NDCG(), NDCG()
    column.update_state(labels, scores, sample_weight=weights[:, None])
    row.update_state(labels, scores, sample_weight=weights)
    assert float(column.result()) == float(row.result())
    with pytest.raises(
        ValueError, match=r"Expected one sample weight per row, \(batch_size,\), got the shape \(6, 6\)"
    ):
        NDCG().update_state(labels, scores, sample_weight=np.ones((6, 6)))


def test_names_say_what_is_measured() -> None:
    metrics = [AccuracyAtK(), PrecisionAtK(5), RecallAtK(20), NDCG(), MRR(), MRR(10), NDCG(name="mine")]
    assert [metric.name for metric in metrics] == [
        "accuracy_at_10", "precision_at_5", "recall_at_20", "ndcg_at_10", "mrr", "mrr_at_10", "mine"
    ]  # fmt: skip


@pytest.mark.parametrize("metric", [AccuracyAtK, PrecisionAtK, RecallAtK, NDCG, MRR])
def test_what_makes_no_sense_is_refused(metric: type) -> None:
    for k in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="Expected k to be a whole number >= 1"):
            metric(k=k)
    with pytest.raises(ValueError, match=r"Expected y_true and y_pred \(batch_size, num_items\)"):
        metric(k=1).update_state(tf.ones(3), tf.ones(3))
    with pytest.raises(
        ValueError, match="Expected scores as floats for y_pred, got int32: the first result of the model"
    ):
        metric(k=1).update_state(tf.ones((1, 3)), tf.constant([[102, 88, 495]]))
