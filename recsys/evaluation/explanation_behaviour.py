"""Behaviour tests of explanations: they say what the model does."""

from __future__ import annotations

from recsys.evaluation.behaviour_result import BehaviourResult
from recsys.evaluation.fidelity import DELETION_TOLERANCE, SUM_TOLERANCE, Fidelity


def contributions_sum_to_score(fidelity: Fidelity) -> BehaviourResult:
    """The contributions of every recommendation sum to its score within 1e-5."""
    error = fidelity.max_sum_error
    passed = error <= SUM_TOLERANCE
    detail = f"{fidelity.num_recommendations} recommendations, largest error {error:.1e}"
    return BehaviourResult(
        "contributions_sum_to_score", passed, detail if passed else fidelity.worst_sum, fidelity.metrics()
    )


def deletion_lowers_by_share(fidelity: Fidelity) -> BehaviourResult:
    """Without the items that a reason rests on, the model's score falls by exactly their share."""
    error = max(fidelity.max_deletion_error_at_1, fidelity.max_deletion_error_at_3)
    passed = error <= DELETION_TOLERANCE
    detail = f"{fidelity.num_recommendations} recommendations, largest error {error:.1e}"
    return BehaviourResult("deletion_lowers_by_share", passed, detail if passed else fidelity.worst_deletion)
