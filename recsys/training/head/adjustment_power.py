"""How strongly a version answers to feature adjustments: chosen so that its users notice.

What a reason takes away from the importance of a feature is the product's decision (`recsys.feedback.reasons`). What that
does to a list is the model's: where the scores of the best items lie far apart, 15 % less changes nothing. So every fit
chooses the power that importances are raised to: the smallest at which, on simulated dislikes of its own lists, the next
list resembles the disliked film significantly less, by as much as is promised (`recsys.evaluation.behaviour.responsiveness`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.evaluation.behaviour.responsiveness import fall, next_resemblance, simulate_dislikes
from recsys.model.recommender import Recommender
from recsys.statistics.bootstrap import Interval
from recsys.training.dataset.events import Events
from recsys.training.recipe.recipe import AnswerConfig

SMALLEST_WEIGHT = 1e-300  # weights are above 0


@dataclass(frozen=True)
class ChosenPower:
    """A power, and what it does.

    Attributes:
        power: >= 1.
        fall: of the resemblance, as a share; NaN where there was nothing to measure.
    """

    power: float
    fall: float


def choose_power(recommender: Recommender, histories: pd.DataFrame, config: AnswerConfig, seed: int) -> ChosenPower:
    """The smallest power that answers significantly strongly enough, found by bisection; the largest if none does.

    Args:
        recommender: fitted.
        histories: of its users, see `histories_of`.
        config: what to try, and what is enough.
        seed: of the simulated dislikes.
    """
    first, last = 0, len(config.powers) - 1
    tried: dict[int, Interval | None] = {}
    while first < last:
        middle = (first + last) // 2
        found = tried[middle] = _answer(recommender, histories, config, config.powers[middle], seed)
        if found is None:
            break
        first, last = (first, middle) if found.low >= config.min_fall else (middle + 1, last)
    if first not in tried:
        tried[first] = _answer(recommender, histories, config, config.powers[first], seed)
    found = tried[first]
    return ChosenPower(1.0, float("nan")) if found is None else ChosenPower(config.powers[first], found.mean)


def _answer(
    recommender: Recommender, histories: pd.DataFrame, config: AnswerConfig, power: float, seed: int
) -> Interval | None:
    """What a power does; None where there is no dislike to simulate."""
    answering = recommender.with_adjustment_power(power)
    simulated = simulate_dislikes(answering, histories, config.num_dislikes, seed)
    if simulated.dislikes.empty:
        return None
    before = simulated.dislikes["before"].to_numpy(np.float64)
    return fall(before, next_resemblance(answering, simulated), seed)


def histories_of(events: Events, num_users: int, seed: int) -> pd.DataFrame:
    """What is known of some users as of the cut-off, as `recsys.model.histories` has it; drawn without replacement."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(events.num_users, bool)
    chosen[rng.permutation(events.num_users)[:num_users]] = True
    opinions, neutral = chosen[events.users], chosen[events.neutral.users] & (events.neutral.items >= 0)
    is_like = events.is_like[opinions]
    parts = [
        pd.DataFrame({
            "user_id": events.user_ids[events.users[opinions]],
            "item_id": events.item_ids[events.items[opinions]],
            "signal": np.where(is_like, "like", "dislike"),
            "weight": np.clip((events.base_weight * events.decay)[opinions], SMALLEST_WEIGHT, 1.0),
            "reason": np.where(is_like, "", events.reasons[opinions]),
            "age_days": events.age_days[opinions],
        }),
        pd.DataFrame({
            "user_id": events.user_ids[events.neutral.users[neutral]],
            "item_id": events.item_ids[events.neutral.items[neutral]],
            "signal": "neutral", "weight": 1.0, "reason": "", "age_days": events.neutral.age_days[neutral],
        }),
    ]  # fmt: skip
    # An opinion counts before a neutral signal on the same item, the newer of several neutral ones before the older.
    found = pd.concat(parts, ignore_index=True).sort_values("age_days", kind="stable")
    found = found.assign(is_opinion=found["signal"] != "neutral").sort_values(
        "is_opinion", ascending=False, kind="stable"
    )
    return found.drop_duplicates(["user_id", "item_id"], ignore_index=True).drop(columns="is_opinion")
