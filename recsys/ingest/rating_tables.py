"""Checks the two tables that MovieTweetings and MovieLens share: films, and ratings with a time."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from recsys.ingest.catalog_rows import items_from, split_year
from recsys.ingest.parsed import CheckedFile, Thresholds, ordered_feedback
from recsys.ingest.raw_table import RawTable
from recsys.ingest.table_check import DIGITS, TableCheck
from recsys.records import Item


def check_movies(table: RawTable) -> tuple[dict[str, Item], CheckedFile]:
    """Checks `item_id`, `title (year)`, `genres` and gives the items by id."""
    check = TableCheck(table)
    values = pd.DataFrame(
        {
            "item_id": check.text("item_id", pattern=DIGITS, meaning="a number"),
            "title": check.text("title"),
            "genres": check.optional_text("genres"),
        }
    )
    kept = check.drop_repeats(values, ["item_id"], "item")
    kept[["title", "release_year"]] = split_year(kept["title"])
    return items_from(kept), CheckedFile.of(table, check.refused())


def check_ratings(
    table: RawTable, thresholds: Thresholds, rating_range: tuple[float, float], latest: datetime | None
) -> tuple[pd.DataFrame, CheckedFile]:
    """Checks `user_id`, `item_id`, `rating`, `seconds` and gives the feedback; recorded when it occurred.

    A rating after `latest` is refused.
    """
    check = TableCheck(table)
    values = pd.DataFrame(
        {
            "user_id": check.text("user_id", pattern=DIGITS, meaning="a number"),
            "item_id": check.text("item_id", pattern=DIGITS, meaning="a number"),
            "value": check.number("rating", *rating_range),
            "occurred_at": check.unix_time("seconds"),
        }
    )
    check.not_after(values["occurred_at"], latest, "seconds")
    kept = check.drop_repeats(values, ["user_id", "item_id", "occurred_at"], "user, item and time")
    kept = kept.assign(
        kind="rating", signal=thresholds.signals(kept["value"]), reason=None, recorded_at=kept["occurred_at"]
    )
    return ordered_feedback(kept), CheckedFile.of(table, check.refused())
