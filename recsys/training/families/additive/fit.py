"""Fits the additive model on the events up to a cut-off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import keras
import pandas as pd

from recsys.errors import InputError
from recsys.model.recommender import Recommender
from recsys.training.families.additive.fit_data import FitData
from recsys.training.families.additive.linked.state import LinkedState
from recsys.training.families.additive.selection import Selection, Settings, best_trial, build_model
from recsys.training.families.additive.solving import solve
from recsys.training.families.base import FitResult
from recsys.training.families.registry import additive_family, candidates_of
from recsys.training.head.adjustment_power import choose_power, histories_of
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial

Progress = Callable[[str], None]


@dataclass(kw_only=True)
class AdditiveFit(FitResult):
    """A fit of the additive model, with its sums for the next night."""

    recommender: Recommender
    state: LinkedState


def try_candidate(
    candidate: Candidate,
    examples: pd.DataFrame,
    items: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    config: FitConfig,
    neutral: pd.DataFrame | None = None,
) -> Trial:
    """What one candidate is worth on the newest events up to `cut_off`. Arguments and errors as for `fit`."""
    selection = Selection(_data(examples, items, cut_off, half_life_days, config, neutral), config)
    return additive_family(candidate.family).try_on(selection, candidate)


def fit(
    examples: pd.DataFrame,
    items: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    config: FitConfig,
    progress: Progress = lambda message: None,
    neutral: pd.DataFrame | None = None,
    trial: Trial | None = None,
    state: LinkedState | None = None,
    settings: Settings | None = None,
) -> AdditiveFit:
    """Fits on every example up to `cut_off`; the last days before it choose the settings, then all of it is used.

    Args:
        examples: training examples (`user_id`, `item_id`, `label`, `base_weight`, `reason`, `occurred_at`), none after
            `cut_off`.
        items: catalog: `item_id`, `title`, `genres`, `cast`, `franchise`, and what `recsys.model.eligible_items` reads.
        cut_off: aware datetime that ages are counted from.
        half_life_days: of the sample weights, > 0.
        config: see `FitConfig`; its families are those of the additive model.
        progress: called with a few words before each part.
        neutral: ratings without an opinion, and clicks (`user_id`, `item_id`, `occurred_at`), none after `cut_off`.
        trial: the candidate to fit; None tries all of `config` and takes the best.
        state: that an earlier fit left; the sums are carried on from it where `trial` is given and its settings are the
            same, else all is counted anew.
        settings: what an earlier fit chose, to be kept: nothing is chosen anew. Goes with `trial`.

    Raises:
        InputError: if there is no liked example to learn from, or a family makes another model.
        ValueError: if an example is newer than `cut_off`.
    """
    data = _data(examples, items, cut_off, half_life_days, config, neutral)
    if trial is not None and state is not None and state.can_advance(data.events, _decay_power(trial), config):
        progress("carrying on the sums over the users")
        state = state.advanced(data.events, data.num_linked, config)
    else:
        state = None
    selection = Selection(data, config, state)
    if settings is not None:
        trial = settings.trial
    elif trial is None:
        trials = []
        for name, candidate in candidates_of(config).items():
            progress(f"trying {name} on what is newest")
            trials.append(additive_family(candidate.family).try_on(selection, candidate))
        trial = best_trial(trials, config)
    family = additive_family(trial.candidate.family)
    if settings is None:
        progress("weighing the terms on what is newest")
        settings = selection.settings(family, trial)
    progress("solving for the item-item weights")
    state = state or LinkedState.rebuild(data.events, data.num_linked, _decay_power(trial), config)
    linked = state.linked_items()
    weights = family.item_item(linked.gram, data.events, trial, config)
    solved = solve(weights, linked, data.events, settings.transition_reg, config)
    model = build_model(data.events, data.genres, solved, config)
    model.head.assign(settings.head.weights)
    recipe = {"cut_off": cut_off.isoformat(), "half_life_days": half_life_days, "config": asdict(config)}
    recipe |= {
        **_chosen(settings),
        "calibration": settings.calibration.as_dict(),
        "eligible": config.eligible.as_dict(),
    }
    recommender = Recommender(model, data.catalog, data.genre_names, recipe)
    progress("weighing what a dislike with a reason does")
    answer = choose_power(
        recommender, histories_of(data.events, config.answer.num_dislikes, config.seed), config.answer, config.seed
    )
    return AdditiveFit(
        recommender=recommender.with_adjustment_power(answer.power),
        params={
            **_chosen(settings),
            "half_life_days": half_life_days,
            "num_linked": data.num_linked,
            "num_items": len(data.catalog),
            "seed": config.seed,
            "adjustment_power": answer.power,
            "calibration_slope": settings.calibration.slope,
            "calibration_intercept": settings.calibration.intercept,
            "calibration_source": settings.calibration.source,
            **{f"head_{name}": float(w) for name, w in zip(model.head_names, settings.head.weights, strict=True)},
        },
        metrics=settings.head.metrics,
        state=state,
    )


def _data(
    examples: pd.DataFrame,
    items: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    config: FitConfig,
    neutral: pd.DataFrame | None,
) -> FitData:
    if not (examples["label"] == 1).any():
        raise InputError(f"Expected liked examples up to {cut_off.isoformat()}, got none: import interactions first.")
    keras.utils.set_random_seed(config.seed)
    return FitData.build(examples, neutral, items, cut_off, half_life_days, config)


def _decay_power(trial: Trial) -> float:
    return float(trial.candidate.settings["decay_power"])


def _chosen(settings: Settings) -> dict[str, Any]:
    candidate = settings.trial.candidate
    return {
        "candidate": candidate.name,
        "family": candidate.family,
        **candidate.settings,
        "reg": settings.trial.settings["reg"],
        "transition_reg": settings.transition_reg,
        "head_source": settings.head.source,
        "best_trend_half_life_days": settings.head.best_trend_half_life_days,
    }
