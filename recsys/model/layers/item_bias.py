"""One number per item."""

from __future__ import annotations

from typing import Any

import keras

from recsys.model.arguments import whole_number
from recsys.model.layers.lookup import look_up

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="recsys")
class ItemBias(keras.layers.Layer):  # type: ignore[misc]
    """How well an item does with everybody, learned; 0 for an unknown id.

    Args:
        num_items: >= 1.
        **kwargs: as for every Keras layer.

    Call arguments:
        item_ids: integers of any shape.

    Returns:
        Floats of the shape of `item_ids`.

    Raises:
        ValueError: if `num_items` is not a whole number >= 1, or ids are not integers.
    """

    def __init__(self, num_items: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_items = whole_number(num_items, "num_items")
        self.bias = self.add_weight(name="bias", shape=(self.num_items,), initializer="zeros")
        self.built = True

    def call(self, item_ids: Any) -> Any:
        """The biases of items; see the class."""
        return look_up(self.bias, item_ids)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the ids."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {**super().get_config(), "num_items": self.num_items}
