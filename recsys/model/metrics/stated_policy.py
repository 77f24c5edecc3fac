"""What the ranking metrics do with ties and with rows without a positive."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from recsys.model.arguments import whole_number


class StatedPolicy:
    """Stands before a metric of keras-rs and settles ties and rows without a positive; see the package.

    Args:
        k: only the first k of each list count; None takes them all.
        name: by default what the metric is, with its k.
        dtype: of the computation.

    Raises:
        ValueError: if k is not a whole number >= 1.
    """

    NAME: ClassVar[str]

    def __init__(self, k: int | None = 10, name: str | None = None, dtype: Any = None) -> None:
        slots = None if k is None else whole_number(k, "k")
        default = self.NAME if slots is None else f"{self.NAME}_at_{slots}"
        super().__init__(k=slots, name=name or default, dtype=dtype, shuffle_ties=False, seed=0)  # type: ignore[call-arg]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch; shapes as in the package.

        Raises:
            ValueError: if a shape is another, or `y_pred` holds whole numbers: item ids instead of scores.
        """
        labels, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if not keras.backend.is_float_dtype(scores.dtype):
            raise ValueError(
                f"Expected scores as floats for y_pred, got {keras.backend.standardize_dtype(scores.dtype)}: the first result "
                "of the model, not the recommended item ids. Convert scores that are whole numbers to float32."
            )
        if len(labels.shape) != 2 or len(scores.shape) != 2:
            raise ValueError(
                f"Expected y_true and y_pred (batch_size, num_items), got {tuple(labels.shape)} and {tuple(scores.shape)}."
            )
        places = ops.cast(ranks(scores), self.dtype)  # type: ignore[attr-defined]
        weights = _row_weights(sample_weight, labels, self.dtype)  # type: ignore[attr-defined]
        super().update_state(labels, -places, weights)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {"name": self.name, "dtype": self.dtype, "k": self.k}  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StatedPolicy:
        """From what `get_config` gave."""
        return cls(**config)


def ranks(scores: Any) -> Any:
    """Rank of each item in its row, from 0; int32 `(batch_size, num_items)`."""
    scores = ops.where(ops.isnan(scores), ops.full_like(scores, -float("inf")), scores)
    scores = ops.where(scores == 0, ops.zeros_like(scores), scores)  # compiled, -0.0 would stand below 0.0
    _, order = ops.top_k(scores, ops.shape(scores)[1])  # of equal values the lower position first
    return ops.argsort(order, axis=1)


def _row_weights(sample_weight: Any, labels: Any, dtype: Any) -> Any:
    """`(batch_size,)`: the weight of each row, 0 without a positive."""
    weights = ops.cast(ops.any(labels > 0, axis=1), dtype)  # (batch_size,)
    if sample_weight is None:
        return weights
    given = ops.convert_to_tensor(sample_weight, dtype)
    if len(given.shape) > 2 or (len(given.shape) == 2 and given.shape[1] != 1):
        raise ValueError(f"Expected one sample weight per row, (batch_size,), got the shape {tuple(given.shape)}.")
    return weights * ops.maximum(ops.reshape(given, (-1,)), 0)
