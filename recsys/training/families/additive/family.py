"""What our families share: the additive model, which takes its item-item weights B from the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recsys.training.families.base import FitResult, TrainingData
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial

if TYPE_CHECKING:
    from recsys.model.linked_weights import Associations
    from recsys.model.sums import Sums
    from recsys.training.dataset.events import Events
    from recsys.training.families.additive.selection import Selection


class AdditiveFamily:
    """Tries and fits the additive model; a subclass gives the candidates and their B.

    Attributes:
        name: by which it is found.
        version: of what the source does not show.
    """

    name = ""
    version = "1"

    def candidates(self, config: FitConfig) -> Sequence[Candidate]:
        """See `Family`."""
        raise NotImplementedError

    def try_on(self, selection: Selection, candidate: Candidate) -> Trial:
        """See `ItemItemFamily`."""
        raise NotImplementedError

    def item_item(self, gram: Sums, events: Events, trial: Trial, config: FitConfig) -> Associations:
        """See `ItemItemFamily`."""
        raise NotImplementedError

    def try_candidate(self, candidate: Candidate, data: TrainingData, config: FitConfig) -> Trial:
        """See `Family`."""
        from recsys.training.families.additive.fit import try_candidate

        return try_candidate(
            candidate, data.examples, data.items, data.cut_off, data.half_life_days, config, data.neutral
        )

    def fit(self, trial: Trial, data: TrainingData, config: FitConfig, judged: FitResult | None = None) -> FitResult:
        """See `Family`. Of a fit that was evaluated the head is kept, too."""
        from recsys.training.families.additive.fit import fit
        from recsys.training.families.additive.selection import Settings

        settings = None
        if judged is not None:
            trial = self.keep(trial, judged.params)
            settings = Settings.of(judged.recommender, trial, judged.metrics)
        return fit(
            data.examples, data.items, data.cut_off, data.half_life_days, config,
            neutral=data.neutral, trial=trial, settings=settings,
        )  # fmt: skip

    def keep(self, trial: Trial, params: Mapping[str, Any]) -> Trial:
        """See `Family`: the ridge of the transition weights is kept."""
        return replace(trial, settings={**trial.settings, "transition_reg": float(params["transition_reg"])})
