"""Fidelity: whether explanations say what the model does.

| measure | what it asks |
|---|---|
| sum error | do the contributions of a recommendation sum to its score? |
| deletion at k | does the score fall by exactly the share of the k largest items of the history, once they are taken out? |

Both are asked of a model that claims them (`recsys.model.protocol.ExactRecommender`). They compare its explanations, ours made
in float64 beside the model, with what the model itself scores.

Deletion takes an item's entries out of the histories (`HistoryMatrices.without`) and scores anew. Its share is the sum of
its contributions (`like:`, `recent:` and `dislike:`). What likes say of genres is a contribution of its own, so the
user's taste is held at what it was; feature adjustments scale the whole score, so the scores are those before them.

References:
    Deletion: Petsiuk, Das, Saenko, *RISE: Randomized Input Sampling for Explanation of Black-box Models*, BMVC 2018; for
    parts of an input: comprehensiveness in DeYoung et al., *ERASER: A Benchmark to Evaluate Rationalized NLP Models*,
    ACL 2020.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
import pandas as pd

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.model.explanations import cited_items
from recsys.model.protocol import ExactRecommender, RecommenderProtocol, is_exact

SUM_TOLERANCE = 1e-5
DELETION_TOLERANCE = 1e-5
LIST_LENGTH = 10
SMALLEST = 1e-12  # instead of a division by 0


@dataclass(frozen=True)
class Fidelity:
    """How far explanations are from the model, over the recommendations of a sample of users.

    Attributes:
        num_recommendations: how many were measured.
        max_sum_error: largest |sum of contributions - score|.
        max_deletion_error_at_1: largest |fall of the score - share| without the item with the largest share.
        max_deletion_error_at_3: the same without the three largest.
        mean_share_at_1: mean of the largest |share| as part of all absolute contributions; in [0, 1].
        mean_share_at_3: the same of the three largest.
        worst_sum: the recommendation with the largest sum error, in words; empty without recommendations.
        worst_deletion: the same for both deletions.
    """

    num_recommendations: int
    max_sum_error: float
    max_deletion_error_at_1: float
    max_deletion_error_at_3: float
    mean_share_at_1: float
    mean_share_at_3: float
    worst_sum: str
    worst_deletion: str

    def metrics(self) -> dict[str, float]:
        """The numbers, as `fidelity_<name>`."""
        return {f"fidelity_{name}": float(value) for name, value in asdict(self).items() if not isinstance(value, str)}


def sample_users(histories: pd.DataFrame, num_users: int, rng: np.random.Generator) -> list[str]:
    """At most `num_users` users of `histories`, drawn without replacement."""
    users = np.sort(histories["user_id"].unique())
    return list(rng.choice(users, size=min(num_users, len(users)), replace=False))


def measure_fidelity(recommender: ExactRecommender, histories: pd.DataFrame, users: list[str]) -> Fidelity:
    """Measures the explanations of the first ten recommendations of each user.

    Args:
        recommender: the model and its explanations.
        histories: see `recsys.model.histories`.
        users: whose lists; see `sample_users`.
    """
    lists = recommender.recommend(histories, LIST_LENGTH, users)
    lists["sum"] = [math.fsum(json.loads(text).values()) for text in lists["contributions"]]
    lists["error"] = (lists["sum"] - lists["score"]).abs()
    deletion = Deletion(recommender, histories, lists)
    at_1, at_3 = deletion.without_largest(1), deletion.without_largest(3)
    both = pd.concat([at_1, at_3], ignore_index=True)
    return Fidelity(
        num_recommendations=len(lists),
        max_sum_error=_largest(lists["error"]),
        max_deletion_error_at_1=_largest(at_1["error"]),
        max_deletion_error_at_3=_largest(at_3["error"]),
        mean_share_at_1=_mean(at_1["part"]),
        mean_share_at_3=_mean(at_3["part"]),
        worst_sum=_worst(lists, "the contributions sum to {sum:.6f}, the score is {score:.6f}"),
        worst_deletion=_worst(both, "without {removed} the score falls by {fall:.6f}, the share is {share:.6f}"),
    )


class Deletion:
    """Takes items out of the histories behind recommendations, and has the model score them again.

    Args:
        recommender: the model and its explanations.
        histories: see `recsys.model.histories`.
        lists: recommendations; columns `user_id` and `item_id`.
    """

    def __init__(self, recommender: ExactRecommender, histories: pd.DataFrame, lists: pd.DataFrame) -> None:
        self.recommender, self.histories, self.lists = recommender, histories, lists
        self.terms = recommender.all_contributions(histories, lists)
        self.size = np.array([math.fsum(map(abs, terms.values())) for terms in self.terms])
        self.before = recommender.scores_without(histories, lists, [[]] * len(lists))

    def without_largest(self, k: int) -> pd.DataFrame:
        """`lists` with what was `removed` (item ids) and what became of the score.

        Columns `share` (of the removed items), `part` (their absolute shares, of all absolute contributions), `fall` (of
        the score) and `error` (between `fall` and `share`).
        """
        cited = [dict(islice(cited_items(terms).items(), k)) for terms in self.terms]
        share = np.array([math.fsum(items.values()) for items in cited])
        size = np.array([math.fsum(map(abs, items.values())) for items in cited])
        fall = self.before - self.recommender.scores_without(self.histories, self.lists, [list(own) for own in cited])
        removed = [", ".join(items) for items in cited]
        part = size / np.maximum(self.size, SMALLEST)
        return self.lists.assign(removed=removed, share=share, part=part, fall=fall, error=np.abs(fall - share))


def _largest(values: pd.Series[float]) -> float:
    return float(values.to_numpy().max(initial=0.0))


def _mean(values: pd.Series[float]) -> float:
    return float(values.sum() / max(len(values), 1))


def _worst(lists: pd.DataFrame, words: str) -> str:
    """The recommendation with the largest error, in words."""
    if lists.empty:
        return ""
    worst = lists.iloc[int(lists["error"].to_numpy().argmax())]
    return f"user {worst['user_id']}, item {worst['item_id']}: {words.format_map(worst)}"


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


def explanations_hold(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str]
) -> list[BehaviourResult]:
    """Both tests of explanations; "not claimed", where a model does not claim that its contributions are exact."""
    if is_exact(recommender):
        fidelity = measure_fidelity(recommender, histories, users)
        return [contributions_sum_to_score(fidelity), deletion_lowers_by_share(fidelity)]
    return [not_claimed("contributions_sum_to_score"), not_claimed("deletion_lowers_by_share")]


def not_claimed(name: str) -> BehaviourResult:
    """The outcome of a test of what the model does not claim: it stops nothing, and it shows nothing."""
    detail = "not claimed: this model does not say that its scores are the sum of their contributions"
    return BehaviourResult(name, True, detail, claimed=False)
