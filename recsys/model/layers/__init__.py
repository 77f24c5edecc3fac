"""Keras layers of the explainable model, one class per file.

Masks are explicit arguments, as boolean tensors of the shape of the scores; no layer attaches a Keras mask to its output.
A Keras mask `(batch_size, num_items)` would reach the losses, which give one value per row, and not fit them.
"""

from recsys.model.layers.collaborative_embedding import CollaborativeUserItemEmbedding
from recsys.model.layers.cosine_similarity_explainer import CosineSimilarityExplainer
from recsys.model.layers.feedback_adjustment import FeedbackAdjustmentLayer
from recsys.model.layers.item_bias import ItemBias
from recsys.model.layers.learnable_weighted_combination import LearnableWeightedCombination
from recsys.model.layers.normalized_dot_product import NormalizedDotProductSimilarity
from recsys.model.layers.top_k_selector import TopKRecommendationSelector

__all__ = [
    "CollaborativeUserItemEmbedding",
    "CosineSimilarityExplainer",
    "FeedbackAdjustmentLayer",
    "ItemBias",
    "LearnableWeightedCombination",
    "NormalizedDotProductSimilarity",
    "TopKRecommendationSelector",
]
