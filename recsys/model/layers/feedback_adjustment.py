"""Scores moved by what the user said about them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from recsys.model.arguments import whole_number

Shape = tuple[int | None, ...]
NEUTRAL = 0.5


@keras.saving.register_keras_serializable(package="recsys")
class FeedbackAdjustmentLayer(keras.layers.Layer):  # type: ignore[misc]
    """Moves scores up where the feedback is good and down where it is bad, by amounts that it learns.

        adjusted = score + like(f) * (a_like + b_like * softplus(score))         where f > 0.5
        adjusted = score - dislike(f) * (a_dislike + b_dislike * softplus(score))    where f < 0.5

    `like` and `dislike` grow from 0 at f = 0.5 to 1 at f = 1 and f = 0: learned curves, straight between `num_segments + 1`
    knots. `a` is what every score is moved by, `b` what a score is moved by for its height.

    What always holds, because the slopes of both curves are a softmax and `a` and `b` go through a softplus, so that they
    are >= 0 whatever is trained, loaded or assigned:

    - More dislike (less feedback) never means a higher score, not for negative scores either.
    - f = 0.5 is neutral: the scores come back exactly.

    One value per user can change the user's ranking, because it moves high scores by more than low ones: where
    `dislike(f) * b_dislike > 1`, what the model was surest of falls below what it is undecided about. A new layer has
    a = 1 and b = 2: feedback between 0.25 and 0.5 only draws a user's scores together, below 0.25 it turns their list over.

    What is trained starts at 0 and is drawn there by an L2 penalty, so that a layer without evidence stays as it was made.

    Args:
        num_segments: straight pieces of each curve, >= 2.
        l2_reg: strength of the penalty, >= 0.
        **kwargs: as for every Keras layer.

    Call arguments:
        inputs: `[scores, feedback]`: floats `(batch_size, num_items)`, minus infinity allowed (it stays); and numbers
            `(batch_size, 1)` or `(batch_size, num_items)`, in [0, 1]: 0 dislikes, 1 likes. What is outside counts as 0 or 1,
            NaN (nothing known) as 0.5.

    Returns:
        Floats `(batch_size, num_items)`.

    Raises:
        ValueError: if the shapes do not go together, or an argument is out of range.
    """

    INITIAL_STRENGTH = ((1.0, 2.0), (1.0, 2.0))  # (a, b) of dislikes, then of likes
    LARGEST_STRENGTH = 1e3

    def __init__(self, num_segments: int = 4, l2_reg: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not l2_reg >= 0:
            raise ValueError(f"Expected l2_reg >= 0, got {l2_reg}.")
        self.num_segments = whole_number(num_segments, "num_segments", 2)
        self.l2_reg = float(l2_reg)
        self.raw_slopes = self._drawn_to_zero("raw_slopes", (2, self.num_segments))  # rows: dislikes, likes
        self.raw_strengths = self._drawn_to_zero("raw_strengths", (2, 2))  # columns: a, b
        self.built = True

    def _drawn_to_zero(self, name: str, shape: Shape) -> Any:
        regularizer = keras.regularizers.L2(self.l2_reg) if self.l2_reg else None
        return self.add_weight(name=name, shape=shape, initializer="zeros", regularizer=regularizer)

    @property
    def strengths(self) -> Any:
        """`(2, 2)`: a and b of dislikes, a and b of likes; each in [0, `LARGEST_STRENGTH`]."""
        offsets = ops.log(ops.expm1(ops.convert_to_tensor(self.INITIAL_STRENGTH, self.compute_dtype)))
        strengths = ops.softplus(ops.cast(self.raw_strengths, self.compute_dtype) + offsets)
        return ops.minimum(strengths, self.LARGEST_STRENGTH)

    def effects(self, feedback: Any) -> tuple[Any, Any]:
        """How much of a dislike and of a like each feedback is; two floats in [0, 1] of the shape of `feedback`."""
        feedback = ops.cast(feedback, self.compute_dtype)
        feedback = ops.where(ops.isnan(feedback), ops.full_like(feedback, NEUTRAL), ops.clip(feedback, 0.0, 1.0))
        slopes = ops.softmax(ops.cast(self.raw_slopes, self.compute_dtype), axis=-1)  # (2, num_segments), >= 0
        starts = ops.arange(self.num_segments, dtype=self.compute_dtype)
        effects = []
        for side, distance in enumerate((1.0 - 2.0 * feedback, 2.0 * feedback - 1.0)):
            position = (
                ops.expand_dims(distance * self.num_segments, -1) - starts
            )  # (batch_size, num_items, num_segments)
            effects.append(ops.sum(slopes[side] * ops.clip(position, 0.0, 1.0), axis=-1))
        return effects[0], effects[1]

    def call(self, inputs: Any) -> Any:
        """Adjusted scores; see the class."""
        scores, feedback = inputs
        self._validate(scores.shape, feedback.shape)
        dislike, like = self.effects(feedback)
        strengths = self.strengths
        height = ops.softplus(scores)  # (batch_size, num_items), >= 0
        raised = scores + like * (strengths[1, 0] + strengths[1, 1] * height)
        return raised - dislike * (strengths[0, 0] + strengths[0, 1] * height)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of the scores."""
        self._validate(*input_shape)
        return tuple(input_shape[0])

    @staticmethod
    def _validate(scores: Shape, feedback: Shape) -> None:
        if len(scores) != 2 or len(feedback) != 2 or feedback[1] not in (1, scores[1], None):
            raise ValueError(
                "Expected scores (batch_size, num_items) and feedback (batch_size, 1) or (batch_size, num_items), "
                f"got {tuple(scores)} and {tuple(feedback)}."
            )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, for saving."""
        return {**super().get_config(), "num_segments": self.num_segments, "l2_reg": self.l2_reg}
