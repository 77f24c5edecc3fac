"""Item-item weights from learned vectors: what the family `embedding` is made of."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from recsys.model.explainable import ExplainableRecommendationModel
from recsys.model.linked_weights import Associations, Matrix
from recsys.model.losses import SampledSoftmaxLoss
from recsys.model.nearest_items import nearest_dot_products
from recsys.training.dataset.events import Events
from recsys.training.recipe.recipe import Candidate, EmbeddingConfig


class _Likes(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of likes, each listed first among items drawn evenly; another draw in every epoch."""

    def __init__(
        self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], weights: npt.NDArray[np.float64],
        num_items: int, config: EmbeddingConfig, seed: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.users, self.items, self.weights = users.astype(np.int32), items.astype(np.int32), weights
        self.num_items, self.config = num_items, config
        self.rng = np.random.default_rng(seed)
        self.order = self.rng.permutation(len(users))

    def __len__(self) -> int:
        return math.ceil(len(self.users) / self.config.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rows = self.order[index * self.config.batch_size :][: self.config.batch_size]
        drawn = self.rng.integers(0, self.num_items, (len(rows), self.config.num_negatives), dtype=np.int32)
        liked = self.items[rows][:, None]
        labels = np.zeros((len(rows), 1 + self.config.num_negatives), np.float32)
        labels[:, 0] = 1.0
        labels[:, 1:][drawn == liked] = -1.0  # the liked item itself, drawn: neither positive nor negative
        inputs = {"user_ids": self.users[rows], "item_ids": np.concatenate([liked, drawn], axis=1)}
        return inputs, labels, self.weights[rows].astype(np.float32)

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.users))


def embedding_weights(
    events: Events,
    num_linked: int,
    candidate: Candidate,
    config: EmbeddingConfig,
    seed: int,
    num_neighbors: int | None = None,
) -> Matrix:
    """Trains the vectors on the likes; gives the dot products of the items' vectors.

    Args:
        events: whose likes train, by their sample weight.
        num_linked: the first items, which have vectors.
        candidate: of the family `embedding`.
        config: how to train.
        seed: of vectors, order and draws.
        num_neighbors: the largest of each item that are kept, in a sparse matrix; None: all, in a dense one.

    Returns:
        float32 `(num_linked, num_linked)`, zeros on the diagonal; symmetric if dense.
    """
    chosen = events.is_like & (events.items < num_linked)
    if not chosen.any():
        return Associations.none(num_linked, num_linked, num_neighbors is not None).matrix
    keras.utils.set_random_seed(seed)
    model = ExplainableRecommendationModel(
        events.num_users,
        num_linked,
        candidate.settings["embedding_dim"],
        top_k=1,
        l2_reg=config.l2_reg,
        seed=seed,
        score_scale=1.0,
    )
    loss = SampledSoftmaxLoss(sampling_probability=min(1.0, config.num_negatives / num_linked))
    model.compile(keras.optimizers.Adam(config.learning_rate), loss=[loss, None, None, None, None])
    weights = events.weights(candidate.settings["decay_power"])[chosen]
    likes = _Likes(events.users[chosen], events.items[chosen], weights, num_linked, config, seed)
    model.fit(likes, epochs=config.epochs, verbose=0, shuffle=False)
    if num_neighbors is None:
        return model.item_similarities(normalized=False)
    return nearest_dot_products(model.embedding.item_embeddings.numpy(), num_neighbors)
