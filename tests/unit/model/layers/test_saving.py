"""Every layer keeps its weights and arguments through a saved functional model."""

from pathlib import Path

import keras
import numpy as np

from recsys.model.layers import (
    CollaborativeUserItemEmbedding,
    CosineSimilarityExplainer,
    FeedbackAdjustmentLayer,
    ItemBias,
    LearnableWeightedCombination,
    NormalizedDotProductSimilarity,
    TopKRecommendationSelector,
)


def test_a_functional_model_of_all_layers_is_the_same_after_loading(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    user, items = keras.Input((1,), dtype="int32"), keras.Input((7,), dtype="int32")
    feedback, seen = keras.Input((7,)), keras.Input((7,), dtype="bool")
    pair = CollaborativeUserItemEmbedding(5, 9, 4, l2_reg=0.01, seed=3)([user, items])
    scores = LearnableWeightedCombination()(
        [NormalizedDotProductSimilarity()(pair), CosineSimilarityExplainer()(pair), ItemBias(9)(items)]
    )
    adjusted = FeedbackAdjustmentLayer(num_segments=3, l2_reg=0.2)([scores, feedback])
    model = keras.Model(
        [user, items, feedback, seen], [adjusted, *TopKRecommendationSelector(k=3)(adjusted, item_ids=items, seen=seen)]
    )
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    model.save(tmp_path / "all.keras")
    loaded = keras.saving.load_model(tmp_path / "all.keras")
    inputs = [
        rng.integers(0, 5, (6, 1)), rng.integers(-1, 10, (6, 7)),
        rng.random((6, 7)).astype(np.float32), rng.random((6, 7)) < 0.3,
    ]  # fmt: skip
    for result, expected in zip(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), strict=True):
        np.testing.assert_array_equal(result, expected)
    for layer, original in zip(loaded.layers, model.layers, strict=True):
        assert layer.get_config() == original.get_config()
