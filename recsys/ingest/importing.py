"""The imports: read and check everything first, then write it in batches.

Every import may be repeated and interrupted: what is stored already is recognised by its keys, each batch is one
transaction, and the same command finishes what an earlier one began. What is stored is never changed: another choice of
thresholds does not relabel rows of an earlier import.

A stream is replayed as it was recorded: `recorded_at` of a row is when that happened, by default its `occurred_at`. When
the row came here stands in `imported_at`, by the wall clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recsys.errors import InputError
from recsys.foreign_text import shortened
from recsys.ingest import movielens, movietweetings, tabular
from recsys.ingest.erased import bring_back, erased_users, without
from recsys.ingest.parsed import DISLIKE, LIKE, SEEN, Parsed, Thresholds
from recsys.ingest.shift import ShiftRequest, choose_days, move
from recsys.ingest.writing import Watch, Written, placeholders_of, write
from recsys.store import FeedbackStore
from recsys.store.stream_shifts import StreamShift

# How far ahead of this machine's clock an event may lie: times without an offset are taken for UTC, and may be local ones.
MAX_AHEAD = timedelta(days=1)
MAX_COLUMNS = 20  # that nothing reads and that are named


@dataclass(frozen=True)
class ImportOptions:
    """How an import treats what it reads.

    Attributes:
        like_at_least: ratings from here on are likes; None: the format's own threshold.
        dislike_at_most: ratings up to here are dislikes; None: the format's own threshold.
        skip_bad_rows: write the good rows of a file that has bad ones; otherwise nothing is written then.
        dry_run: check everything and write nothing.
        rows_per_batch: rows per transaction, at least 1.
        shift: whether the stream is moved in time.
        imported_at: wall clock that is written to the rows; None: now. What is more than a day later is refused.
        bring_back: users of the files who were erased are brought back; otherwise their rows are left out.
    """

    like_at_least: float | None = None
    dislike_at_most: float | None = None
    skip_bad_rows: bool = False
    dry_run: bool = False
    rows_per_batch: int = 5_000
    shift: ShiftRequest = field(default_factory=ShiftRequest)
    imported_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    bring_back: bool = False

    @property
    def latest(self) -> datetime:
        """No event may be later, before and after the shift."""
        return self.imported_at + MAX_AHEAD

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
        first_at: the earliest `occurred_at`, after the shift; None without feedback.
        last_at: the latest.
        shift_days: by how many days all times were moved; 0: not at all.
        seconds: how long it took.
        ignored_columns: columns of the files that nothing reads, the first 20.
        num_ignored_columns: how many there are.
        is_dry_run: nothing was written.
        num_erased_users: users of the files who were erased, and whose rows were left out.
        num_erased_rows: those rows.
        num_brought_back: users who were erased until this import.
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
    shift_days: int = 0
    num_ignored_columns: int = 0
    num_erased_users: int = 0
    num_erased_rows: int = 0
    num_brought_back: int = 0


def import_movietweetings(
    store: FeedbackStore, folder: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a MovieTweetings folder; rating >= 8 is a like, <= 5 a dislike.

    Raises:
        InputError: if a file cannot be read, has bad rows and they are not to be skipped, or cannot be moved in time as
            asked; nothing is written then.
    """
    options = options or ImportOptions()
    thresholds = _with_defaults(options, movietweetings.DEFAULT_THRESHOLDS)
    return _import(
        store, lambda: movietweetings.read_movietweetings(folder, thresholds, options.latest), folder, options, watch
    )


def import_movielens(
    store: FeedbackStore, folder: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a MovieLens folder of either style; rating >= 4 is a like, <= 2 a dislike.

    Raises:
        InputError: as `import_movietweetings`.
    """
    options = options or ImportOptions()
    thresholds = _with_defaults(options, movielens.DEFAULT_THRESHOLDS)
    return _import(store, lambda: movielens.read_movielens(folder, thresholds, options.latest), folder, options, watch)


def import_interactions(
    store: FeedbackStore, file: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a CSV or Parquet file of interactions; `recsys.ingest.tabular` documents the columns.

    Raises:
        InputError: as `import_movietweetings`.
    """
    options = options or ImportOptions()
    thresholds = _both_or_none(options)
    return _import(store, lambda: tabular.read_interactions(file, thresholds, options.latest), file, options, watch)


def import_items(
    store: FeedbackStore, file: Path, options: ImportOptions | None = None, watch: Watch | None = None
) -> ImportReport:
    """Imports a CSV or Parquet file of items; `recsys.ingest.tabular` documents the columns.

    Raises:
        InputError: as `import_movietweetings`.
    """
    return _import(store, lambda: tabular.read_items(file), file, options or ImportOptions(), watch)


def _import(
    store: FeedbackStore, read: Callable[[], Parsed], path: Path, options: ImportOptions, watch: Watch | None
) -> ImportReport:
    started, imported_at = time.monotonic(), options.imported_at
    parsed = read()
    if not options.skip_bad_rows:
        parsed.require_good()
    shift = _shift_of(store, parsed, path, options.shift, imported_at)
    parsed = move(parsed, shift.shift_days, options.latest)
    erased = erased_users(parsed, store)
    left = parsed if options.bring_back else without(parsed, erased)
    placeholders, written, num_back = placeholders_of(left, store), Written(), 0
    if not options.dry_run:
        _keep(store, shift)
        if options.bring_back:
            num_back = bring_back(store, erased, f"import of {path.resolve().name}", imported_at)
        written = write(left, placeholders, store, imported_at, options.rows_per_batch, watch)
    report = _report(parsed, len(placeholders), written, time.monotonic() - started)
    return replace(
        report,
        is_dry_run=options.dry_run,
        shift_days=shift.shift_days,
        num_erased_users=len(written.erased if options.bring_back else erased | written.erased),
        num_erased_rows=len(parsed.feedback) - len(left.feedback) + written.num_of_erased,
        num_brought_back=num_back,
    )


def _report(parsed: Parsed, num_placeholders: int, written: Written, seconds: float) -> ImportReport:
    counts = parsed.feedback["signal"].value_counts()
    times = parsed.feedback["occurred_at"]
    return ImportReport(
        source=parsed.source,
        num_items=len(parsed.items),
        num_placeholders=num_placeholders,
        num_likes=int(counts.get(LIKE, 0)),
        num_seen=int(counts.get(SEEN, 0)),
        num_dislikes=int(counts.get(DISLIKE, 0)),
        num_new=written.num_feedback,
        num_new_items=written.num_items,
        num_bad=parsed.num_bad,
        first_at=times.min().to_pydatetime() if len(times) else None,
        last_at=times.max().to_pydatetime() if len(times) else None,
        seconds=seconds,
        ignored_columns=tuple(shortened(name) for name in parsed.ignored_columns[:MAX_COLUMNS]),
        num_ignored_columns=len(parsed.ignored_columns),
    )


def _shift_of(
    store: FeedbackStore, parsed: Parsed, path: Path, request: ShiftRequest, imported_at: datetime
) -> StreamShift:
    name, kept = path.resolve().name, store.stream.list_stream_shifts()
    days = choose_days(parsed.source, name, request.days_for(parsed), kept, has_feedback=store.stream.has_feedback())
    return StreamShift(parsed.source, name, days, imported_at)


def _keep(store: FeedbackStore, shift: StreamShift) -> None:
    """Before the first row is written. A file that stays where it is needs a record only beside one that was moved."""
    if shift.shift_days or any(one.source == shift.source for one in store.stream.list_stream_shifts()):
        store.stream.keep_stream_shift(shift)


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
