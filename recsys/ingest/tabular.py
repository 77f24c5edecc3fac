"""Reads your own feedback and items from CSV (UTF-8, with a header) or Parquet.

Interactions, one row per signal:

| column | needed | meaning |
|---|---|---|
| `user_id`, `item_id` | yes | text or whole numbers |
| `occurred_at` | yes | ISO 8601 (without an offset: UTC) or unix seconds |
| `kind` | no | rating, click, watch, like; default: rating with a value, else like for likes, else watch |
| `value` | no | number; with both thresholds it decides what the row is |
| `label` | no | like, dislike, seen; wins over the thresholds |
| `reason` | no | of a dislike: a `DislikeReason`, such as wrong_genre or already_watched; default unspecified |
| `recorded_at` | no | when it became known, default `occurred_at`; training sees a row from then on |

A row without a label takes it from its value and the thresholds; failing that, kind like is a like, click and watch are
seen; a rating that nothing labels is refused.

Items, one row per item:

| column | needed | meaning |
|---|---|---|
| `item_id`, `title` | yes | text |
| `genres`, `cast` | no | separated by a vertical bar, in Parquet also lists |
| `franchise` | no | text |
| `release_year`, `tmdb_id` | no | whole numbers |
| `imdb_id` | no | `tt0114709` or `0114709` |
| `tags` | no | the product's own words, separated by a vertical bar, in Parquet also lists |
| `available_from`, `available_until` | no | ISO 8601 (without an offset: UTC) or unix seconds; recommended from, until before |
| `is_hidden` | no | true or false; true: never recommended |
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from recsys.config.eligibility import FIRST_YEAR, LAST_YEAR
from recsys.errors import InputError
from recsys.ingest.catalog_rows import imdb_ids, items_from
from recsys.ingest.parsed import DISLIKE, LIKE, SEEN, CheckedFile, Parsed, Thresholds, ordered_feedback
from recsys.ingest.raw_table import RawTable, read_csv, read_parquet
from recsys.ingest.table_check import TableCheck
from recsys.records import DislikeReason

INTERACTIONS = "columns user_id, item_id, occurred_at; optional kind, value, label, reason, recorded_at"
INTERACTIONS_REQUIRED = ("user_id", "item_id", "occurred_at")
INTERACTIONS_OPTIONAL = ("kind", "value", "label", "reason", "recorded_at")
ITEMS = (
    "columns item_id, title; optional genres, cast, franchise, release_year, tmdb_id, imdb_id, tags, available_from, "
)
ITEMS += "available_until, is_hidden"
ITEMS_REQUIRED = ("item_id", "title")
ITEMS_OPTIONAL = (
    "genres", "cast", "franchise", "release_year", "tmdb_id", "imdb_id", "tags", "available_from", "available_until",
    "is_hidden",
)  # fmt: skip
KINDS = ("rating", "click", "watch", "like")
SIGNAL_OF_KIND = {"like": LIKE, "click": SEEN, "watch": SEEN}
LARGEST_TMDB_ID = 2**31 - 1


def read_interactions(file: Path, thresholds: Thresholds | None = None, latest: datetime | None = None) -> Parsed:
    """Reads and checks a file of interactions.

    Args:
        file: `.csv` or `.parquet`.
        thresholds: what a value without a label means; None: such rows need a label.
        latest: rows that occurred, or were recorded, later are refused; None: none is.

    Raises:
        InputError: if the file cannot be read, is empty or lacks a column.
    """
    table = _read(file, INTERACTIONS_REQUIRED, INTERACTIONS_OPTIONAL, INTERACTIONS)
    check = TableCheck(table)
    occurred_at = check.time("occurred_at")
    recorded_at = check.time("recorded_at", is_required=False).fillna(occurred_at)
    check.not_after(occurred_at, latest, "occurred_at")
    check.not_after(recorded_at, latest, "recorded_at")
    check.refuse(recorded_at < occurred_at, "recorded_at lies before occurred_at", "recorded_at")
    values = pd.DataFrame(
        {
            "user_id": check.named("user_id"),
            "item_id": check.named("item_id"),
            "value": check.number("value", -np.inf, np.inf, is_required=False),
            "occurred_at": occurred_at,
            "recorded_at": recorded_at,
        }
    )
    values["signal"], values["kind"], values["reason"] = _signals(check, values["value"], thresholds)
    kept = check.drop_repeats(values, ["user_id", "item_id", "kind", "occurred_at"], "user, item, kind and time")
    return Parsed("interactions", (CheckedFile.of(table, check.refused()),), {}, ordered_feedback(kept))


def read_items(file: Path) -> Parsed:
    """Reads and checks a file of items.

    Raises:
        InputError: if the file cannot be read, is empty or lacks a column.
    """
    table = _read(file, ITEMS_REQUIRED, ITEMS_OPTIONAL, ITEMS)
    check = TableCheck(table)
    imdb = check.optional_text("imdb_id")
    check.refuse(imdb.notna() & ~imdb.str.fullmatch("(tt)?[0-9]{1,12}"), "imdb_id is not like tt0114709", "imdb_id")
    values = pd.DataFrame(
        {
            "item_id": check.named("item_id"),
            "title": check.text("title"),
            "genres": check.optional_text("genres"),
            "cast": check.optional_text("cast"),
            "franchise": check.optional_text("franchise"),
            "release_year": check.number("release_year", FIRST_YEAR, LAST_YEAR, is_required=False, is_whole=True),
            "tmdb_id": check.number("tmdb_id", 1, LARGEST_TMDB_ID, is_required=False, is_whole=True),
            "imdb_id": imdb_ids(imdb),
            "tags": check.optional_text("tags"),
            "available_from": check.time("available_from", is_required=False),
            "available_until": check.time("available_until", is_required=False),
            "is_hidden": check.flag("is_hidden"),
        }
    )
    is_empty_span = values["available_until"] <= values["available_from"]
    check.refuse(is_empty_span, "available_until does not lie after available_from", "available_until")
    kept = check.drop_repeats(values, ["item_id"], "item")
    says_hidden = frozenset(kept.loc[kept["is_hidden"].notna(), "item_id"])
    return Parsed("items", (CheckedFile.of(table, check.refused()),), items_from(kept), says_hidden=says_hidden)


def _read(file: Path, required: tuple[str, ...], optional: tuple[str, ...], expected: str) -> RawTable:
    readers = {".csv": read_csv, ".parquet": read_parquet}
    if file.suffix.lower() not in readers:
        raise InputError(
            f"{file} has no known format.\nexpected: a file named .csv or .parquet with {expected}\n"
            f"came: {file.suffix or 'no suffix'}\nWhat to do: export it as CSV or Parquet."
        )
    return readers[file.suffix.lower()](file, required, optional, expected)


def _signals(
    check: TableCheck, value: pd.Series, thresholds: Thresholds | None
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Columns signal, kind and reason; refuses rows that nothing labels and reasons without a dislike."""
    kind = check.choice("kind", KINDS)
    signal = check.choice("label", (LIKE, DISLIKE, SEEN))
    if thresholds is not None:
        signal = signal.fillna(thresholds.signals(value).where(value.notna()))
    signal = signal.fillna(kind.map(SIGNAL_OF_KIND).astype("str"))
    how = "needs a label, or a value with --like-at-least and --dislike-at-most"
    check.refuse(signal.isna(), f"nothing says whether it is a like: the row {how}")
    by_signal = signal.map({LIKE: "like", DISLIKE: "rating", SEEN: "watch"}).astype("str")
    kind = kind.fillna(by_signal.mask(value.notna(), "rating"))
    reason = check.choice("reason", tuple(DislikeReason))
    check.refuse(reason.notna() & (signal != DISLIKE), "reason belongs to a dislike only", "reason")
    return signal, kind, reason
