"""How a model is fitted: the configuration, the candidates of the families, and what they are worth.

Loads nothing heavy: the DAG files read the names of the candidates here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import FAMILIES
from recsys.errors import InputError

CLOSED_FORM, EMBEDDING = FAMILIES
_CANDIDATE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
MAX_SEED = 2**32 - 1  # what NumPy takes
MAX_USER_SHARE = 0.01  # of a training set's weight; see `weights.user_share_factors`


@dataclass(frozen=True)
class HeadConfig:
    """How the head is chosen.

    Attributes:
        k: list length that validation looks at.
        horizon_days: length of a validation window: the time until the next nightly model.
        num_setting_windows: settings other than the head are chosen on so many of the newest windows.
        num_users: windows are added, newest first, until so many users with a like are in them.
        max_windows: at most so many windows.
        fallback_share: where windows hold too few users, one window with this share of the newest events stands in.
        min_events: of a user, for their own end to be predicted.
        min_known_share: the newest days must hold at least this share of the users with a past, or every user's own end
            is predicted instead.
        own_end_share: how much of each user's history that end is.
        candidates_per_term: each user's list is made from the best items of each term.
        exposure_penalty: validation objective = NDCG@k - this * dislike exposure@k.
        min_dislike_weight: the dislike term never counts less: a dislike always has an effect.
        min_likes_weight: of the likes term, beside a trend of 1: lists are their users' own wherever they might as well
            be. Validation is too noisy to see what so small a weight is worth.
        min_recent_weight: the same of recent events.
        grid: values tried for each weight. Each term is measured in units of its 99th percentile among the candidates.
        trend_grid: the same for the trends, of which there are many.
        regard_power: of an item's share of likes among opinions, which scales its scores. It is not searched: dislikes are
            so few in validation that what spares them there is chance, while this spares them at next to no cost.
        trend_margin: the best trend alone, the same list for everybody, stands only where it is better by this share.
        min_gain: a change must improve the objective by this share of it.
        min_errors: and by so many standard errors of the improvement, over lists: what could be chance is left alone.
        min_refined: lists from which on the head is refined with Keras; on fewer the search finds all there is.
        epochs: of the Keras refinement.
        learning_rate: of the Keras refinement.
    """

    k: int = 10
    horizon_days: float = 1.0
    num_setting_windows: int = 2
    num_users: int = 1_200
    max_windows: int = 14
    fallback_share: float = 0.05
    min_events: int = 5
    min_known_share: float = 0.05
    own_end_share: float = 0.2
    candidates_per_term: int = 30
    exposure_penalty: float = 0.25
    min_dislike_weight: float = 0.1
    min_likes_weight: float = 0.05
    min_recent_weight: float = 0.1
    grid: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
    trend_grid: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    regard_power: float = 1.0
    trend_margin: float = 0.02
    min_gain: float = 2e-3
    min_errors: float = 1.0
    min_refined: int = 300
    epochs: int = 8
    learning_rate: float = 0.02


@dataclass(frozen=True)
class EmbeddingConfig:
    """How the vectors of an `ExplainableRecommendationModel` are trained.

    Attributes:
        epochs: passes over the likes.
        batch_size: likes per step.
        num_negatives: items drawn evenly beside each like.
        learning_rate: of Adam.
        l2_reg: see `ExplainableRecommendationModel`.
    """

    epochs: int = 5
    batch_size: int = 1_024
    num_negatives: int = 32
    learning_rate: float = 0.05
    l2_reg: float = 1e-2


@dataclass(frozen=True)
class AnswerConfig:
    """How strongly a version is to answer to feature adjustments; see `recsys.training.head.adjustment_power`.

    Attributes:
        min_fall: so much less must the next list resemble a disliked film.
        powers: to choose from, ascending.
        num_dislikes: simulated for each.
    """

    min_fall: float = 0.6
    powers: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
    num_dislikes: int = 500


@dataclass(frozen=True)
class Candidate:
    """One point of a family's grid.

    Attributes:
        family: the name by which the family is found, see `recsys.training.families.registry`.
        name: of the candidate, such as `closed_form-decayed`; it names folders and metrics.
        settings: JSON-able: what is special about it. Of ours `decay_power` (of the time decay of what B learns from: 1 is the
            half-life as it is, 0 none) and `embedding_dim` (length of the vectors; 0 in closed form).
    """

    family: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _CANDIDATE_NAME.fullmatch(self.name):
            raise InputError(
                f"Expected the name of a candidate as letters, digits, '_', '-' and '.', got {self.name!r}: it names a folder."
            )

    def found_by(self, family: str) -> Candidate:
        """The same candidate of a family that is found by another name."""
        return replace(self, family=family)


@dataclass(frozen=True)
class Trial:
    """A candidate, and what it is worth on the newest windows.

    Attributes:
        candidate: what was tried.
        ndcg_at_10: on the newest windows; of ours that of the best trend and B, see `term_value`.
        num_lists: behind it.
        settings: JSON-able: what was chosen for the candidate. Of ours `reg`, the relative ridge of B (0.0 for embeddings), and
            `transition_reg`, that of T, where an earlier fit chose it; without it, it is chosen with the head.
    """

    candidate: Candidate
    ndcg_at_10: float
    num_lists: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Trial:
        """From what `as_dict` gave, now or when only our two families were there."""
        numbers = numbers if "settings" in numbers else _as_now(numbers)
        return cls(**{**numbers, "candidate": Candidate(**numbers["candidate"])})


def _as_now(numbers: dict[str, Any]) -> dict[str, Any]:
    """A trial in the form of before, when ridges and candidates' settings had fields of their own."""
    settings, candidate = dict(numbers["candidate"]), {name: numbers.get(name) for name in ("reg", "transition_reg")}
    family, dim, power = settings.pop("family"), settings.get("embedding_dim", 0), settings["decay_power"]
    about = dim or {1.0: "decayed", 0.0: "lasting"}.get(power, f"{power:g}")
    return {
        "candidate": {"family": family, "name": f"{family}-{about}", "settings": {"embedding_dim": 0, **settings}},
        "ndcg_at_10": numbers["ndcg_at_10"],
        "num_lists": numbers["num_lists"],
        "settings": {name: value for name, value in candidate.items() if value is not None},
    }


@dataclass(frozen=True)
class FitConfig:
    """How a model is fitted. One procedure for every data set: what depends on the data is chosen on validation.

    Attributes:
        families: names of those that give candidates, in the order of preference where validation sees no difference; see
            `recsys.training.families.registry`.
        trend_half_lives_days: half-lives of the trend terms; the longest is plain popularity.
        reg_grid: relative ridge values of the item-item weights to choose from.
        decay_powers: candidates of the closed form. Taste in films fades more slowly than what is talked about.
        embedding_dims: candidates of the embeddings.
        embedding: how those are trained.
        transition_reg_grid: relative ridge values of the transition weights to choose from.
        dislike_reg: relative ridge of the item-item weights of dislikes.
        min_support: likes that an item needs to have item-item weights.
        max_linked: at most this many items have weights from item to item.
        max_dense: more linked items than these have sparse weights (memory and time of dense ones grow with the square
            and the cube of their number).
        num_neighbors: of an item, where weights are sparse.
        dislike_signal: a dislike enters the item-item fit as minus this; -0.3 to -0.6 separates likes from dislikes at
            no cost in accuracy, -1 costs accuracy.
        max_user_share: no user holds more than this share of the training set's weight (see `user_share_factors`).
        head: how the terms are weighed.
        answer: how strongly lists answer to a dislike with a reason.
        eligible: what may be recommended; all items train.
        seed: of everything random.
    """

    families: tuple[str, ...] = FAMILIES
    trend_half_lives_days: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 36_500.0)
    reg_grid: tuple[float, ...] = (8.0, 24.0)
    decay_powers: tuple[float, ...] = (1.0, 0.0)
    embedding_dims: tuple[int, ...] = (16, 64)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    transition_reg_grid: tuple[float, ...] = (4.0, 16.0)
    dislike_reg: float = 15.0
    min_support: int = 3
    max_linked: int = 200_000
    max_dense: int = 4_000
    num_neighbors: int = 100
    dislike_signal: float = 0.5
    max_user_share: float = MAX_USER_SHARE
    head: HeadConfig = field(default_factory=HeadConfig)
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    eligible: EligibilityRule = field(default_factory=EligibilityRule)
    seed: int = 0

    def is_sparse(self, num_linked: int) -> bool:
        """Whether the weights from item to item are kept for the nearest items only."""
        return num_linked > self.max_dense
