"""Behaviour tests of what a dislike promises: it never comes back, and it lifts nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.feedback.reasons import base_weight
from recsys.model.protocol import RecommenderProtocol
from recsys.records import DislikeReason

TRAINING_REASONS = tuple(str(reason) for reason in DislikeReason if base_weight(reason) > 0)
TOLERANCE = 1e-6
LIST_LENGTH = 10


def history_never_returns(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """No list holds an item that its user liked, disliked or has seen, nor the next one what has just been.

    Of each list the first item is disliked, the second seen, the third seen and found wanting (`already_watched`); then
    lists are made again.
    """
    del rng
    lists = recommender.top_items(histories, users, LIST_LENGTH)
    signals = pd.DataFrame({
        "rank": [1, 2, 3], "signal": ["dislike", "seen", "seen"], "weight": [base_weight("unspecified"), 1.0, 1.0],
        "reason": [str(DislikeReason.UNSPECIFIED), "", str(DislikeReason.ALREADY_WATCHED)], "age_days": 0.0,
    })  # fmt: skip
    now = lists.merge(signals, on="rank")
    later = with_signals(histories, now)
    again = recommender.top_items(later, users, LIST_LENGTH)
    for when, found, history in (("", lists, histories), (" again", again, later)):
        back = found.merge(history[["user_id", "item_id", "signal"]], on=["user_id", "item_id"])
        if len(back):
            first = back.iloc[0]
            detail = f"user {first['user_id']} was given {first['item_id']}{when}, which is in the history as"
            return BehaviourResult("history_never_returns", False, f"{detail} {first['signal']!r}", version=2)
    detail = f"{2 * len(lists)} slots, none from a history"
    return BehaviourResult("history_never_returns", True, detail, version=2)


def dislike_never_raises(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """One more dislike, for whatever reason, raises the score of no item: not its own, not of what is like it.

    Every second user dislikes an item of their own list, the others any item that is new to them; the reasons are drawn.
    """
    disliked = rng.choice(recommender.item_ids, size=len(users))
    first = recommender.top_items(histories, users, 1).set_index("user_id")["item_id"].reindex(users)
    disliked = np.where((np.arange(len(users)) % 2 == 0) & first.notna(), first, disliked)
    reasons = rng.choice(TRAINING_REASONS, size=len(users))
    extra = pd.DataFrame({"user_id": users, "item_id": disliked, "signal": "dislike", "reason": reasons})
    extra = extra.assign(weight=[base_weight(reason) for reason in reasons], age_days=0.0)
    known = pd.MultiIndex.from_frame(histories[["user_id", "item_id"]])
    extra = extra[~pd.MultiIndex.from_frame(extra[["user_id", "item_id"]]).isin(known)]
    before = recommender.score(histories, users)
    rise = recommender.score(with_signals(histories, extra), users) - before
    worst = float(rise.max(initial=0.0))
    detail = f"{len(extra)} dislikes, largest rise {worst:.1e}"
    if worst > TOLERANCE:
        row, column = np.unravel_index(int(rise.argmax()), rise.shape)
        detail = (
            f"user {users[row]} disliked {disliked[row]} ({reasons[row]}) and the score of "
            f"{recommender.item_ids[column]}{_likeness(recommender, disliked[row], int(column))} rose by {worst:.2e}"
        )
    return BehaviourResult("dislike_never_raises", worst <= TOLERANCE, detail, version=2)


def with_signals(histories: pd.DataFrame, signals: pd.DataFrame) -> pd.DataFrame:
    """Histories with newer signals: `user_id`, `item_id`, `signal`, `weight`, `reason`, `age_days`; the newer one holds.

    Histories may lack reasons and ages, which stand for `unspecified` and for all being of one age.
    """
    reason = histories["reason"] if "reason" in histories else str(DislikeReason.UNSPECIFIED)
    known = histories.assign(reason=reason)
    newer = pd.MultiIndex.from_frame(signals[["user_id", "item_id"]])
    known = known[~pd.MultiIndex.from_frame(known[["user_id", "item_id"]]).isin(newer)]
    return pd.concat([known, signals[[column for column in signals if column in known]]], ignore_index=True)


def _likeness(recommender: RecommenderProtocol, disliked: str, column: int) -> str:
    if recommender.item_ids[column] == disliked:
        return ""
    position = int(np.flatnonzero(recommender.item_ids == disliked)[0])
    own = recommender.features.features_of(position)
    shared = [name for name in recommender.features.features_of(column) if name in own]
    return f", which shares {', '.join(shared)}," if shared else ""
