"""The imports: read and check everything first, then write it in batches.

Every import may be repeated and interrupted: what is stored already is recognised by its keys, each batch is one
transaction, and the same command finishes what an earlier one began. What is stored is never changed: another choice of
thresholds does not relabel rows of an earlier import.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recsys.errors import InputError
from recsys.ingest import movielens, movietweetings, tabular
from recsys.ingest.parsed import DISLIKE, LIKE, SEEN, Parsed, Thresholds
from recsys.ingest.writing import Watch, Written, placeholders_of, write
from recsys.store import FeedbackStore


@dataclass(frozen=True)
class ImportOptions:
    """How an import treats what it reads.

    Attributes:
        like_at_least: ratings from here on are likes; None: the format's own threshold.
        dislike_at_most: ratings up to here are dislikes; None: the format's own threshold.
        skip_bad_rows: write the good rows of a file that has bad ones; otherwise nothing is written then.
        dry_run: check everything and write nothing.
        rows_per_batch: rows per transaction, at least 1.
        now: time of the import, for the history of what may be recommended; None keeps none.
    """

    like_at_least: float | None = None
    dislike_at_most: float | None = None
    skip_bad_rows: bool = False
    dry_run: bool = False
    rows_per_batch: int = 5_000
    now: datetime | None = None

    def __post_init__(self) -> None:
        if self.rows_per_batch < 1:
            raise InputError(f"Rows per batch: expected 1 or more, came {self.rows_per_batch}; leave it out.")


@dataclass(frozen=True)
class ImportReport:
    """What an import found and wrote.

    Attributes:
        source: the format.
        num_items: items in the files, placeholders not counted.
        num_placeholders: items that only feedback names, unknown to the files and to the catalog.
        num_likes: likes in the files, repeats not counted; so are the next two.
        num_seen: signals that are neither like nor dislike.
        num_dislikes: dislikes.
        num_new: feedback rows that were not stored before; 0 in a dry run.
        num_new_items: items that were new or changed; 0 in a dry run.
        num_bad: rows left out.
        first_at: the earliest `occurred_at`; None without feedback.
        last_at: the latest.
        seconds: how long it took.
        ignored_columns: columns of the files that nothing reads.
        is_dry_run: nothing was written.
    """

    source: str
    num_items: int
    num_placeholders: int
    num_likes: int
    num_seen: int
    num_dislikes: int
    num_new: int
    num_new_items: int
    num_bad: int
    first_at: datetime | None
    last_at: datetime | None
    seconds: float
    ignored_columns: tuple[str, ...] = ()
    is_dry_run: bool = False


def import_movietweetings(
    store: FeedbackStore, folder: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a MovieTweetings folder; rating >= 8 is a like, <= 5 a dislike.

    Raises:
        InputError: if a file cannot be read or has bad rows and they are not to be skipped; nothing is written then.
    """
    options = options or ImportOptions()
    thresholds = _with_defaults(options, movietweetings.DEFAULT_THRESHOLDS)
    return _import(store, lambda: movietweetings.read_movietweetings(folder, thresholds), options, watch)


def import_movielens(
    store: FeedbackStore, folder: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a MovieLens folder of either style; rating >= 4 is a like, <= 2 a dislike.

    Raises:
        InputError: as `import_movietweetings`.
    """
    options = options or ImportOptions()
    thresholds = _with_defaults(options, movielens.DEFAULT_THRESHOLDS)
    return _import(store, lambda: movielens.read_movielens(folder, thresholds), options, watch)


def import_interactions(
    store: FeedbackStore, file: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a CSV or Parquet file of interactions; `recsys.ingest.tabular` documents the columns.

    Raises:
        InputError: as `import_movietweetings`.
    """
    options = options or ImportOptions()
    thresholds = _both_or_none(options)
    return _import(store, lambda: tabular.read_interactions(file, thresholds), options, watch)


def import_items(
    store: FeedbackStore, file: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a CSV or Parquet file of items; `recsys.ingest.tabular` documents the columns.

    Raises:
        InputError: as `import_movietweetings`.
    """
    return _import(store, lambda: tabular.read_items(file), options or ImportOptions(), watch)


def _import(
    store: FeedbackStore, read: Callable[[], Parsed], options: ImportOptions, watch: Watch | None
) -> ImportReport:
    started = time.monotonic()
    parsed = read()
    if not options.skip_bad_rows:
        parsed.require_good()
    placeholders = placeholders_of(parsed, store)
    written = Written()
    if not options.dry_run:
        written = write(parsed, placeholders, store, options.rows_per_batch, watch, options.now)
    counts = parsed.feedback["signal"].value_counts()
    times = parsed.feedback["occurred_at"]
    return ImportReport(
        source=parsed.source,
        num_items=len(parsed.items),
        num_placeholders=len(placeholders),
        num_likes=int(counts.get(LIKE, 0)),
        num_seen=int(counts.get(SEEN, 0)),
        num_dislikes=int(counts.get(DISLIKE, 0)),
        num_new=written.num_feedback,
        num_new_items=written.num_items,
        num_bad=parsed.num_bad,
        first_at=times.min().to_pydatetime() if len(times) else None,
        last_at=times.max().to_pydatetime() if len(times) else None,
        seconds=time.monotonic() - started,
        ignored_columns=parsed.ignored_columns,
        is_dry_run=options.dry_run,
    )


def _with_defaults(options: ImportOptions, default: Thresholds) -> Thresholds:
    return Thresholds(
        default.like_at_least if options.like_at_least is None else options.like_at_least,
        default.dislike_at_most if options.dislike_at_most is None else options.dislike_at_most,
    )


def _both_or_none(options: ImportOptions) -> Thresholds | None:
    like, dislike = options.like_at_least, options.dislike_at_most
    if like is None and dislike is None:
        return None
    if like is None or dislike is None:
        raise InputError(
            "One threshold alone says nothing about the other side.\n"
            "expected: both --like-at-least and --dislike-at-most, or neither\n"
            f"came: like at least {like}, dislike at most {dislike}\nWhat to do: give the other one too."
        )
    return Thresholds(like, dislike)
