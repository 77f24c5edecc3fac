"""Which shapes of user and item vectors go together."""

from __future__ import annotations

from typing import Any

from keras import ops

Shape = tuple[int | None, ...]


def scores_shape(users: Shape, items: Shape) -> Shape:
    """The shape of one score per user and item; `(batch_size, num_items)`.

    Args:
        users: `(batch_size, embedding_dim)` or `(batch_size, 1, embedding_dim)`.
        items: `(batch_size, num_items, embedding_dim)`, or `(batch_size, embedding_dim)` for one item per user.

    Raises:
        ValueError: for other shapes, or vectors of unequal length.
    """
    fits = len(users) == 2 or (len(users) == 3 and users[1] == 1)
    if not fits or len(items) not in (2, 3) or (None not in (users[-1], items[-1]) and users[-1] != items[-1]):
        raise ValueError(
            "Expected users (batch_size, embedding_dim) or (batch_size, 1, embedding_dim) and items (batch_size, num_items, "
            f"embedding_dim) or (batch_size, embedding_dim), got {tuple(users)} and {tuple(items)}."
        )
    return users[0], items[1] if len(items) == 3 else 1


def as_pairs(users: Any, items: Any) -> tuple[Any, Any]:
    """Users `(batch_size, 1, embedding_dim)` and items `(batch_size, num_items, embedding_dim)`; see `scores_shape`."""
    scores_shape(users.shape, items.shape)
    return (
        ops.expand_dims(users, 1) if len(users.shape) == 2 else users,
        ops.expand_dims(items, 1) if len(items.shape) == 2 else items,
    )
