"""Behaviour tests of repetition: the same input gives the same output."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.model.protocol import RecommenderProtocol, load_recommender, save_recommender

TOLERANCE = 1e-5  # sums of float32 in another order
NUM_ALONE = 5  # users who are also scored without company


def same_input_same_output(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """The same histories give the same scores to the bit; rows in another order, or a user alone, within 1e-5."""
    scores = recommender.score(histories, users)
    shuffled = histories.iloc[rng.permutation(len(histories))].reset_index(drop=True)
    told = "user {user}: item {item} scored {before:.6f}, {how} {after:.6f}"
    found = _first_difference(recommender, users, scores, recommender.score(histories, users), 0.0)
    how = "the second time"
    if found is None:
        found = _first_difference(recommender, users, scores, recommender.score(shuffled, users), TOLERANCE)
        how = "with the rows of the history in another order"
    for position in range(min(NUM_ALONE, len(users))):
        if found is None:
            alone = recommender.score(histories, users[position : position + 1])
            place = slice(position, position + 1)
            found = _first_difference(recommender, users[place], scores[place], alone, TOLERANCE)
            how = "without other users beside"
    detail = f"{len(users)} users, scores equal" if found is None else told.format(how=how, **found)
    return BehaviourResult("same_input_same_output", found is None, detail)


def _first_difference(
    recommender: RecommenderProtocol,
    users: list[str],
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    tolerance: float,
) -> dict[str, Any] | None:
    """The largest difference, if it is above the tolerance."""
    if not first.size:
        return None
    difference = np.abs(first.astype(np.float64) - second)
    difference[np.isnan(difference)] = np.inf
    row, column = np.unravel_index(int(difference.argmax()), difference.shape)
    if difference[row, column] <= tolerance:
        return None
    return {
        "user": users[row], "item": recommender.item_ids[column], "before": first[row, column],
        "after": second[row, column],
    }  # fmt: skip


def reload_scores_equally(
    recommender: RecommenderProtocol, histories: pd.DataFrame, users: list[str], rng: np.random.Generator
) -> BehaviourResult:
    """Saved and loaded again, the model gives the same scores to the bit."""
    del rng
    with tempfile.TemporaryDirectory() as folder:
        again = load_recommender(save_recommender(recommender, Path(folder)))
    found = _first_difference(
        recommender, users, recommender.score(histories, users), again.score(histories, users), 0.0
    )
    detail = f"{len(users)} users, scores equal"
    if found is not None:
        detail = "user {user}: item {item} scored {before:.6f}, after saving and loading {after:.6f}".format(**found)
    return BehaviourResult("reload_scores_equally", found is None, detail)
