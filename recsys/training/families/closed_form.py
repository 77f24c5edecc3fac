"""The family `closed_form`: B is a linear autoencoder over signed, time-decayed histories.

References:
    Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.training.families.additive.family import AdditiveFamily
from recsys.training.recipe.recipe import CLOSED_FORM, Candidate, FitConfig, Trial

if TYPE_CHECKING:
    from recsys.model.linked_weights import Associations
    from recsys.model.sums import Sums
    from recsys.training.dataset.events import Events
    from recsys.training.families.additive.selection import Selection
    from recsys.training.head.examples import HeadExamples

DECAYS = {1.0: "decayed", 0.0: "lasting"}  # how the decay of what B learns from is called


class ClosedForm(AdditiveFamily):
    """A candidate for each power of the decay; its ridge is searched."""

    name = CLOSED_FORM

    def candidates(self, config: FitConfig) -> Sequence[Candidate]:
        """See `Family`."""
        return [
            Candidate(
                self.name,
                f"{self.name}-{DECAYS.get(power, f'{power:g}')}",
                {"decay_power": power, "embedding_dim": 0},
            )
            for power in config.decay_powers
        ]

    def try_on(self, selection: Selection, candidate: Candidate) -> Trial:
        """See `ItemItemFamily`."""
        from recsys.training.families.additive.solving import item_item
        from recsys.training.head.search import search_setting

        config, gram = selection.config, selection.gram(candidate.settings["decay_power"])
        lists: list[int] = []

        def examples_with(reg: float) -> HeadExamples:
            examples = selection.examples_with(item_item(gram, selection.earliest, reg, config))
            lists.append(len(examples.num_liked))
            return examples

        reg, ndcg = search_setting(config.reg_grid, examples_with, "likes", config.head)
        return Trial(candidate, ndcg, lists[-1], {"reg": reg})

    def item_item(self, gram: Sums, events: Events, trial: Trial, config: FitConfig) -> Associations:
        """See `ItemItemFamily`."""
        from recsys.training.families.additive.solving import item_item

        return item_item(gram, events, trial.settings["reg"], config)


FAMILY = ClosedForm()
