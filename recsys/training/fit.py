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
from recsys.training.families.linked_state import LinkedState
from recsys.training.families.solving import solve
from recsys.training.fit_data import FitData
from recsys.training.head.adjustment_power import choose_power, histories_of
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial
from recsys.training.selection import Selection, Settings, best_trial, build_model

Progress = Callable[[str], None]


@dataclass
class FitResult:
    """A fitted recommender, what validation chose, the numbers behind it (all JSON-able), and the sums for the next night."""

    recommender: Recommender
    params: dict[str, Any]
    metrics: dict[str, float]
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
    return Selection(_data(examples, items, cut_off, half_life_days, config, neutral), config).try_candidate(candidate)


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
) -> FitResult:
    """Fits on every example up to `cut_off`; the last days before it choose the settings, then all of it is used.

    Args:
        examples: training examples (`user_id`, `item_id`, `label`, `base_weight`, `reason`, `occurred_at`), none after
            `cut_off`.
        items: catalog: `item_id`, `title`, `genres`, `cast`, `franchise`, and what `recsys.model.eligible_items` reads.
        cut_off: aware datetime that ages are counted from.
        half_life_days: of the sample weights, > 0.
        config: see `FitConfig`.
        progress: called with a few words before each part.
        neutral: ratings without an opinion, and clicks (`user_id`, `item_id`, `occurred_at`), none after `cut_off`.
        trial: the candidate to fit; None tries all of `config` and takes the best.
        state: that an earlier fit left; the sums are carried on from it where `trial` is given and its settings are the
            same, else all is counted anew.
        settings: what an earlier fit chose, to be kept: nothing is chosen anew. Goes with `trial`.

    Raises:
        InputError: if there is no liked example to learn from.
        ValueError: if an example is newer than `cut_off`.
    """
    data = _data(examples, items, cut_off, half_life_days, config, neutral)
    if trial is not None and state is not None and state.can_advance(data.events, trial.candidate.decay_power, config):
        progress("carrying on the sums over the users")
        state = state.advanced(data.events, data.num_linked, config)
    else:
        state = None
    selection = Selection(data, config, state)
    if settings is not None:
        trial = settings.trial
    elif trial is None:
        trials = []
        for name, candidate in config.candidates().items():
            progress(f"trying {name} on what is newest")
            trials.append(selection.try_candidate(candidate))
        trial = best_trial(trials, config)
    if settings is None:
        progress("weighing the terms on what is newest")
        settings = selection.settings(trial)
    progress("solving for the item-item weights")
    state = state or LinkedState.rebuild(data.events, data.num_linked, trial.candidate.decay_power, config)
    solved = solve(state.linked_items(), data.events, trial, settings.transition_reg, config)
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
    return FitResult(
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


def _chosen(settings: Settings) -> dict[str, Any]:
    candidate = settings.trial.candidate
    return {
        "candidate": candidate.name,
        "family": candidate.family,
        "decay_power": candidate.decay_power,
        "embedding_dim": candidate.embedding_dim,
        "reg": settings.trial.reg,
        "transition_reg": settings.transition_reg,
        "head_source": settings.head.source,
        "best_trend_half_life_days": settings.head.best_trend_half_life_days,
    }
