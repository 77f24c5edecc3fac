"""Challenger beside comparator in slices of the users: a gain on average must not hide that some lose significantly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.evaluation.gate.comparisons import Pair, finite, interval_dict
from recsys.evaluation.gate.config import TOLERANCE, GateConfig
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.margins import RelativeMargin, margin_size
from recsys.statistics.bootstrap import Interval, paired_change
from recsys.statistics.multiple_testing import holm_adjusted

SliceOutcome = Literal["not_significantly_worse", "worse", "too_small"]


@dataclass(frozen=True)
class SliceComparison:
    """NDCG@10 of challenger and comparator for some of the users.

    Attributes:
        dimension: such as `activity`.
        name: such as `new`.
        num_users: who are in it and have a liked holdout item.
        challenger: mean NDCG@10.
        comparator: the same.
        change: as in `MetricComparison`; None if too small.
        p_value: one-sided, of "not worse than the margin"; None if too small.
        adjusted_p_value: the same after Holm's correction over all slices that were evaluated.
        outcome: `worse` (significantly, beyond the margin), `not_significantly_worse` or `too_small`.
    """

    dimension: str
    name: str
    num_users: int
    challenger: float
    comparator: float
    change: Interval | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    outcome: SliceOutcome = "too_small"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "dimension": self.dimension,
            "slice": self.name,
            "num_users": self.num_users,
            "challenger": finite(self.challenger),
            "comparator": finite(self.comparator),
            "difference": finite(self.challenger - self.comparator),
            "change": None if self.change is None else interval_dict(self.change),
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "outcome": self.outcome,
        }


def compare_slices(evidence: Evidence, pair: Pair, config: GateConfig) -> list[SliceComparison]:
    """NDCG@10 by slice, largest first within a dimension; the p-values are corrected over all that were evaluated.

    A p-value cannot be smaller than one in the number of resamples: the more slices are evaluated, the more are drawn, or no
    slice could ever stand out after the correction.

    Args:
        evidence: with the slices of its users.
        pair: challenger and comparator, from `evidence.pair`.
        config: the thresholds.
    """
    if evidence.slices.empty:
        return []
    challenger, other = pair
    ndcg = pd.DataFrame({"mine": challenger["ndcg_at_10"], "theirs": other["ndcg_at_10"]}).dropna()
    labels = evidence.slices.set_index("user_id").reindex(ndcg.index)
    groups = [
        (str(dimension), str(name), own)
        for dimension in labels
        for name, own in sorted(ndcg.groupby(labels[dimension]), key=lambda pair: (-len(pair[1]), str(pair[0])))
    ]
    num_judged = sum(len(own) >= config.min_slice_users for _, _, own in groups)
    num_resamples = max(config.num_resamples, math.ceil(2 * num_judged / (1.0 - config.confidence)))
    return _corrected([_compare_slice(*group, evidence.seed, num_resamples, config) for group in groups], config)


def _compare_slice(
    dimension: str, name: str, own: pd.DataFrame, seed: int, num_resamples: int, config: GateConfig
) -> SliceComparison:
    mine, theirs = (own[column].to_numpy(np.float64) for column in ("mine", "theirs"))
    found = SliceComparison(dimension, name, len(own), float(mine.mean()), float(theirs.mean()))
    if len(own) < config.min_slice_users:
        return found
    margin = config.slice_margin
    change = paired_change(
        mine, theirs, relative=isinstance(margin, RelativeMargin), seed=seed, num_resamples=num_resamples
    )
    enough = int((mine < theirs).sum()) >= config.min_differing_users
    p_value = change.p_value_below(-margin_size(margin) - TOLERANCE) if enough else 1.0
    return replace(found, change=change.interval(config.confidence), p_value=p_value)


def _corrected(slices: list[SliceComparison], config: GateConfig) -> list[SliceComparison]:
    judged = [one for one in slices if one.p_value is not None]
    adjusted = holm_adjusted([one.p_value for one in judged if one.p_value is not None])
    found = {(one.dimension, one.name): p for one, p in zip(judged, adjusted, strict=True)}
    return [_with_outcome(one, found.get((one.dimension, one.name)), 1.0 - config.confidence) for one in slices]


def _with_outcome(one: SliceComparison, adjusted: float | None, level: float) -> SliceComparison:
    if adjusted is None:
        return one
    return replace(one, adjusted_p_value=adjusted, outcome="worse" if adjusted <= level else "not_significantly_worse")
