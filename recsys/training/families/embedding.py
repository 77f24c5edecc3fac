"""The family `embedding`: B is made of the dot products of item vectors that an `ExplainableRecommendationModel` learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.training.families.additive.family import AdditiveFamily
from recsys.training.recipe.recipe import EMBEDDING, Candidate, FitConfig, Trial

if TYPE_CHECKING:
    from recsys.model.linked_weights import Associations
    from recsys.model.sums import Sums
    from recsys.training.dataset.events import Events
    from recsys.training.families.additive.selection import Selection


class Embedding(AdditiveFamily):
    """A candidate for each length of the vectors; there is no ridge to search."""

    name = EMBEDDING

    def candidates(self, config: FitConfig) -> Sequence[Candidate]:
        """See `Family`."""
        return [
            Candidate(self.name, f"{self.name}-{dim}", {"decay_power": 0.0, "embedding_dim": dim})
            for dim in config.embedding_dims
        ]

    def try_on(self, selection: Selection, candidate: Candidate) -> Trial:
        """See `ItemItemFamily`."""
        from recsys.training.head.search import term_value

        trial = Trial(candidate, 0.0, 0, {"reg": 0.0})
        weights = self.item_item(selection.linked.gram, selection.earliest, trial, selection.config)
        examples = selection.examples_with(weights)
        return Trial(
            candidate, term_value(examples, "likes", selection.config.head), len(examples.num_liked), {"reg": 0.0}
        )

    def item_item(self, gram: Sums, events: Events, trial: Trial, config: FitConfig) -> Associations:
        """See `ItemItemFamily`."""
        from recsys.training.families.additive.solving import vector_weights

        return vector_weights(gram, events, trial.candidate, config)


FAMILY = Embedding()
