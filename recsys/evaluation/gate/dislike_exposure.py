"""Whether a challenger shows users more of what they dislike, and whether it shows them more of what they like for it.

A significant rise of dislike exposure@10 refuses, however small it is. It is evaluated twice: on the batch's own holdout, and
together with what earlier verdicts on the same champion saw within the last days (`opinions`), since one day holds few
dislikes. A rise is significant if the interval of the change lies above 0 and an exact sign test over the users says that
more are worse off than better off. Of the chance of a false refusal, 2.5 % at a confidence of 95 %, most goes to the look
at all opinions, which can see more. The test only counts users for whom the two lists differ: lists that agree in most of
their slots leave little noise, and a small rise shows.

Whoever predicts better also shows more of what will be disliked, because it shows more of what will be met. So a rise is
made up for if the mix is significantly better: likes per dislike among the listed items that users met. Not if AUC, which
asks the same of all scores, listed or not, has fallen significantly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.evaluation.gate.comparisons import (
    EXPOSURE,
    MetricComparison,
    compare_users,
    finite,
    interval_dict,
)
from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.gate.opinions import counts_of
from recsys.statistics.bootstrap import FloatArray, Interval, resampled_means

Window = Literal["holdout", "pooled"]
K = 10
WEIGHTS: dict[Window, float] = {"holdout": 0.1, "pooled": 0.9}  # of the chance of error, where there are both
HALF = 0.5  # added to every count of the mix: a ratio of nothing is none


@dataclass(frozen=True)
class Mix:
    """Likes per dislike among the listed items that users met.

    Attributes:
        likes: liked items of the window in the challenger's first ten, and in the comparator's.
        dislikes: the same of disliked items.
        change: of likes per dislike, challenger / comparator - 1, with its interval.
        num_better: users who were shown more of what they like.
        has_risen: whether the interval lies above 0, and enough users were shown more of what they like.

    References:
        Haldane, The estimation and significance of the logarithm of a ratio of frequencies, 1956 (half a count more each).
    """

    likes: tuple[int, int]
    dislikes: tuple[int, int]
    change: Interval
    num_better: int
    has_risen: bool

    @property
    def ratios(self) -> tuple[float, float]:
        """Likes per dislike of challenger and comparator."""
        one, other = ((a + HALF) / (b + HALF) for a, b in zip(self.likes, self.dislikes, strict=True))
        return one, other

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "challenger": finite(self.ratios[0]), "comparator": finite(self.ratios[1]),
            "likes": list(self.likes), "dislikes": list(self.dislikes),
            "change": interval_dict(self.change), "num_better": self.num_better, "has_risen": self.has_risen,
        }  # fmt: skip


@dataclass(frozen=True)
class ExposureFinding:
    """Dislike exposure@10 over one window of opinions.

    Attributes:
        window: `holdout`, or `pooled` with what earlier verdicts saw.
        found: the comparison; its outcome is `worse` if the rise is significant.
        p_value: one-sided, of "no more users are worse off than better off".
        adjusted_p_value: the same divided by the window's share of the chance of error, up to 1 (weighted Bonferroni).
        mix: None if the evidence does not say what was listed.
        auc_has_fallen: whether AUC of like over dislike has fallen significantly.
    """

    window: Window
    found: MetricComparison
    p_value: float
    adjusted_p_value: float
    mix: Mix | None
    auc_has_fallen: bool

    @property
    def has_risen(self) -> bool:
        """Whether the rise is significant."""
        return self.found.outcome == "worse"

    @property
    def refuses(self) -> bool:
        """Whether the rise refuses the challenger: it is significant, and nothing makes up for it."""
        makes_up = self.mix is not None and self.mix.has_risen and not self.auc_has_fallen
        return self.has_risen and not makes_up

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "window": self.window, **self.found.as_dict(), "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value, "likes_per_dislike": None if self.mix is None else self.mix.as_dict(),
            "auc_has_fallen": self.auc_has_fallen, "refuses": self.refuses,
        }  # fmt: skip


def decide_exposure(
    evidence: Evidence,
    against: str,
    own: MetricComparison | None,
    auc: MetricComparison | None,
    config: GateConfig,
) -> list[ExposureFinding]:
    """The findings on the holdout and, where earlier verdicts add opinions, on all of them together.

    Args:
        evidence: what is evaluated.
        against: the comparator.
        own: dislike exposure@10 on the batch's own holdout; None if nobody disliked anything there.
        auc: of like over dislike, on the same; None if it was not measured.
        config: the thresholds.
    """
    opinions, pooled = evidence.own_opinions, evidence.opinions_within(config.exposure_days)
    windows: list[tuple[Window, MetricComparison | None, Mix | None]] = [
        ("holdout", own, _mix(opinions, against, evidence.seed, config))
    ]
    if len(pooled) > len(opinions):
        mix = _mix(pooled, against, evidence.seed, config)
        windows.append(("pooled", _compare_pooled(pooled, against, evidence.seed, config), mix))
    found = [(window, one, mix) for window, one, mix in windows if one is not None]
    p_values = {window: sign_test(one.num_worse, one.num_better) for window, one, _ in found}
    adjusted = {w: min(1.0, p / (WEIGHTS[w] if len(found) > 1 else 1.0)) for w, p in p_values.items()}
    auc_has_fallen = auc is not None and auc.change.high < 0 and auc.num_worse >= config.min_differing_users
    return [
        ExposureFinding(w, _with_outcome(one, adjusted[w], config), p_values[w], adjusted[w], mix, auc_has_fallen)
        for w, one, mix in found
    ]


def sign_test(num_worse: int, num_better: int) -> float:
    """One-sided exact p-value of "a user who is not as well off as before is worse off half of the time".

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions, Psychometrika 1947; exact.
    """
    from scipy.special import bdtrc  # `scipy.stats` takes seconds to import

    return 1.0 if num_worse == 0 else float(bdtrc(num_worse - 1, num_worse + num_better, 0.5))


def _with_outcome(one: MetricComparison, adjusted: float, config: GateConfig) -> MetricComparison:
    """`worse` only of a significant rise, `better` and `not_worse` as the interval says."""
    if adjusted <= (1.0 - config.confidence) / 2.0 and one.change.low > 0:
        return replace(one, outcome="worse")
    return replace(one, outcome="unknown") if one.outcome == "worse" else one


def _compare_pooled(opinions: pd.DataFrame, against: str, seed: int, config: GateConfig) -> MetricComparison | None:
    """Over all opinions: disliked items that were listed, as a share of the slots of all lists that they were looked for in.

    A user whose dislikes come from several verdicts has been given several lists.
    """
    counts = counts_of(opinions, "challenger", against)
    disliking = counts[counts["num_disliked"] > 0]
    if disliking.empty:
        return None
    disliked = opinions[opinions["label"] == 0]
    num_lists = len(disliked[["batch_id", "user_id"]].drop_duplicates())
    scale = len(disliking) / (K * num_lists)  # so that the mean over users is the share of all slots
    mine, theirs = (disliking[name].to_numpy(np.float64) * scale for name in ("dislikes", "other_dislikes"))
    return compare_users(EXPOSURE, mine, theirs, "guards", seed, config)


def _mix(opinions: pd.DataFrame, against: str, seed: int, config: GateConfig) -> Mix | None:
    """Of the users who met anything that was listed; the others say nothing of the mix."""
    if opinions.empty:
        return None
    counts = counts_of(opinions, "challenger", against)[["likes", "dislikes", "other_likes", "other_dislikes"]]
    counts = counts[counts.any(axis=1)]
    if counts.empty:
        return None
    likes, dislikes, other_likes, other_dislikes = (int(total) for total in counts.sum())
    values = counts.to_numpy(np.float64)
    sums = values.sum(axis=0, keepdims=True)
    draws = resampled_means(values, num_resamples=config.num_resamples, seed=seed) * len(values)
    tail = (1.0 - config.confidence) / 2.0
    low, high = np.quantile(_ratio_of_ratios(draws), [tail, 1.0 - tail], method="nearest")
    change = Interval(float(_ratio_of_ratios(sums)[0]), float(low), float(high))
    num_better = int((counts["likes"] > counts["other_likes"]).sum())
    has_risen = change.low > 0 and num_better >= config.min_differing_users
    return Mix((likes, other_likes), (dislikes, other_dislikes), change, num_better, has_risen)


def _ratio_of_ratios(sums: FloatArray) -> FloatArray:
    """Likes per dislike of the challenger over that of the comparator, - 1; by row of the four sums.

    The quantiles of a ratio are those of its logarithm, so nothing is gained by taking one.
    """
    likes, dislikes, other_likes, other_dislikes = (sums + HALF).T
    return np.asarray(likes / dislikes * other_dislikes / other_likes - 1.0)
