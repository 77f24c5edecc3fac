"""Chooses what depends on the data: for B a candidate and its ridge, for T its ridge, and the head, on what is newest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from recsys.errors import InputError
from recsys.model.additive import AdditiveModel, Parts
from recsys.model.calibration import Calibration, calibrate
from recsys.model.eligible_items import BoolArray
from recsys.model.linked_weights import Associations
from recsys.model.protocol import RecommenderProtocol
from recsys.model.recommender import Recommender
from recsys.model.sums import Sums
from recsys.training.dataset.events import Events
from recsys.training.families.additive.fit_data import FitData
from recsys.training.families.additive.linked.items import LinkedItems, signed_gram
from recsys.training.families.additive.linked.state import LinkedState
from recsys.training.families.additive.solving import disliked_together, transitions
from recsys.training.families.base import ItemItemFamily
from recsys.training.head.examples import HeadExamples, collect_examples, validation_splits
from recsys.training.head.fit import Head, fit_head, opinions_of
from recsys.training.head.search import best_of, search_setting
from recsys.training.recipe.recipe import FitConfig, Trial


@dataclass(frozen=True)
class Settings:
    """All that validation chose."""

    trial: Trial
    transition_reg: float
    head: Head
    calibration: Calibration

    @classmethod
    def of(cls, judged: RecommenderProtocol, trial: Trial, metrics: dict[str, float]) -> Settings:
        """What validation chose for a fit that was evaluated, so that another fit with newer data keeps it.

        Args:
            judged: that fit.
            trial: its candidate and ridge.
            metrics: its validation metrics.

        Raises:
            InputError: if that fit is of another model.
        """
        if not isinstance(judged, Recommender):
            raise InputError(f"Expected a fit of the additive model, got {type(judged).__name__}: start a new run.")
        recipe, weights = judged.recipe, np.asarray(judged.model.head.numpy(), np.float32)
        head = Head(weights, str(recipe["head_source"]), float(recipe["best_trend_half_life_days"]), metrics)
        return cls(trial, float(recipe["transition_reg"]), head, Calibration(**recipe["calibration"]))


def best_trial(trials: list[Trial], config: FitConfig) -> Trial:
    """The trial with the best NDCG; an earlier one stands unless a later one is better by `min_gain`."""
    return best_of([(trial, trial.ndcg_at_10) for trial in trials], config.head.min_gain)[0]


def build_model(
    events: Events, genres: npt.NDArray[np.float32], solved: dict[str, Associations], config: FitConfig
) -> AdditiveModel:
    """The model of these events and matrices, with a head of zeros."""
    likes = events.is_like
    liked_weight = np.bincount(events.items[likes], weights=events.weights()[likes], minlength=events.num_items)
    base = liked_weight @ genres / max(liked_weight.sum(), 1e-12)
    parts = Parts(
        trends=events.trends(config.trend_half_lives_days),
        genres=genres,
        genre_base=base.astype(np.float32),
        regard=events.regard(),
        **solved,
    )
    num_items, num_genres = genres.shape
    num_linked = len(parts.item_item.typical)
    model = AdditiveModel(num_items, num_linked, num_genres, config.trend_half_lives_days, parts.num_stored())
    model.set_parts(parts, np.zeros(len(model.head_names), np.float32))
    return model


class Selection:
    """Predicts what is newest from what was before. All matrices are solved once, from before the first window.

    Args:
        data: all that is known.
        config: what to choose from.
        state: of all of `data`; what was known before the first window is then counted from it.
    """

    def __init__(self, data: FitData, config: FitConfig, state: LinkedState | None = None) -> None:
        self.data, self.config, self.state = data, config, state
        self.splits = validation_splits(data.events, config.head, config.seed, self._eligible)
        pasts = (split.past for split in self.splits)
        self.earliest: Events = min(pasts, key=lambda past: len(past.users), default=data.events)

    def _eligible(self, at: datetime) -> BoolArray:
        return self.data.eligible(self.config.eligible, at)

    @cached_property
    def linked(self) -> LinkedItems:
        """Of the earliest past, with the decay of the sample weights, or that of the state."""
        if self.state is None:
            return LinkedItems.count(self.earliest, self.data.num_linked, 1.0, self.config)
        return self.state.advanced(self.earliest, self.data.num_linked, self.config).linked_items()

    def gram(self, decay_power: float) -> Sums:
        """Gram matrix of the earliest past, with a power of the decay."""
        if decay_power == (1.0 if self.state is None else self.state.decay_power):
            return self.linked.gram
        return signed_gram(self.earliest, self.data.num_linked, decay_power, self.config)

    @cached_property
    def disliked_together(self) -> Associations:
        """D of the earliest past."""
        return disliked_together(self.linked, self.earliest, self.config)

    def examples_with(self, weights: Associations) -> HeadExamples:
        """Lists of the newest windows, scored with this B: what candidates are compared on."""
        return self._examples(self.config.head.num_setting_windows, item_item=weights)

    def settings(self, family: ItemItemFamily, trial: Trial) -> Settings:
        """Everything else that goes with a candidate of the family and its ridge."""
        config, linked = self.config, self.linked

        @cache
        def transitions_of(reg: float) -> Associations:
            return transitions(linked, self.earliest, reg, config)

        transition_reg = trial.settings.get("transition_reg")
        if transition_reg is None:
            transition_reg, _ = search_setting(
                config.transition_reg_grid,
                lambda reg: self._examples(config.head.num_setting_windows, transitions=transitions_of(reg)),
                "recent",
                config.head,
            )
        gram = self.gram(trial.candidate.settings["decay_power"])
        weights = family.item_item(gram, self.earliest, trial, config)
        examples = self._examples(None, item_item=weights, transitions=transitions_of(transition_reg))
        head = fit_head(examples, config.head, config.seed)
        return Settings(trial, transition_reg, head, calibrate(*opinions_of(examples, head.weights)))

    def _examples(self, num_windows: int | None, **solved: Associations) -> HeadExamples:
        """Lists of the newest windows, None: of all, scored with these matrices; what is not given is zero."""
        data, config = self.data, self.config
        none = Associations.none(data.num_linked, data.events.num_items, config.is_sparse(data.num_linked))
        matrices = {
            "item_item": none, "transitions": none, "disliked_together": self.disliked_together, **solved
        }  # fmt: skip
        return collect_examples(
            data.events,
            self.splits[:num_windows],
            lambda past: build_model(past, data.genres, matrices, config),
            data.features,
            config.head,
        )
