"""The items that a model knows, in its order."""

from __future__ import annotations

import pandas as pd

from recsys.model.eligible_items import DEFAULTS, with_availability
from recsys.training.recipe.recipe import FitConfig


def vocabulary(examples: pd.DataFrame, items: pd.DataFrame, config: FitConfig) -> tuple[pd.DataFrame, int]:
    """The catalog of a model, linked items first.

    Args:
        examples: training examples; `item_id`, `label`.
        items: `item_id`, `title`, `genres`, `cast`, `franchise` of at least the items in `examples`, and what eligibility
            reads.
        config: says how much support links an item, and how many may be linked.

    Returns:
        The same columns for every item in `examples`, and how many of the first are linked.
    """
    counts = examples.groupby("item_id")["label"].sum().astype(int)
    support = pd.DataFrame({"item_id": counts.index, "support": counts.to_numpy()})
    support = support.sort_values(["support", "item_id"], ascending=[False, True], ignore_index=True)
    num_linked = min(int((support["support"] >= config.min_support).sum()), config.max_linked)
    known = items.set_index("item_id")
    catalog = support[["item_id"]].copy()
    catalog["title"] = known["title"].reindex(catalog["item_id"]).to_numpy()
    catalog["title"] = catalog["title"].fillna(catalog["item_id"])  # an item without metadata goes by its id
    genres = dict(zip(items["item_id"], items["genres"], strict=True))
    catalog["genres"] = [tuple(genres.get(item_id, ())) for item_id in catalog["item_id"]]
    cast = dict(zip(items["item_id"], items["cast"], strict=True))
    catalog["cast"] = [tuple(cast.get(item_id, ())) for item_id in catalog["item_id"]]
    catalog["franchise"] = known["franchise"].reindex(catalog["item_id"]).to_numpy()
    availability = known[known.columns.intersection(list(DEFAULTS))].reindex(catalog["item_id"])
    return with_availability(catalog.assign(**availability.reset_index(drop=True))), num_linked
