"""Tables of the feedback database.

Four tables carry the names and columns of the original system, under which people know them: `user_dislikes`,
`dislike_feedback_impact`, `negative_training_examples`, `dislike_patterns`. There `movie_id` is a TMDB id, which a film
may lack; `item_id` is our key of the catalog.

There are two clocks, and no order or duration mixes them:

- the stream's: `occurred_at` (`created_at` of a dislike) is when an event happened, `recorded_at` when it was recorded. A
  run's cut-off `as_of` is on `recorded_at`. An imported row was recorded elsewhere, as a rule when it happened;
- the wall clock of the machine that wrote: everything that this system notes about its own doings (`created_at`,
  `completed_at`, `claimed_at`, `applied_at`, `identified_at` ..., `recorded_at` of a decision), and `imported_at` of a row.
  When this machine learned of an event is `coalesce(imported_at, recorded_at)`.
"""

from recsys.store.tables.feedback import (
    dislike_feedback_impact,
    dislike_patterns,
    negative_training_examples,
    training_batches,
    user_dislikes,
)
from recsys.store.tables.metadata import SCHEMA_REVISION, metadata
from recsys.store.tables.recommendations import (
    publications,
    recommendation_entries,
    recommendation_exposures,
    recommendation_sets,
)
from recsys.store.tables.records import (
    api_keys,
    artifact_digests,
    backlog_announcements,
    brigading_flags,
    decisions,
    erasures,
    model_promotions,
    tombstones,
    user_keys,
)
from recsys.store.tables.stream import interactions, item_changes, items, stream_shifts, user_exclusions

__all__ = [
    "SCHEMA_REVISION",
    "api_keys",
    "artifact_digests",
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
    "publications",
    "recommendation_entries",
    "recommendation_exposures",
    "recommendation_sets",
    "stream_shifts",
    "tombstones",
    "training_batches",
    "user_dislikes",
    "user_exclusions",
    "user_keys",
]
