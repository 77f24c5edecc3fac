"""One vector per user and one per item."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.arguments import whole_number
from recsys.model.layers.lookup import look_up

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="recsys")
class CollaborativeUserItemEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Looks up the vectors of users and of items.

    An unknown id (below 0, or not below `num_users` or `num_items`) has the vector of zeros, which no gradient changes, so
    that whatever is computed from dot products is 0 for it.

    Each call adds `l2_reg` times the squared norm of what it looked up to the losses: the mean over the batch of the
    user's squared norm plus the mean of the listed items'. Only rows in use are pulled to 0, at the cost of the batch and
    not of the table, and a row is pulled as often as it is trained.

    Args:
        num_users: rows of the user table, >= 1.
        num_items: rows of the item table, >= 1.
        embedding_dim: length of a vector, >= 1.
        l2_reg: >= 0.
        seed: of the initial vectors; None takes Keras's global one.
        **kwargs: as for every Keras layer.

    Call arguments:
        inputs: `[user_ids, item_ids]`, integers: user_ids `(batch_size,)` or `(batch_size, 1)`, item_ids
            `(batch_size, num_listed)` or `(batch_size,)`.

    Returns:
        `(user_embeddings, item_embeddings)`, floats: `(batch_size, embedding_dim)` and the shape of `item_ids` with
        `embedding_dim` at its end.

    Raises:
        ValueError: if a size is not a whole number >= 1, `l2_reg` is negative, or ids are not integers or of another shape.

    References:
        Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems, IEEE Computer 2009.
    """

    INITIAL_STDDEV = 0.1

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        l2_reg: float = 1e-6,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not l2_reg >= 0:
            raise ValueError(f"Expected l2_reg >= 0, got {l2_reg}.")
        self.num_users = whole_number(num_users, "num_users")
        self.num_items = whole_number(num_items, "num_items")
        self.embedding_dim = whole_number(embedding_dim, "embedding_dim")
        self.l2_reg = float(l2_reg)
        self.seed = None if seed is None else whole_number(seed, "seed", 0)
        self.user_embeddings = self._table("user_embeddings", self.num_users, 0)
        self.item_embeddings = self._table("item_embeddings", self.num_items, 1)
        self.built = True

    def _table(self, name: str, num_rows: int, offset: int) -> Any:
        seed = (
            None if self.seed is None else self.seed + offset
        )  # one seed for both would give user 0 and item 0 one vector
        initializer = keras.initializers.RandomNormal(stddev=self.INITIAL_STDDEV, seed=seed)
        return self.add_weight(name=name, shape=(num_rows, self.embedding_dim), initializer=initializer)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Vectors of users and of items; see the class."""
        user_ids, item_ids = inputs
        self._validate(user_ids.shape, item_ids.shape)
        users = look_up(self.user_embeddings, ops.reshape(user_ids, (-1,)))  # (batch_size, embedding_dim)
        items = look_up(self.item_embeddings, item_ids)  # (batch_size, num_listed, embedding_dim)
        if self.l2_reg:
            self.add_loss(self.l2_reg * (_mean_squared_norm(users) + _mean_squared_norm(items)))
        return users, items

    def compute_output_shape(self, input_shape: Any) -> tuple[Shape, Shape]:
        """Shapes of both results."""
        users, items = input_shape
        self._validate(users, items)
        return (users[0], self.embedding_dim), (*items, self.embedding_dim)

    @staticmethod
    def _validate(users: Shape, items: Shape) -> None:
        if not (len(users) == 1 or (len(users) == 2 and users[1] == 1)) or len(items) not in (1, 2):
            raise ValueError(
                "Expected user_ids (batch_size,) or (batch_size, 1) and item_ids (batch_size,) or (batch_size, num_listed), "
                f"got {tuple(users)} and {tuple(items)}."
            )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {
            **super().get_config(),
            "num_users": self.num_users,
            "num_items": self.num_items,
            "embedding_dim": self.embedding_dim,
            "l2_reg": self.l2_reg,
            "seed": self.seed,
        }


def _mean_squared_norm(vectors: Any) -> Any:
    """Mean of the squared norms of the vectors in the last axis; 0 where there are none."""
    num_vectors = ops.cast(ops.maximum(ops.size(vectors[..., 0]), 1), vectors.dtype)
    return ops.sum(ops.square(vectors)) / num_vectors
