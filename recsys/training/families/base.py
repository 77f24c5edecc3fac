"""A model family: a name, its grid of candidates, how one is tried, and how it is fitted.

Ours are `closed_form` and `embedding`. One of your own needs no more than `Family` asks for: `examples/own_model/` is one, and
its README the way there. How families are found: `recsys.training.families.registry`.

Loads nothing heavy: a run is planned from the names of the candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

    from recsys.model.linked_weights import Associations
    from recsys.model.protocol import RecommenderProtocol
    from recsys.model.sums import Sums
    from recsys.training.dataset.events import Events
    from recsys.training.recipe.recipe import Candidate, FitConfig, Trial

SMALLEST_WEIGHT = 1e-300  # weights of histories are above 0


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What may be learned from: all that was known at the cut-off.

    Attributes:
        examples: training examples: `user_id`, `item_id`, `label` (1 liked, 0 disliked), `base_weight` in (0, 1], `reason` of
            a dislike, `occurred_at`; one row per user and item, none after `cut_off`.
        items: catalog: `item_id`, `title`, `genres`, `cast`, `franchise`, and what `recsys.model.eligible_items` reads.
        cut_off: aware; ages are counted from it.
        half_life_days: of the sample weights, > 0.
        neutral: ratings without an opinion, and clicks: `user_id`, `item_id`, `occurred_at`; None: there are none.
    """

    examples: pd.DataFrame
    items: pd.DataFrame
    cut_off: datetime
    half_life_days: float
    neutral: pd.DataFrame | None = None

    def before(self, at: datetime) -> TrainingData:
        """What was known at an earlier time."""
        import pandas as pd

        neutral = self.neutral
        if neutral is not None:
            neutral = neutral[neutral["occurred_at"] <= pd.Timestamp(at)]
        examples = self.examples[self.examples["occurred_at"] <= pd.Timestamp(at)]
        return replace(self, examples=examples, neutral=neutral, cut_off=at)

    def catalog(self, config: FitConfig) -> pd.DataFrame:
        """The items that there are examples of, most liked first; the columns of `items`."""
        from recsys.training.dataset.vocabulary import vocabulary

        return vocabulary(self.examples, self.items, config)[0]

    def histories(self) -> pd.DataFrame:
        """The same as a recommender takes it when it is asked for lists; see `recsys.model.histories`."""
        import numpy as np
        import pandas as pd

        from recsys.training.dataset.weights import time_decay

        columns = ["user_id", "item_id", "signal", "weight", "reason", "age_days"]
        parts = [self.examples.assign(signal=np.where(self.examples["label"] == 1, "like", "dislike"))]
        if self.neutral is not None and len(self.neutral):
            parts.append(self.neutral.assign(signal="neutral", base_weight=1.0, reason=""))
        known = pd.concat(parts, ignore_index=True).drop_duplicates(["user_id", "item_id"], ignore_index=True)
        known["age_days"] = (pd.Timestamp(self.cut_off) - known["occurred_at"]).dt.total_seconds() / 86_400
        decayed = known["base_weight"] * time_decay(known["age_days"].to_numpy(), self.half_life_days)
        known["weight"] = decayed.where(known["signal"] != "neutral", 1.0).clip(SMALLEST_WEIGHT, 1.0)
        return known[columns]

    def recipe(self, config: FitConfig) -> dict[str, Any]:
        """What every recommender's `recipe` has to say."""
        return {
            "cut_off": self.cut_off.isoformat(),
            "half_life_days": self.half_life_days,
            "eligible": config.eligible.as_dict(),
        }


@dataclass(kw_only=True)
class FitResult:
    """A fitted recommender, what validation chose, and the numbers behind it.

    Attributes:
        recommender: fitted.
        params: JSON-able; shown with the version, and what `Family.keep` reads.
        metrics: numbers; those of validation have names that begin with `validation_`.
        state: what the next fit may carry on from; None: nothing.
    """

    recommender: RecommenderProtocol
    params: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    state: Any = None


@runtime_checkable
class Family(Protocol):
    """A model family. An object without state: what a fit depends on is in its arguments.

    Attributes:
        name: for people.
        version: of what the source of its module does not show, such as a library that it calls or a file that it reads. It
            is part of the recipe, as the source is.
    """

    name: str
    version: str

    def candidates(self, config: FitConfig) -> Sequence[Candidate]:
        """The grid, in the order of preference where validation sees no difference; at least one.

        Their names must be unlike those of other families: they name folders and metrics.
        """
        ...

    def try_candidate(self, candidate: Candidate, data: TrainingData, config: FitConfig) -> Trial:
        """What a candidate is worth on the newest of the data, learned from what was before.

        `recsys.training.families.validation.validation_ndcg` measures that for any recommender.
        """
        ...

    def fit(self, trial: Trial, data: TrainingData, config: FitConfig, judged: FitResult | None = None) -> FitResult:
        """Fits a candidate on all of the data; the same arguments give the same model.

        Args:
            trial: the candidate, with what `try_candidate` found out about it.
            data: to learn from.
            config: settings that all families share, among them the seed and what may be recommended.
            judged: an earlier fit that was evaluated, with less data; its choices are kept, or what is fitted now would make
                lists that nobody evaluated.
        """
        ...

    def keep(self, trial: Trial, params: Mapping[str, Any]) -> Trial:
        """The trial of a champion, for a run that tries nothing anew: with all that is to be kept of its fit.

        Args:
            trial: what was measured of the champion's candidate.
            params: of the champion's fit, also as text.
        """
        ...


@runtime_checkable
class ItemItemFamily(Family, Protocol):
    """A family of the additive model: it says where the item-item weights B come from, and all else is the same."""

    def try_on(self, selection: Any, candidate: Candidate) -> Trial:
        """What the candidate's B adds to the best trend; `selection`: see `additive.selection.Selection`."""
        ...

    def item_item(self, gram: Sums, events: Events, trial: Trial, config: FitConfig) -> Associations:
        """B of a candidate.

        Args:
            gram: of likes and dislikes over all of `events`, with the candidate's decay.
            events: to learn from.
            trial: the candidate, with its ridge if it has one.
            config: of the fit.
        """
        ...
