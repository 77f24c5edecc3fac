"""Chooses what depends on the data: for B a candidate and its ridge, for T its ridge, and the head, on what is newest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.model.additive import AdditiveModel, Parts
from recsys.model.calibration import Calibration, calibrate
from recsys.model.item_item import item_item_weights
from recsys.model.transitions import transition_weights
from recsys.training.embedding import embedding_weights
from recsys.training.events import Events
from recsys.training.fit_data import FitData
from recsys.training.head import Head, fit_head, opinions_of
from recsys.training.head_examples import HeadExamples, collect_examples, validation_splits
from recsys.training.head_search import best_of, search_setting, term_value
from recsys.training.linked_items import LinkedItems, signed_gram
from recsys.training.linked_state import LinkedState
from recsys.training.recipe import CLOSED_FORM, Candidate, FitConfig

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """A candidate with its best ridge, and what it is worth on the newest windows.

    Attributes:
        candidate: where B comes from.
        reg: relative ridge of B; 0.0 for embeddings.
        ndcg_at_10: of the best trend and B on the newest windows, see `term_value`.
        num_lists: behind it.
    """

    candidate: Candidate
    reg: float
    ndcg_at_10: float
    num_lists: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Trial:
        """From what `as_dict` gave."""
        return cls(**{**numbers, "candidate": Candidate(**numbers["candidate"])})


@dataclass(frozen=True)
class Settings:
    """All that validation chose."""

    trial: Trial
    transition_reg: float
    head: Head
    calibration: Calibration


def best_trial(trials: list[Trial], config: FitConfig) -> Trial:
    """The trial with the best NDCG; an earlier one stands unless a later one is better by `min_gain`."""
    return best_of([(trial, trial.ndcg_at_10) for trial in trials], config.head.min_gain)[0]


def solve(
    linked: LinkedItems, events: Events, trial: Trial, transition_reg: float, config: FitConfig
) -> dict[str, Matrix]:
    """The three matrices over linked items, by their names in `Parts`, from the sums over all of `events`."""
    num_linked = len(linked.gram)
    return {
        "item_item": _item_item(linked.gram, events, num_linked, trial, config),
        "transitions": transition_weights(linked.past_past, linked.past_future, transition_reg),
        "disliked_together": item_item_weights(linked.dislike_gram, config.dislike_reg),
    }


def _item_item(
    gram: npt.NDArray[np.float64], events: Events, num_linked: int, trial: Trial, config: FitConfig
) -> Matrix:
    if trial.candidate.family == CLOSED_FORM:
        return item_item_weights(gram, trial.reg)
    return embedding_weights(events, num_linked, trial.candidate, config.embedding, config.seed)


def build_model(events: Events, genres: Matrix, solved: dict[str, Matrix], config: FitConfig) -> AdditiveModel:
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
    model = AdditiveModel(num_items, len(parts.item_item), num_genres, config.trend_half_lives_days)
    model.set_parts(parts, np.zeros(len(model.head_names), np.float32))
    return model


class Selection:
    """Foretells what is newest from what was before. All matrices are solved once, from before the first window.

    Args:
        data: all that is known.
        config: what to choose from.
        state: of all of `data`; what was known before the first window is then counted from it.
    """

    def __init__(self, data: FitData, config: FitConfig, state: LinkedState | None = None) -> None:
        self.data, self.config, self.state = data, config, state
        self.splits = validation_splits(data.events, config.head, config.seed)
        pasts = (split.past for split in self.splits)
        self.earliest: Events = min(pasts, key=lambda past: len(past.users), default=data.events)

    @cached_property
    def linked(self) -> LinkedItems:
        """Of the earliest past, with the decay of the sample weights, or that of the state."""
        if self.state is None:
            return LinkedItems.count(self.earliest, self.data.num_linked, 1.0, self.config)
        return self.state.advanced(self.earliest, self.data.num_linked, self.config).linked_items()

    def _gram(self, decay_power: float) -> npt.NDArray[np.float64]:
        if decay_power == (1.0 if self.state is None else self.state.decay_power):
            return self.linked.gram
        return signed_gram(self.earliest, self.data.num_linked, decay_power, self.config)

    @cached_property
    def disliked_together(self) -> Matrix:
        """D of the earliest past."""
        return item_item_weights(self.linked.dislike_gram, self.config.dislike_reg)

    def try_candidate(self, candidate: Candidate) -> Trial:
        """Finds the candidate's ridge and what it is worth."""
        config, num_linked = self.config, self.data.num_linked
        num_lists = 0

        def examples_with(weights: Matrix) -> HeadExamples:
            nonlocal num_lists
            examples = self._examples(config.head.num_setting_windows, item_item=weights)
            num_lists = len(examples.num_liked)
            return examples

        if candidate.family == CLOSED_FORM:
            gram = self._gram(candidate.decay_power)
            reg, ndcg = search_setting(
                config.reg_grid, lambda reg: examples_with(item_item_weights(gram, reg)), "likes", config.head
            )
        else:
            weights = embedding_weights(self.earliest, num_linked, candidate, config.embedding, config.seed)
            reg, ndcg = 0.0, term_value(examples_with(weights), "likes", config.head)
        return Trial(candidate, reg, ndcg, num_lists)

    def settings(self, trial: Trial) -> Settings:
        """Everything else that goes with a candidate and its ridge."""
        config, linked = self.config, self.linked

        def transitions_of(reg: float) -> Matrix:
            return transition_weights(linked.past_past, linked.past_future, reg)

        transition_reg, _ = search_setting(
            config.transition_reg_grid,
            lambda reg: self._examples(config.head.num_setting_windows, transitions=transitions_of(reg)),
            "recent",
            config.head,
        )
        gram = self._gram(trial.candidate.decay_power)
        weights = _item_item(gram, self.earliest, self.data.num_linked, trial, config)
        examples = self._examples(None, item_item=weights, transitions=transitions_of(transition_reg))
        head = fit_head(examples, config.head, config.seed)
        return Settings(trial, transition_reg, head, calibrate(*opinions_of(examples, head.weights)))

    def _examples(self, num_windows: int | None, **solved: Matrix) -> HeadExamples:
        """Lists of the newest windows, None: of all, scored with these matrices; what is not given is zero."""
        data, config = self.data, self.config
        none = np.zeros((data.num_linked, data.num_linked), np.float32)
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
