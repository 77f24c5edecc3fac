"""From a score to a chance: how likely a user with an opinion on the item likes it.

Scores of the additive model rank; they have no unit. The tracker, the error of a dislike and the metrics need a number
between 0 and 1 that means the same for every version: 0.5 where the model cannot tell liked from disliked items.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """`predicted = 1 / (1 + exp(-(slope * score + intercept)))`.

    Attributes:
        slope: >= 0, so that a higher score never means a lower chance.
        intercept: such that likes and dislikes, weighed equally, balance at 0.5.
        source: `opinions`, or `median` where there were too few of one kind: 0.5 is the median candidate then.
    """

    slope: float
    intercept: float
    source: str

    def predict(self, scores: npt.ArrayLike) -> FloatArray:
        """Chances in [0, 1], of the shape of `scores`."""
        from scipy.special import expit

        return np.asarray(expit(self.slope * np.asarray(scores, np.float64) + self.intercept))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


MIN_OPINIONS = 10  # of either kind


def calibrate(scores: FloatArray, is_like: npt.NDArray[np.bool_], candidates: FloatArray) -> Calibration:
    """Fits a logistic curve to opinions that the model had not seen when it gave the scores.

    Args:
        scores: `(num_opinions,)`.
        is_like: `(num_opinions,)`.
        candidates: `(n,)`, scores of what could have been recommended; for the fallback.

    References:
        Platt, Probabilistic Outputs for Support Vector Machines, 1999. Likes and dislikes are weighed equally, since
        their numbers say how often people click, not how well a model tells them apart.
    """
    if min(is_like.sum(), (~is_like).sum()) < MIN_OPINIONS or np.ptp(scores) == 0.0:
        spread = float(np.std(candidates)) if candidates.size else 0.0
        slope = 1.0 / spread if spread > 0 else 1.0
        return Calibration(slope, -slope * float(np.median(candidates)) if candidates.size else 0.0, "median")
    from sklearn.linear_model import LogisticRegression

    spread = float(scores.std())
    model = LogisticRegression(class_weight="balanced").fit((scores / spread)[:, None], is_like)
    slope = float(model.coef_[0, 0]) / spread
    if slope <= 0.0:  # the model cannot tell: everything is as likely as not
        return Calibration(0.0, 0.0, "opinions")
    return Calibration(slope, float(model.intercept_[0]), "opinions")
