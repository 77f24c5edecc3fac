"""Behaviour tests: what every model must do before it may become champion, whatever its metrics.

| test | asks |
|---|---|
| `contributions_sum_to_score` | do explanations sum to the score? |
| `deletion_lowers_by_share` | do they name the items that the score rests on? |
| `history_never_returns` | does nothing come back that was disliked or watched? |
| `dislike_never_raises` | does a dislike lift neither its item nor what is like it, nor anything else? |
| `dislike_is_answered` | does the next list resemble a disliked film less? |
| `likes_score_above_chance` | has the model learned what users like? |
| `lists_are_as_diverse_as_tastes` | are lists not more of the same than what their users like? |
| `same_input_same_output` | does the order of rows, or company, not matter? |
| `reload_scores_equally` | is what was saved what was tested? |
| `extreme_histories_are_answered` | does any history, from none to the whole catalog, get a list? |
| `stranger_gets_a_list` | does a user without history get one, with a reason? |

Each has a version and, where it fails, an example that a person can follow up. They see a model from outside
(`recsys.model.protocol`) and pass any that behaves, whatever it is made of. The first two ask for what a model may leave
unclaimed: its result is then "not claimed", and says so wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from recsys.evaluation.behaviour.determinism import reload_scores_equally, same_input_same_output
from recsys.evaluation.behaviour.dislikes import dislike_never_raises, history_never_returns
from recsys.evaluation.behaviour.explanations import (
    explanations_hold,
    sample_users,
)
from recsys.evaluation.behaviour.quality import likes_score_above_chance, lists_are_as_diverse_as_tastes
from recsys.evaluation.behaviour.responsiveness import NUM_DISLIKES, dislike_is_answered
from recsys.evaluation.behaviour.result import BehaviourResult
from recsys.evaluation.behaviour.robustness import extreme_histories_are_answered, stranger_gets_a_list
from recsys.model.protocol import RecommenderProtocol

Test = Callable[[RecommenderProtocol, pd.DataFrame, list[str], np.random.Generator], BehaviourResult]
ON_A_SAMPLE: tuple[Test, ...] = (
    history_never_returns,
    dislike_never_raises,
    likes_score_above_chance,
    lists_are_as_diverse_as_tastes,
    same_input_same_output,
    reload_scores_equally,
    extreme_histories_are_answered,
    stranger_gets_a_list,
)


def run_behaviour_tests(
    recommender: RecommenderProtocol,
    histories: pd.DataFrame,
    *,
    num_users: int = 200,
    num_dislikes: int = NUM_DISLIKES,
    seed: int = 0,
) -> list[BehaviourResult]:
    """Runs every behaviour test on a seeded sample of users.

    Args:
        recommender: the model to test.
        histories: see `recsys.model.histories`; a sample of its users is taken.
        num_users: sample size.
        num_dislikes: simulated, for `dislike_is_answered`; of all users.
        seed: of the samples.
    """
    rng = np.random.default_rng(seed)
    sample = sample_users(histories, num_users, rng)
    own = histories[histories["user_id"].isin(sample)].reset_index(drop=True)
    return [
        *explanations_hold(recommender, own, sample),
        dislike_is_answered(recommender, histories, num_dislikes, seed),
        *(test(recommender, own, sample, rng) for test in ON_A_SAMPLE),
    ]
