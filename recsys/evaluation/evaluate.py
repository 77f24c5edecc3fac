"""Everything that is measured of champion, challenger and baselines on one holdout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from recsys.evaluation.baselines import baseline_orders, compared_lists
from recsys.evaluation.gate.opinions import opinions_of
from recsys.evaluation.metrics.accuracy import (
    METRICS,
    auc_per_user,
    evaluate_lists,
    model_scores,
    ordered_scores,
    users_with_both,
)
from recsys.evaluation.metrics.catalog import spread_of
from recsys.evaluation.metrics.item_statistics import KnownItems
from recsys.evaluation.metrics.lists import LIST_METRICS, describe_lists, tastes_of
from recsys.evaluation.metrics.user_slices import slice_users
from recsys.model.protocol import RecommenderProtocol

USER_METRICS = (*METRICS, "auc", *LIST_METRICS)


@dataclass(frozen=True, eq=False)
class Holdout:
    """Events that no system has seen, and what was known before them.

    Attributes:
        judgements: the holdout: `user_id`, `item_id`, `label` (1 liked, 0 disliked), one row per pair; `recorded_at`.
        examples: training examples up to its begin, for the baselines, popularity and what was lately disliked.
        histories: what every system may know of its users, see `recsys.model.histories`.
        items: the catalog: `item_id`, `genres`, `cast`, `franchise`.
        begins_at: everything after it is holdout.
        half_life_days: of the baseline `decayed_popularity`.
        barred: items that could not be recommended when the holdout began: no system lists them, and what users said of
            them is not evaluated. Nor is what became available later, since no list of that time could hold it.
    """

    judgements: pd.DataFrame
    examples: pd.DataFrame
    histories: pd.DataFrame
    items: pd.DataFrame
    begins_at: datetime
    half_life_days: float
    barred: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        judged = ~self.judgements["item_id"].isin(self.barred)
        object.__setattr__(self, "judgements", self.judgements[judged].reset_index(drop=True))


@dataclass(frozen=True, eq=False)
class Judgement:
    """What came out, as `Evidence` keeps it.

    Attributes:
        per_user: one row per system and user of the holdout; see `ranking_metrics.evaluate_lists` and `USER_METRICS`.
        per_system: system -> see `list_spread.spread_of`.
        slices: see `user_slices.slice_users`.
        opinions: see `opinions.opinions_of`; the holdout's, with all its columns.
    """

    per_user: pd.DataFrame
    per_system: dict[str, dict[str, float]]
    slices: pd.DataFrame
    opinions: pd.DataFrame


def evaluate_systems(recommenders: Mapping[str, RecommenderProtocol], holdout: Holdout, num_items: int) -> Judgement:
    """Evaluates models and popularity baselines alike: the same users, the same histories, the same cut-off.

    Args:
        recommenders: system name -> model.
        holdout: what to evaluate on.
        num_items: of the catalog, for coverage and concentration.

    Raises:
        ValueError: if an example is newer than the begin of the holdout: the baselines would have seen it.
    """
    if (holdout.examples["occurred_at"] > pd.Timestamp(holdout.begins_at)).any():
        newest = holdout.examples["occurred_at"].max()
        raise ValueError(f"Expected examples up to {holdout.begins_at.isoformat()}, got one after it: {newest}.")
    users = pd.Index(sorted(holdout.judgements["user_id"].unique()), dtype=object, name="user_id")
    own = holdout.histories[holdout.histories["user_id"].isin(users)].reset_index(drop=True)
    lists = compared_lists(
        recommenders, holdout.examples, own, list(users), holdout.begins_at, holdout.half_life_days,
        holdout.barred,
    )  # fmt: skip
    further = pd.concat([top["item_id"] for top in lists.values()]).unique()
    known = KnownItems.build(holdout.items, holdout.examples, further)
    tastes = tastes_of(own, users, known)
    per_user = evaluate_lists(lists, holdout.judgements)
    for part in (_aucs(recommenders, holdout, own), describe_lists(lists, users, known, tastes)):
        per_user = per_user.merge(part, on=["system", "user_id"], how="left", validate="one_to_one")
    return Judgement(
        per_user=per_user,
        per_system={name: spread_of(top, num_items) for name, top in lists.items()},
        slices=slice_users(
            users, own, holdout.judgements, holdout.examples, tastes.genres, known, holdout.begins_at
        ),
        opinions=opinions_of(lists, holdout.judgements),
    )  # fmt: skip


def _aucs(recommenders: Mapping[str, RecommenderProtocol], holdout: Holdout, histories: pd.DataFrame) -> pd.DataFrame:
    """`system`, `user_id` and `auc` of the users who have one."""
    users = users_with_both(holdout.judgements)
    judged = holdout.judgements[holdout.judgements["user_id"].isin(users)]
    scores = {name: model_scores(model, histories, judged) for name, model in recommenders.items()}
    orders = baseline_orders(holdout.examples, holdout.begins_at, holdout.half_life_days)
    scores |= {name: ordered_scores(order, judged) for name, order in orders.items()}
    frames = [
        auc_per_user(judged, values).rename("auc").reset_index().assign(system=name) for name, values in scores.items()
    ]
    return pd.concat(frames, ignore_index=True)
