"""The thresholds of the gate, all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from recsys.evaluation.gate.margins import AbsoluteMargin, Margin, RelativeMargin, margin_from_dict

TOLERANCE = 1e-12  # rounding of sums: a difference of exactly the margin is within it


@dataclass(frozen=True)
class GateConfig:
    """Thresholds of the gate. A margin is a `RelativeMargin` or an `AbsoluteMargin`, so nobody mistakes one for the other.

    NDCG@10 must be shown to be no worse than its margin. The other margins are guard rails: a fall that is larger than
    the margin, and significant, refuses. Of dislike exposure every significant rise refuses, see `dislike_exposure`.
    Accuracy and dislikes are guarded against any comparator; diversity, coverage, personalisation and calibration only
    against a champion, since the lists of a popularity baseline set no standard.

    Attributes:
        ndcg_margin: of NDCG@10, the metric that decides. Below 5 %, so that a loss of 5 % is refused nearly always: of
            losses of exactly the margin a few pass, as `make null-test` measures.
        recall_margin: of Recall@20.
        mrr_margin: of the mean reciprocal rank.
        exposure_margin: of dislike exposure@10. It is relative: where a tenth of a percent of the slots is disliked, half a
            percent more would be five times as much. "Not worse" is said if the whole interval lies below it. It lets no
            rise pass: a significant one refuses whatever its size, unless likes per dislike among the listed items that
            users met rise significantly too and AUC has not fallen significantly. Nor does a mean above it refuse alone:
            among few dislikes, equal challengers are above any margin by chance.
        exposure_days: dislike exposure is also evaluated over the opinions of so many days before the cut-off, as far as
            earlier verdicts on the same champion saw them. One day holds a sixth of a week's.
        auc_margin: of the AUC of like over dislike.
        diversity_margin: lists may be less diverse than what their users like by this much more.
        coverage_margin: of the share of the catalog in anybody's list.
        personalisation_margin: of how much lists of different users differ.
        calibration_margin: the distance of a list's genres from the user's may rise by this much.
        slice_margin: of NDCG@10 in a slice of the users; refuses if significantly exceeded, after Holm's correction
            over slices.
        min_users: users with a liked holdout item from which on the holdout counts as evidence.
        min_refresh_users: with fewer users with a liked holdout item not even a refresh is evaluated by accuracy: the verdict
            is insufficient evidence, the champion stays, and the holdout grows until there are enough. With 30
            users `sanity_ratio` refuses nearly every challenger of half the accuracy, with 10 it lets one in six pass.
        min_users_with_dislikes: users with a disliked holdout item from which on "not worse" is said of dislikes.
        min_slice_users: users with a liked holdout item from which on a slice is evaluated.
        sanity_ratio: on a holdout of fewer than `min_users`, a refresh needs this share of the comparator's NDCG@10.
        max_plausible_ratio: an NDCG@10 significantly above this multiple of the champion and of every baseline is taken for a
            leak. None: a person has looked, and any gain is believed.
        confidence: of the intervals; 1 - confidence is the level of the tests over slices.
        num_resamples: bootstrap draws.
    """

    ndcg_margin: Margin = RelativeMargin(0.045)
    recall_margin: Margin = RelativeMargin(0.10)
    mrr_margin: Margin = RelativeMargin(0.10)
    exposure_margin: Margin = RelativeMargin(0.10)
    exposure_days: float = 7.0
    auc_margin: Margin = AbsoluteMargin(0.02)
    diversity_margin: Margin = AbsoluteMargin(0.10)
    coverage_margin: Margin = RelativeMargin(0.5)
    personalisation_margin: Margin = RelativeMargin(0.5)
    calibration_margin: Margin = AbsoluteMargin(0.10)
    slice_margin: Margin = RelativeMargin(0.10)
    min_users: int = 200
    min_refresh_users: int = 30
    min_users_with_dislikes: int = 100
    min_slice_users: int = 50
    sanity_ratio: float = 0.7
    max_plausible_ratio: float | None = 3.0
    confidence: float = 0.95
    num_resamples: int = 2_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_margin") and not isinstance(value, RelativeMargin | AbsoluteMargin):
                raise ValueError(
                    f"Expected {field.name} as RelativeMargin(share) or AbsoluteMargin(points), got {value!r}."
                )
        if not 0 <= self.sanity_ratio <= 1 or not 0 < self.confidence < 1:
            raise ValueError(f"Expected a sanity ratio in [0, 1] and a confidence in (0, 1), got {self}.")
        if self.max_plausible_ratio is not None and not self.max_plausible_ratio > 1:
            raise ValueError(f"Expected a plausible ratio above 1, or None, got {self.max_plausible_ratio}.")
        if not self.exposure_days > 0:
            raise ValueError(f"Expected exposure_days above 0, got {self.exposure_days}.")
        if self.min_refresh_users > self.min_users:
            raise ValueError(
                f"Expected min_refresh_users up to min_users, got {self.min_refresh_users} and {self.min_users}: what makes "
                "evidence for any challenger makes evidence for a refresh."
            )
        counts = (
            self.min_users,
            self.min_refresh_users,
            self.min_users_with_dislikes,
            self.min_slice_users,
            self.num_resamples,
        )
        if min(counts) < 1:
            raise ValueError(f"Expected at least one user, also of a slice, and one resample, got {self}.")

    @property
    def min_differing_users(self) -> int:
        """So many users must be better off (worse off) before an interval above (below) 0 is believed.

        A bootstrap of one user has an interval of no width. An exact sign test needs 2 * 0.5**n <= 1 - confidence for
        n users who all differ the same way: 6 users at 95 %.
        """
        return math.ceil(math.log2(2.0 / (1.0 - self.confidence)) - TOLERANCE)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` reads it back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.as_dict() if isinstance(value, RelativeMargin | AbsoluteMargin) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> GateConfig:
        """Reads what `as_dict` wrote, for a verdict to be reached again.

        Raises:
            ValueError: if there are other thresholds than this gate's, as an older gate had, or one is out of range.
        """
        names = {field.name for field in fields(cls)}
        if names != set(given):
            raise ValueError(
                f"Expected the thresholds of this gate, got others ({', '.join(sorted(names ^ set(given)))}): the verdict "
                "is of another version of the gate, and only that one reaches it again."
            )
        values: dict[str, Any] = {
            name: margin_from_dict(value) if name.endswith("_margin") else value for name, value in given.items()
        }
        return cls(**values)
