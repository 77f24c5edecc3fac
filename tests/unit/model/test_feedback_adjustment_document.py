"""Every code sample of the document on `FeedbackAdjustmentLayer`, with our imports.

Changed beside the imports is only what Keras 3 does not have: `keras.constant(x)` is `keras.ops.convert_to_tensor(x)`, and
a tensor's `x.min()`, `x.max()` and `x.mean()` are `keras.ops.min(x)`, `keras.ops.max(x)` and `keras.ops.mean(x)`.
"""

import keras
import numpy as np
import pytest

from recsys.model.layers import (
    CollaborativeUserItemEmbedding,
    FeedbackAdjustmentLayer,
    NormalizedDotProductSimilarity,
    TopKRecommendationSelector,
)


def test_basic_usage(capsys: pytest.CaptureFixture[str]) -> None:
    # Create adjustment layer
    adjuster = FeedbackAdjustmentLayer()

    # Adjust scores with feedback
    scores = keras.random.normal((32, 100))
    feedback = keras.random.uniform((32, 1), 0, 1)

    adjusted_scores = adjuster([scores, feedback])
    print(f"Original scores: {scores.shape}")
    print(f"Adjusted scores: {adjusted_scores.shape}")  # (32, 100)

    assert capsys.readouterr().out == "Original scores: (32, 100)\nAdjusted scores: (32, 100)\n"


def test_in_adaptive_recommendation_pipeline() -> None:
    # Define inputs
    user_id_input = keras.Input(shape=(1,), dtype="int32")
    item_id_input = keras.Input(shape=(100,), dtype="int32")
    feedback_input = keras.Input(shape=(1,), dtype="float32")

    # Compute initial scores
    embedding = CollaborativeUserItemEmbedding(1000, 5000, 32)
    user_emb, item_emb = embedding([user_id_input, item_id_input])

    similarity = NormalizedDotProductSimilarity()
    scores = similarity([keras.ops.expand_dims(user_emb, 1), item_emb])

    # Adjust with feedback
    adjuster = FeedbackAdjustmentLayer()
    adjusted_scores = adjuster([scores, feedback_input])

    # Select top-K
    selector = TopKRecommendationSelector(k=10)
    rec_indices, rec_scores = selector(adjusted_scores)

    # Build adaptive model
    model = keras.Model(inputs=[user_id_input, item_id_input, feedback_input], outputs=[rec_indices, rec_scores])

    assert user_emb.shape == (None, 32)
    assert item_emb.shape == (None, 100, 32)
    assert scores.shape == adjusted_scores.shape == (None, 100)
    rng = np.random.default_rng(0)
    inputs = [rng.integers(0, 1000, (8, 1)), rng.integers(0, 5000, (8, 100)), rng.random((8, 1)).astype(np.float32)]
    indices, values = model.predict(inputs, verbose=0)
    assert indices.shape == values.shape == (8, 10)
    assert model.output_shape == [(None, 10), (None, 10)]
    assert (np.diff(values, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 and row.min() >= 0 and row.max() < 100 for row in indices)


def test_example_1_basic_feedback_adjustment(capsys: pytest.CaptureFixture[str]) -> None:
    adjuster = FeedbackAdjustmentLayer()

    # Initial scores
    scores = keras.random.normal((16, 50))

    # User feedback (e.g., click-through rates)
    feedback = keras.random.uniform((16, 1), 0, 1)

    # Adjust scores
    adjusted = adjuster([scores, feedback])

    print(f"Original scores range: [{keras.ops.min(scores):.3f}, {keras.ops.max(scores):.3f}]")
    print(f"Adjusted scores range: [{keras.ops.min(adjusted):.3f}, {keras.ops.max(adjusted):.3f}]")

    assert adjusted.shape == (16, 50)
    assert "Adjusted scores range: [" in capsys.readouterr().out


def test_example_2_feedback_impact_analysis(capsys: pytest.CaptureFixture[str]) -> None:
    adjuster = FeedbackAdjustmentLayer()
    scores = keras.random.normal((8, 100))

    # Test different feedback values
    for feedback_val in [0.0, 0.25, 0.5, 0.75, 1.0]:
        feedback = keras.ops.convert_to_tensor([[feedback_val]] * 8)
        adjusted = adjuster([scores, feedback])
        print(f"Feedback {feedback_val:.2f}: mean score = {keras.ops.mean(adjusted):.4f}")

    means = [float(line.split("= ")[1]) for line in capsys.readouterr().out.splitlines()]
    assert means == sorted(set(means))  # each step up raises the mean
    assert means[2] == pytest.approx(float(keras.ops.mean(scores)), abs=1e-4)


def test_example_3_real_time_feedback_integration(capsys: pytest.CaptureFixture[str]) -> None:
    # Initial recommendations
    scores = keras.random.normal((32, 1000))

    # User feedback from interactions
    feedback = keras.ops.convert_to_tensor([[0.8], [0.3], [0.9]] * 10 + [[0.5]] * 2)

    # Adjust scores
    adjuster = FeedbackAdjustmentLayer()
    adjusted_scores = adjuster([scores, feedback])

    # Re-rank with adjusted scores
    selector = TopKRecommendationSelector(k=10)
    rec_indices, rec_scores = selector(adjusted_scores)

    print(f"Re-ranked recommendations: {rec_indices.shape}")

    assert capsys.readouterr().out == "Re-ranked recommendations: (32, 10)\n"
    np.testing.assert_array_equal(rec_scores, np.take_along_axis(adjusted_scores.numpy(), rec_indices.numpy(), axis=1))


def test_weight_learning() -> None:
    """ "Learns optimal feedback weights during training": the layer has weights, and all of them get a gradient."""
    inputs = [keras.Input((5,)), keras.Input((1,))]
    adjuster = FeedbackAdjustmentLayer()
    model = keras.Model(inputs, adjuster(inputs))
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    scores, feedback = rng.normal(size=(64, 5)).astype(np.float32), rng.random((64, 1)).astype(np.float32)
    model.fit([scores, feedback], scores + feedback, epochs=1, verbose=0)
    assert adjuster.trainable_weights
    assert all((weight != 0).all() for weight in adjuster.get_weights())
