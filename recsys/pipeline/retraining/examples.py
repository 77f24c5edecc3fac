"""Examples of what a fit recommends, of nobody who exists: for its card, and for whoever calls the served model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from recsys.model.protocol import RecommenderProtocol

NUM_EXAMPLES = 3
MAX_CITED = 3  # items that an example likes


def examples_of(recommender: RecommenderProtocol, histories: pd.DataFrame) -> list[str]:
    """What somebody would be given first who likes a few of the most liked films, and why: of nobody who exists.

    Args:
        recommender: of the card.
        histories: see `recsys.model.histories`; how many users like each item counts, and nothing else.
    """
    import pandas as pd

    liked = histories[(histories["signal"] == "like") & histories["item_id"].isin(recommender.item_ids)]
    counts = (
        liked.groupby("item_id")
        .size()
        .reset_index(name="count")
        .sort_values(["count", "item_id"], ascending=[False, True])
    )
    most = counts["item_id"].head(NUM_EXAMPLES * MAX_CITED)
    rows = [
        {
            "user_id": f"example {n % NUM_EXAMPLES}",
            "item_id": item_id,
            "signal": "like",
            "weight": 1.0,
            "reason": "",
            "age_days": 2.0,
        }
        for n, item_id in enumerate(most)
    ]
    own = pd.DataFrame(rows)
    title = dict(zip(recommender.catalog["item_id"], recommender.catalog["title"], strict=True))
    sentences = []
    for row in recommender.recommend(own, k=1, user_ids=sorted(own["user_id"].unique())).itertuples() if rows else ():
        titles = ", ".join(title[item_id] for item_id in own.loc[own["user_id"] == row.user_id, "item_id"])
        sentences.append(f"Who likes {titles} is given {title[str(row.item_id)]}. {row.reason}")
    return sentences


def input_example(recommender: RecommenderProtocol) -> list[dict[str, Any]]:
    """Histories of a user who does not exist, in the columns that the model takes: of nobody, since many may read it."""
    signals = [("like", "", 2.0), ("like", "", 9.0), ("dislike", "not_interested", 1.0)]
    return [
        {
            "user_id": "example_user",
            "item_id": item_id,
            "signal": signal,
            "weight": 1.0,
            "reason": reason,
            "age_days": age,
        }
        for item_id, (signal, reason, age) in zip(recommender.item_ids, signals, strict=False)
    ]
