"""The name of a recipe: two fits that have the same differ in their data only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from recsys.config.run import FAMILIES
from recsys.training.recipe.code import code_digest
from recsys.training.recipe.recipe import FitConfig


def recipe_id(config: FitConfig, half_life_days: float | None) -> str:
    """Names a recipe: the configuration and exactly the code that a fit executes, without the seed or what validation chooses.

    Two fits with one recipe differ in their data only; the gate calls the second a refresh of the first. See
    `recsys.training.recipe.code` for what counts as a change of the code, and `recsys.training.families.foreign` for that of a
    family which is not ours.

    Args:
        config: of the fit.
        half_life_days: None: the rule "a quarter of the stream", whatever it resolves to.
    """
    settings = {**asdict(config), "half_life_days": half_life_days}
    settings.pop("seed")
    foreign = [name for name in config.families if name not in FAMILIES]
    ours = code_digest() if len(foreign) < len(config.families) else ""
    text = json.dumps(settings, sort_keys=True) + ours + "".join(_digest(name, config) for name in foreign)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _digest(name: str, config: FitConfig) -> str:
    from recsys.training.families.foreign import foreign_digest

    return foreign_digest(name, config)
