"""Behaviour tests: what every model must do before it may become champion, whatever its metrics."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.evaluation.fidelity import (
    DELETION_TOLERANCE,
    SUM_TOLERANCE,
    Fidelity,
    measure_fidelity,
    sample_users,
)
from recsys.model.recommender import Recommender


@dataclass(frozen=True)
class BehaviourResult:
    """Outcome of one behaviour test.

    Attributes:
        name: of the test.
        passed: or failed.
        detail: the number behind it, or the example that failed.
        metrics: what was measured, to be logged with the version.
    """

    name: str
    passed: bool
    detail: str
    metrics: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def run_behaviour_tests(
    recommender: Recommender, histories: pd.DataFrame, *, num_users: int = 200, seed: int = 0
) -> list[BehaviourResult]:
    """Runs every behaviour test on a seeded sample of users.

    Args:
        recommender: the model to test.
        histories: see `recsys.model.histories`; a sample of its users is taken.
        num_users: sample size.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    sample = sample_users(histories, num_users, rng)
    own = histories[histories["user_id"].isin(sample)].reset_index(drop=True)
    tests: tuple[Callable[[Recommender, pd.DataFrame, list[str], np.random.Generator], BehaviourResult], ...] = (
        history_never_returns,
        dislike_never_raises,
        reload_scores_equally,
        stranger_gets_a_list,
    )
    fidelity = measure_fidelity(recommender, own, sample)
    return [
        contributions_sum_to_score(fidelity),
        deletion_lowers_by_share(fidelity),
        *(test(recommender, own, sample, rng) for test in tests),
    ]


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


def history_never_returns(
    recommender: Recommender, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """No list holds an item that its user has liked, disliked or seen."""
    del rng
    lists = recommender.top_items(histories, users, 10)
    again = lists.merge(histories, on=["user_id", "item_id"])
    detail = f"{len(lists)} slots, none from a history"
    if len(again):
        first = again.iloc[0]
        detail = f"user {first['user_id']} was given {first['item_id']}, which is in the history as {first['signal']!r}"
    return BehaviourResult("history_never_returns", again.empty, detail)


def dislike_never_raises(
    recommender: Recommender, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """One more dislike, of an item new to the user, raises no score of any item."""
    disliked = rng.choice(recommender.item_ids, size=len(users))
    extra = pd.DataFrame({"user_id": users, "item_id": disliked, "signal": "dislike", "weight": 0.8})
    known = pd.MultiIndex.from_frame(histories[["user_id", "item_id"]])
    extra = extra[~pd.MultiIndex.from_frame(extra[["user_id", "item_id"]]).isin(known)]
    before = recommender.score(histories, users)
    after = recommender.score(pd.concat([histories, extra], ignore_index=True), users)
    rise = after - before
    worst = float(rise.max(initial=0.0))
    detail = f"{len(extra)} dislikes, largest rise {worst:.1e}"
    if worst > 1e-6:
        row, column = np.unravel_index(int(rise.argmax()), rise.shape)
        detail = (
            f"user {users[row]} disliked {disliked[row]} and the score of {recommender.item_ids[column]} "
            f"rose by {worst:.2e}"
        )
    return BehaviourResult("dislike_never_raises", worst <= 1e-6, detail)


def reload_scores_equally(
    recommender: Recommender, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """Saved and loaded again, the model gives the same scores to the bit."""
    del rng
    with tempfile.TemporaryDirectory() as folder:
        again = Recommender.load(recommender.save(Path(folder)))
    same = np.array_equal(recommender.score(histories, users), again.score(histories, users))
    return BehaviourResult("reload_scores_equally", same, f"{len(users)} users, scores {'equal' if same else 'differ'}")


def stranger_gets_a_list(
    recommender: Recommender, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """A user without history gets a full list, with a reason."""
    del users, rng
    lists = recommender.recommend(histories.iloc[:0], 10, ["a user without history"])
    expected = min(10, len(recommender.item_ids))
    passed = len(lists) == expected and bool(lists["reason"].str.len().gt(0).all())
    return BehaviourResult("stranger_gets_a_list", passed, f"{len(lists)} of {expected} slots filled")


def rank_overlap(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Mean share of each user's list in `first` that is also in `second`'s; lists with `user_id`, `item_id`."""
    if first.empty:
        return 1.0
    shared = first.merge(second, on=["user_id", "item_id"]).groupby("user_id").size()
    sizes = first.groupby("user_id").size()
    return float((shared.reindex(sizes.index, fill_value=0) / sizes).mean())
