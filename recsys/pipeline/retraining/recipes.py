"""What a batch is fitted with: its recipe, and the candidates that are tried for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.records import Batch

if TYPE_CHECKING:
    from recsys.training.recipe.recipe import FitConfig, Trial


def chosen_families(names: Sequence[str]) -> tuple[str, ...]:
    """The families that a run tries: those named, all where none is.

    Raises:
        InputError: if one is unknown.
    """
    from recsys.training.recipe.recipe import FAMILIES, FitConfig

    chosen = tuple(names) or FAMILIES
    FitConfig(families=chosen).candidates()
    return chosen


def fit_config(batch: Batch) -> FitConfig:
    """The recipe of this code version, as the batch was planned."""
    from recsys.training.recipe.recipe import FitConfig

    families = batch.config.families or FitConfig.families
    return FitConfig(seed=batch.config.seed, families=families, eligible=batch.rule)


def current_recipe(batch: Batch) -> str:
    """Names the recipe that this code would fit the batch with."""
    from recsys.training.recipe.recipe import recipe_id

    return recipe_id(fit_config(batch), batch.config.half_life_days)


def candidate_names(batch: Batch) -> list[str]:
    """What is tried for the batch: the grid of each family, or what is kept of the champion."""
    kept = kept_trial(batch)
    return list(fit_config(batch).candidates()) if kept is None else [kept.candidate.name]


def kept_trial(batch: Batch) -> Trial | None:
    """The candidate that was chosen when the batch was planned, with what it was worth; None: all are tried."""
    from recsys.training.recipe.recipe import Trial

    return None if batch.kept_trial is None else Trial.from_dict(batch.kept_trial)
