"""What a batch is fitted with: its recipe, and the candidates that are tried for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.records import Batch

if TYPE_CHECKING:
    from datetime import datetime

    from recsys.training.dataset.training_set import TrainingSet
    from recsys.training.families.base import TrainingData
    from recsys.training.recipe.recipe import FitConfig, Trial


def chosen_families(names: Sequence[str]) -> tuple[str, ...]:
    """The families that a run tries: those named, all where none is.

    Raises:
        InputError: if one is unknown.
    """
    from recsys.config.run import FAMILIES
    from recsys.training.families.registry import candidates_of
    from recsys.training.recipe.recipe import FitConfig

    chosen = tuple(names) or FAMILIES
    candidates_of(FitConfig(families=chosen))
    return chosen


def fit_config(batch: Batch) -> FitConfig:
    """The recipe of this code version, as the batch was planned."""
    from recsys.training.recipe.recipe import FitConfig

    families = batch.config.families or FitConfig.families
    return FitConfig(seed=batch.config.seed, families=families, eligible=batch.rule)


def training_data(batch: Batch, training_set: TrainingSet, cut_off: datetime) -> TrainingData:
    """What a family may learn from: what the batch's frozen set holds up to a cut-off."""
    from recsys.training.families.base import TrainingData

    return TrainingData(
        training_set.examples_through(cut_off), training_set.items, cut_off, batch.half_life_days,
        training_set.neutral_through(cut_off),
    )  # fmt: skip


def current_recipe(batch: Batch) -> str:
    """Names the recipe that this code would fit the batch with."""
    from recsys.training.families.identity import recipe_id

    return recipe_id(fit_config(batch), batch.config.half_life_days)


def candidate_names(batch: Batch) -> list[str]:
    """What is tried for the batch: the grid of each family, or what is kept of the champion."""
    from recsys.training.families.registry import candidates_of

    kept = kept_trial(batch)
    return list(candidates_of(fit_config(batch))) if kept is None else [kept.candidate.name]


def kept_trial(batch: Batch) -> Trial | None:
    """The candidate that was chosen when the batch was planned, with what it was worth; None: all are tried."""
    from recsys.training.recipe.recipe import Trial

    return None if batch.kept_trial is None else Trial.from_dict(batch.kept_trial)
