"""What our families share: the additive model, which takes its item-item weights B from the family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys.training.families.base import FitResult, TrainingData
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial


class AdditiveFamily:
    """Tries and fits the additive model; what a subclass has to add, `ItemItemFamily` says: name, candidates and their B.

    Attributes:
        version: of what the source does not show.
    """

    version = "1"

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
