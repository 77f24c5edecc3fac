"""From sums over users to weights between items: dense, or for many items sparse, as the sums are."""

from __future__ import annotations

import numpy as np

from recsys.model.item_item import item_item_weights
from recsys.model.linked_weights import Matrix
from recsys.model.nearest_items import sparse_item_item_weights, sparse_transition_weights
from recsys.model.sums import Sums
from recsys.model.transitions import transition_weights
from recsys.training.embedding import embedding_weights
from recsys.training.events import Events
from recsys.training.linked_items import LinkedItems
from recsys.training.recipe import CLOSED_FORM, Candidate, FitConfig, Trial


def solve(
    linked: LinkedItems, events: Events, trial: Trial, transition_reg: float, config: FitConfig
) -> dict[str, Matrix]:
    """The three matrices over linked items, by their names in `Parts`, from the sums over all of `events`."""
    return {
        "item_item": candidate_weights(linked.gram, events, trial, config),
        "transitions": transitions(linked, transition_reg, config),
        "disliked_together": item_item(linked.dislike_gram, config.dislike_reg, config),
    }


def candidate_weights(gram: Sums, events: Events, trial: Trial, config: FitConfig) -> Matrix:
    """B of a candidate: from the Gram matrix, or from vectors trained on the events."""
    if trial.candidate.family == CLOSED_FORM:
        return item_item(gram, trial.reg, config)
    return vector_weights(events, gram.shape[0], trial.candidate, config)


def item_item(gram: Sums, reg: float, config: FitConfig) -> Matrix:
    """See `item_item_weights`."""
    if isinstance(gram, np.ndarray):
        return item_item_weights(gram, reg)
    return sparse_item_item_weights(gram, reg, config.num_neighbors)


def transitions(linked: LinkedItems, reg: float, config: FitConfig) -> Matrix:
    """See `transition_weights`."""
    if isinstance(linked.past_past, np.ndarray):
        return transition_weights(linked.past_past, linked.past_future, reg)
    return sparse_transition_weights(linked.past_past, linked.past_future, reg, config.num_neighbors)


def vector_weights(events: Events, num_linked: int, candidate: Candidate, config: FitConfig) -> Matrix:
    """See `embedding_weights`."""
    number = config.num_neighbors if config.is_sparse(num_linked) else None
    return embedding_weights(events, num_linked, candidate, config.embedding, config.seed, number)
