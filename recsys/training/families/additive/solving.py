"""From sums over users to what items of a history add to others: dense, or for many items sparse, as the sums are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.model.item_item import item_item_weights
from recsys.model.linked_weights import Associations, Matrix
from recsys.model.nearest_items import sparse_item_item_weights, sparse_transition_weights
from recsys.model.sums import Sums
from recsys.model.transitions import transition_weights
from recsys.training.dataset.events import Events
from recsys.training.families.additive.item_vectors import embedding_weights
from recsys.training.families.additive.linked.items import LinkedItems
from recsys.training.recipe.recipe import Candidate, FitConfig


def solve(
    weights: Associations, linked: LinkedItems, events: Events, transition_reg: float, config: FitConfig
) -> dict[str, Associations]:
    """All three over the linked items, by their names in `Parts`: B as its family gave it, T and D from the sums."""
    return {
        "item_item": weights,
        "transitions": transitions(linked, events, transition_reg, config),
        "disliked_together": disliked_together(linked, events, config),
    }


def item_item(gram: Sums, events: Events, reg: float, config: FitConfig) -> Associations:
    """B in closed form; see `item_item_weights`."""
    return _completed(_item_item(gram, reg, config), gram, reg, events)


def _item_item(gram: Sums, reg: float, config: FitConfig) -> Matrix:
    if isinstance(gram, np.ndarray):
        return item_item_weights(gram, reg)
    return sparse_item_item_weights(gram, reg, config.num_neighbors)


def vector_weights(gram: Sums, events: Events, candidate: Candidate, config: FitConfig) -> Associations:
    """B of learned vectors; see `embedding_weights`. How sure they are is read from the Gram matrix and the least ridge."""
    num_linked = gram.shape[0]
    number = config.num_neighbors if config.is_sparse(num_linked) else None
    weights = embedding_weights(events, num_linked, candidate, config.embedding, config.seed, number)
    return _completed(weights, gram, min(config.reg_grid), events)


def transitions(linked: LinkedItems, events: Events, reg: float, config: FitConfig) -> Associations:
    """T; see `transition_weights`."""
    if isinstance(linked.past_past, np.ndarray):
        weights: Matrix = transition_weights(linked.past_past, linked.past_future, reg)
    else:
        weights = sparse_transition_weights(linked.past_past, linked.past_future, reg, config.num_neighbors)
    return _completed(weights, linked.past_past, reg, events)


def disliked_together(linked: LinkedItems, events: Events, config: FitConfig) -> Associations:
    """D; nothing stands in where it knows little: a dislike says nothing about what is new."""
    return Associations.plain(_item_item(linked.dislike_gram, config.dislike_reg, config), events.num_items)


def _completed(weights: Matrix, moments: Sums, reg: float, events: Events) -> Associations:
    """The weights and what stands in for them where the ridge outweighs what is known of an item."""
    num_linked = moments.shape[0]
    likes = np.bincount(events.items[events.is_like], minlength=events.num_items)[:num_linked]
    share = likes / max(likes.sum(), 1)
    known: npt.NDArray[np.float64] = moments.diagonal()
    ridge = reg * max(float(known.mean()), 1e-6) if num_linked else 1.0
    unsure = np.ones(events.num_items, np.float32)
    unsure[:num_linked] = ridge / (known + ridge)
    return Associations(weights, np.asarray(weights @ share, np.float32), unsure)
