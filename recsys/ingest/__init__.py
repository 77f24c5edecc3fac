"""Imports of ratings, interactions and items into the feedback store.

Formats: MovieTweetings, MovieLens (CSV and `::` files), your own CSV or Parquet. Each reader checks whole files first
and reports every bad row with its line; then everything is written in batches that can be repeated and interrupted.
"""

from recsys.ingest.importing import (
    ImportOptions,
    ImportReport,
    import_interactions,
    import_items,
    import_movielens,
    import_movietweetings,
)
from recsys.ingest.parsed import Thresholds
from recsys.ingest.shift import ShiftRequest

__all__ = [
    "ImportOptions",
    "ImportReport",
    "ShiftRequest",
    "Thresholds",
    "import_interactions",
    "import_items",
    "import_movielens",
    "import_movietweetings",
]
