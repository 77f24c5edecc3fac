"""The explainable recommendation model: learned user and item vectors, with the similarity that explains each score."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from recsys.model.arguments import whole_number
from recsys.model.layers import (
    CollaborativeUserItemEmbedding,
    CosineSimilarityExplainer,
    FeedbackAdjustmentLayer,
    ItemBias,
    NormalizedDotProductSimilarity,
    TopKRecommendationSelector,
)
from recsys.model.layers.lookup import is_known

INPUTS = ("user_ids", "item_ids", "feedback", "seen")


@keras.saving.register_keras_serializable(package="recsys")
class ExplainableRecommendationModel(keras.Model):  # type: ignore[misc]
    """Scores and ranks a list of items for each user.

        score(u, i) = score_scale * u . v_i / sqrt(embedding_dim) + bias_i
        feedback_adjusted = score + 2 * feedback_weight * (adjustment of the score by the feedback)

    and the top-k is taken from `feedback_adjusted`, so that feedback changes what is recommended.

    Unknown ids have a vector of zeros and a bias of 0: every unknown user gets the scores of the biases, the same list; an
    unknown item has score 0 (0 moved by the feedback) and is never recommended.

    Args:
        num_users: user ids are 0 to `num_users - 1`; >= 1.
        num_items: item ids are 0 to `num_items - 1`; >= 1.
        embedding_dim: length of the vectors, >= 1.
        top_k: length of the recommendations, >= 1.
        l2_reg: how strongly the vectors, times the square root of `score_scale`, are drawn to 0 in training, >= 0 (see
            `CollaborativeUserItemEmbedding`).
        feedback_weight: in [0, 1]: 0 ignores feedback, 0.5 takes `FeedbackAdjustmentLayer` as it is, 1 doubles it.
        seed: of the initial vectors; None takes Keras's global one.
        score_scale: > 0. Losses with a margin ask for scores that differ by about 1, which takes vectors far from where they
            begin; Adam moves each entry by about the learning rate a step, whatever the loss. With 32, a learning rate of 0.001
            comes in ten epochs where 1 needs one of 0.03.
        **kwargs: as for every Keras model.

    Call arguments:
        inputs: `[user_ids, item_ids]`, `[user_ids, item_ids, feedback]`, `[user_ids, item_ids, feedback, seen]`, or a dict
            with these names, where `feedback` and `seen` may be missing:
            `user_ids`: integers `(batch_size,)` or `(batch_size, 1)`.
            `item_ids`: integers `(batch_size, num_listed)`; `num_listed` may be 0. -1 fills a shorter list up.
            `feedback`: numbers in [0, 1], `(batch_size,)`, `(batch_size, 1)` or `(batch_size, num_listed)`; 0.5 without.
            `seen`: bool (or 0 and 1) `(batch_size, num_listed)`: what the user knows and does not want again.

    Returns:
        `(scores, rec_indices, rec_scores, similarity_matrix, feedback_adjusted)`:
        `scores`: float32 `(batch_size, num_listed)`.
        `rec_indices`: integers `(batch_size, top_k)`, item ids, best first; -1 where nothing is left to recommend.
        `rec_scores`: float32 `(batch_size, top_k)`, from `feedback_adjusted`; minus infinity where `rec_indices` is -1.
        `similarity_matrix`: float32 `(batch_size, num_listed)` in [-1, 1], cosines of u and v_i.
        `feedback_adjusted`: float32 `(batch_size, num_listed)`.

    A loss on `scores` alone trains the vectors; one on `feedback_adjusted` (the fifth) trains the adjustment too.

    Raises:
        ValueError: if an argument is out of range, or an input is missing, unknown, or of another shape or type.

    References:
        Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems, IEEE Computer 2009.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        top_k: int = 10,
        l2_reg: float = 1e-4,
        feedback_weight: float = 0.5,
        seed: int | None = None,
        score_scale: float = 32.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= feedback_weight <= 1:
            raise ValueError(f"Expected feedback_weight in [0, 1], got {feedback_weight}.")
        if not 0 < score_scale < float("inf"):
            raise ValueError(f"Expected score_scale above 0, got {score_scale}.")
        self.score_scale = float(score_scale)
        # What is drawn to 0 are the vectors as they count in the scores, or a larger scale would undo the regularisation.
        scaled_reg = l2_reg * self.score_scale
        self.embedding = CollaborativeUserItemEmbedding(num_users, num_items, embedding_dim, scaled_reg, seed)
        self.num_users = self.embedding.num_users
        self.num_items = self.embedding.num_items
        self.embedding_dim = self.embedding.embedding_dim
        self.top_k = whole_number(top_k, "top_k")
        self.l2_reg = float(l2_reg)
        self.feedback_weight = float(feedback_weight)
        self.seed = self.embedding.seed
        self.item_bias = ItemBias(num_items)
        self.similarity = NormalizedDotProductSimilarity()
        self.explainer = CosineSimilarityExplainer()
        self.adjuster = FeedbackAdjustmentLayer()
        self.selector = TopKRecommendationSelector(top_k)
        self.built = True  # every weight exists, so that a saved model loads without a call

    def call(self, inputs: Any) -> tuple[Any, Any, Any, Any, Any]:
        """The five results; see the class."""
        user_ids, item_ids, feedback, seen = self._parts(inputs)
        users, items = self.embedding([user_ids, item_ids])  # (batch_size, dim), (batch_size, num_listed, dim)
        affinities = self.score_scale * self.similarity([users, items])  # (batch_size, num_listed)
        scores = affinities + self.item_bias(item_ids)  # (batch_size, num_listed)
        similarity_matrix = self.explainer([users, items])  # (batch_size, num_listed)
        adjusted = scores
        if feedback is not None:
            adjusted = scores + 2.0 * self.feedback_weight * (self.adjuster([scores, feedback]) - scores)
        rec_indices, rec_scores = self.selector(  # (batch_size, top_k) each
            adjusted, item_ids=item_ids, seen=seen, eligible=is_known(item_ids, self.num_items)
        )
        return scores, rec_indices, rec_scores, similarity_matrix, adjusted

    @staticmethod
    def _parts(inputs: Any) -> tuple[Any, Any, Any, Any]:
        """The inputs in the order of `INPUTS`, None where missing; feedback with two axes."""
        named = dict(inputs) if isinstance(inputs, dict) else dict(zip(INPUTS, inputs, strict=False))
        given = len(inputs)
        if not 2 <= given <= len(INPUTS) or not {"user_ids", "item_ids"} <= set(named) <= set(INPUTS):
            what = sorted(named) if isinstance(inputs, dict) else f"{given} inputs"
            raise ValueError(f"Expected user_ids, item_ids and, where there are any, feedback and seen, got {what}.")
        if len(named["item_ids"].shape) != 2:
            raise ValueError(f"Expected item_ids (batch_size, num_listed), got {tuple(named['item_ids'].shape)}.")
        feedback = named.get("feedback")
        if feedback is not None and len(feedback.shape) == 1:
            feedback = ops.expand_dims(feedback, 1)  # (batch_size, 1)
        return named["user_ids"], named["item_ids"], feedback, named.get("seen")

    def item_similarities(self, block_size: int = 1024, normalized: bool = True) -> npt.NDArray[np.float32]:
        """How alike the items are.

        Args:
            block_size: rows computed at a time, >= 1; memory beside the result is one block of it.
            normalized: cosines of the item vectors; False takes their dot products, in which the items that training found
                much to say about count for more (as weights from item to item these rank better).

        Returns:
            float32 `(num_items, num_items)`, symmetric, with zeros on the diagonal: no item speaks for itself. Cosines are
            in [-1, 1], and 0 for a vector of zeros.
        """
        vectors = np.asarray(self.embedding.item_embeddings.numpy(), np.float32)
        if normalized:
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        similarities = np.empty((self.num_items, self.num_items), np.float32)
        for start in range(0, self.num_items, block_size):
            rows = slice(start, start + block_size)
            block = vectors[rows] @ vectors[start:].T  # (block_size, num_items - start)
            if normalized:
                block = np.clip(block, -1.0, 1.0)
            square = block[:, :block_size]
            square[:] = (square + square.T) / 2  # the order of summation differs between (i, j) and (j, i)
            similarities[rows, start:] = block
            similarities[start:, rows] = block.T
        np.fill_diagonal(similarities, 0.0)
        return similarities

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "num_users": self.num_users,
            "num_items": self.num_items,
            "embedding_dim": self.embedding_dim,
            "top_k": self.top_k,
            "l2_reg": self.l2_reg,
            "feedback_weight": self.feedback_weight,
            "seed": self.seed,
            "score_scale": self.score_scale,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ExplainableRecommendationModel:
        """From what `get_config` gave; models from before there was `score_scale` have the scores that they had."""
        made: ExplainableRecommendationModel = super().from_config({"score_scale": 1.0, **config}, custom_objects)
        return made
