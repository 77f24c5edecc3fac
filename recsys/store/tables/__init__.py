"""Tables of the feedback database.

Four tables carry the names and columns of the original system, under which people know them: `user_dislikes`,
`dislike_feedback_impact`, `negative_training_examples`, `dislike_patterns`. There `movie_id` is a TMDB id, which a film
may lack; `item_id` is our key of the catalog.

Two columns tell time: `occurred_at` (`created_at` of a dislike) is when it happened, `recorded_at` when this database
learned of it. A run's cut-off `as_of` is on `recorded_at`.
"""

from recsys.store.tables.feedback import (
    dislike_feedback_impact,
    dislike_patterns,
    negative_training_examples,
    training_batches,
    user_dislikes,
)
from recsys.store.tables.metadata import SCHEMA_REVISION, metadata
from recsys.store.tables.recommendations import recommendation_entries, recommendation_exposures, recommendation_sets
from recsys.store.tables.records import (
    api_keys,
    backlog_announcements,
    brigading_flags,
    decisions,
    erasures,
    model_promotions,
)
from recsys.store.tables.stream import interactions, item_changes, items, user_exclusions

__all__ = [
    "SCHEMA_REVISION",
    "api_keys",
    "backlog_announcements",
    "brigading_flags",
    "decisions",
    "dislike_feedback_impact",
    "dislike_patterns",
    "erasures",
    "interactions",
    "item_changes",
    "items",
    "metadata",
    "model_promotions",
    "negative_training_examples",
    "recommendation_entries",
    "recommendation_exposures",
    "recommendation_sets",
    "training_batches",
    "user_dislikes",
    "user_exclusions",
]
