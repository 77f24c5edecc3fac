"""Behaviour tests of histories at the edge: from none at all to the whole catalog."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd

from recsys.evaluation.behaviour.explanations import SUM_TOLERANCE
from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.feedback.reasons import base_weight
from recsys.model.protocol import RecommenderProtocol, is_exact
from recsys.records import DislikeReason

LIST_LENGTH = 10
MAX_DISLIKES = 5_000
NUM_LEFT = 3  # unseen items of the user who has seen nearly all
COLUMNS = ["user_id", "item_id", "signal", "weight", "reason", "age_days"]


def extreme_histories(
    recommender: RecommenderProtocol, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Histories that are rare and must work.

    Returns:
        The histories, and how many eligible items each user has not met; the users are called after what they are.
    """
    items = recommender.item_ids
    one, every = items[rng.integers(len(items), size=1)], rng.permutation(items)
    unspecified, franchise = str(DislikeReason.UNSPECIFIED), str(DislikeReason.TIRED_OF_FRANCHISE)
    weight, many = base_weight(unspecified), every[:MAX_DISLIKES]
    parts = {
        "nothing": _part([], "like"),
        "one like": _part(one, "like"),
        "one faded like": _part(one, "like", weight=1e-300, age_days=1e5),
        "one dislike": _part(one, "dislike", weight, unspecified),
        "one neutral rating": _part(one, "neutral"),
        "one seen item": _part(one, "seen"),
        "every item seen": _part(every, "seen"),
        "every item liked": _part(every, "like"),
        "all but a few seen": _part(every[NUM_LEFT:], "seen"),
        "only dislikes": _part(every[:LIST_LENGTH], "dislike", weight, franchise),
        "thousands of dislikes": _part(many, "dislike", weight, unspecified),
        "thousands of dislikes of genres": _part(many, "dislike", weight, str(DislikeReason.WRONG_GENRE)),
        "unknown items": _part(["an item of no catalog", "", "\u2603"], "like"),
        "unknown dislikes": _part(["an item of no catalog"], "dislike", weight, unspecified),
    }
    histories = pd.concat([part.assign(user_id=name) for name, part in parts.items()], ignore_index=True)
    eligible = pd.Index(items[recommender.eligible])
    unseen = {name: int((~eligible.isin(part["item_id"])).sum()) for name, part in parts.items()}
    return histories[COLUMNS].astype({"weight": np.float64, "age_days": np.float64}), unseen


def _part(items: object, signal: str, weight: float = 1.0, reason: str = "", age_days: float = 0.0) -> pd.DataFrame:
    column = pd.Series(items, dtype=object)
    return pd.DataFrame({"item_id": column, "signal": signal, "weight": weight, "reason": reason, "age_days": age_days})


def extreme_histories_are_answered(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """Every history gets a list as long as the unseen items allow, of finite scores, with reasons.

    Of a model that claims it, the contributions sum to the scores.
    """
    del histories, users
    extreme, unseen = extreme_histories(recommender, rng)
    lists = recommender.recommend(extreme, LIST_LENGTH, list(unseen))
    problems = [
        problem
        for name, num_unseen in unseen.items()
        for problem in _problems(
            name, lists[lists["user_id"] == name], extreme, min(LIST_LENGTH, num_unseen), is_exact(recommender)
        )
    ]
    detail = problems[0] if problems else f"{len(unseen)} histories, {len(lists)} slots"
    return BehaviourResult("extreme_histories_are_answered", not problems, detail)


def _problems(name: str, own: pd.DataFrame, histories: pd.DataFrame, expected: int, sums: bool) -> list[str]:
    found = []
    if len(own) != expected or list(own["rank"]) != list(range(1, len(own) + 1)):
        found.append(f"expected {expected} slots in order, got the ranks {list(own['rank'])}")
    if not np.isfinite(own["score"].to_numpy(np.float64)).all():
        found.append(f"expected finite scores, got {list(own['score'])}")
    met = set(histories.loc[histories["user_id"] == name, "item_id"])
    if again := sorted(met & set(own["item_id"])):
        found.append(f"expected nothing from the history, got {again[0]}")
    if not own["reason"].str.len().gt(0).all():
        found.append("expected a reason for each item, got an empty one")
    totals = [math.fsum(json.loads(text).values()) for text in own["contributions"]]
    errors = np.abs(np.array(totals) - own["score"].to_numpy(np.float64))
    if sums and len(own) and not errors.max() <= SUM_TOLERANCE * max(1.0, float(own["score"].abs().max())):
        found.append(f"expected contributions that sum to the score, got {errors.max():.1e} between them")
    return [f"the history {name!r}: {problem}" for problem in found]


def stranger_gets_a_list(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """A user without history gets a full list, with a reason."""
    del users, rng
    lists = recommender.recommend(histories.iloc[:0], LIST_LENGTH, ["a user without history"])
    expected = min(LIST_LENGTH, int(recommender.eligible.sum()))
    passed = len(lists) == expected and bool(lists["reason"].str.len().gt(0).all())
    return BehaviourResult("stranger_gets_a_list", passed, f"{len(lists)} of {expected} slots filled")
