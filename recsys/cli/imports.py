"""`recsys import`: ratings, interactions and items from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json
from recsys.cli.output import count_of, print_json_lines, say_aside, seconds, show, table

if TYPE_CHECKING:
    from recsys.cli.output import Listed
    from recsys.ingest import ImportOptions, ImportReport, ShiftRequest
    from recsys.ingest.writing import Watch
    from recsys.store import FeedbackStore

    Importer = Callable[[FeedbackStore, Path, ImportOptions, Watch | None], ImportReport]

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Import ratings, interactions and items. Everything is checked before anything is written; the same import "
    "may be repeated and, when interrupted, run again: rows that are stored already are recognised and never changed.",
)

Folder = Annotated[Path, typer.Argument(help="Folder that holds the files.", show_default=False)]
File = Annotated[Path, typer.Argument(help="File named .csv (UTF-8, with a header) or .parquet.", show_default=False)]
LikeAtLeast = Annotated[
    float | None, typer.Option(help="Ratings from here on are likes.", show_default="the format's own")
]
DislikeAtMost = Annotated[
    float | None, typer.Option(help="Ratings up to here are dislikes.", show_default="the format's own")
]
NO_THRESHOLD = "none: rows need a label"
LikeValue = Annotated[
    float | None, typer.Option("--like-at-least", help="Values from here on are likes.", show_default=NO_THRESHOLD)
]
DislikeValue = Annotated[
    float | None, typer.Option("--dislike-at-most", help="Values up to here are dislikes.", show_default=NO_THRESHOLD)
]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and write the rest. Otherwise nothing is written.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be written, write nothing.")]
EndsOn = Annotated[
    datetime | None,
    typer.Option(
        "--ends-on",
        formats=["%Y-%m-%d"],
        help="Move the stream in time by whole days, so that its last event falls on this day (UTC), such as 2026-11-27. "
        "Only into a store without other feedback. The shift is kept: the same import again moves alike.",
        show_default="not moved, or as kept",
    ),
]
ShiftDays = Annotated[
    int | None,
    typer.Option(
        "--shift-days",
        help="The same as --ends-on, as a number of days to add to all times.",
        show_default="not moved, or as kept",
    ),
]
BringBack = Annotated[
    bool,
    typer.Option(
        "--bring-back",
        help="Bring users of the files back who were erased; the audit names the import. Otherwise their rows are left out.",
    ),
]


@app.command("movietweetings")
def movietweetings(
    folder: Folder,
    like_at_least: LikeAtLeast = None,
    dislike_at_most: DislikeAtMost = None,
    skip_bad_rows: SkipBadRows = False,
    dry_run: DryRun = False,
    ends_on: EndsOn = None,
    shift_days: ShiftDays = None,
    bring_back: BringBack = False,
    as_json: Json = False,
) -> None:
    """Import a MovieTweetings folder: ratings.dat and movies.dat.

    Rating >= 8 is a like, <= 5 a dislike, between only seen. A rating counts as recorded when it occurred.
    """
    from recsys import ingest

    options = ingest.ImportOptions(
        like_at_least, dislike_at_most, skip_bad_rows, dry_run, shift=_shift(ends_on, shift_days), bring_back=bring_back
    )
    run_import(ingest.import_movietweetings, folder, options, as_json)


@app.command("movielens")
def movielens(
    folder: Folder,
    like_at_least: LikeAtLeast = None,
    dislike_at_most: DislikeAtMost = None,
    skip_bad_rows: SkipBadRows = False,
    dry_run: DryRun = False,
    ends_on: EndsOn = None,
    shift_days: ShiftDays = None,
    bring_back: BringBack = False,
    as_json: Json = False,
) -> None:
    """Import a MovieLens folder: ml-latest and ml-25m (.csv) or ml-1m and ml-10m (.dat).

    Rating >= 4 is a like, <= 2 a dislike, between only seen. links.csv, where present, gives TMDB and IMDb ids. A
    rating counts as recorded when it occurred.
    """
    from recsys import ingest

    options = ingest.ImportOptions(
        like_at_least, dislike_at_most, skip_bad_rows, dry_run, shift=_shift(ends_on, shift_days), bring_back=bring_back
    )
    run_import(ingest.import_movielens, folder, options, as_json)


@app.command("interactions")
def interactions(
    file: File,
    like_at_least: LikeValue = None,
    dislike_at_most: DislikeValue = None,
    skip_bad_rows: SkipBadRows = False,
    dry_run: DryRun = False,
    ends_on: EndsOn = None,
    shift_days: ShiftDays = None,
    bring_back: BringBack = False,
    as_json: Json = False,
) -> None:
    """Import likes, dislikes, ratings, clicks and watches from CSV or Parquet.

    Needed columns: user_id, item_id, occurred_at (ISO 8601, UTC without an offset, or unix seconds).

    Optional: label (like, dislike, seen); value (a number, labelled by both thresholds where label is empty); kind
    (rating, click, watch, like); reason of a dislike (wrong_genre, poor_quality, not_interested, tired_of_franchise,
    already_watched, unspecified); recorded_at (default occurred_at: an import replays the stream as it was recorded).

    Items that the catalog does not know become placeholders; import items gives them a title later.
    """
    from recsys import ingest

    options = ingest.ImportOptions(
        like_at_least, dislike_at_most, skip_bad_rows, dry_run, shift=_shift(ends_on, shift_days), bring_back=bring_back
    )
    run_import(ingest.import_interactions, file, options, as_json)


@app.command("items")
def items(file: File, skip_bad_rows: SkipBadRows = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Import the catalog from CSV or Parquet.

    Needed columns: item_id, title. Optional: genres and cast (separated by |, or Parquet lists), franchise,
    release_year, tmdb_id, imdb_id, tags (as genres), and when an item may be recommended: available_from, available_until
    (ISO 8601 or unix seconds, UTC), is_hidden (true or false). What a file leaves empty keeps its stored value.
    """
    from recsys import ingest

    options = ingest.ImportOptions(skip_bad_rows=skip_bad_rows, dry_run=dry_run)
    run_import(ingest.import_items, file, options, as_json)


def run_import(importer: Importer, path: Path, options: ImportOptions, as_json: bool = False) -> ImportReport:
    """Runs one import on the store of the environment with a progress bar, prints its report and returns it."""
    from dataclasses import asdict

    from recsys.settings import Settings
    from recsys.store import FeedbackStore

    try:
        with FeedbackStore.open(Settings.from_environment().database_url) as store, progress_bar() as watch:
            report = importer(store, path, options, watch)
    except KeyboardInterrupt:
        say_aside(
            "Interrupted. Whole batches are stored, nothing is half-written; run the same command again to finish."
        )
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json_lines([asdict(report)])
    else:
        show(report_table(report))
    return report


def _shift(ends_on: datetime | None, shift_days: int | None) -> ShiftRequest:
    from recsys.ingest import ShiftRequest

    return ShiftRequest(None if ends_on is None else ends_on.date(), shift_days)


@contextmanager
def progress_bar() -> Iterator[Watch]:
    """Gives the function that moves the bar."""
    from recsys.cli.progress import counting_bar

    with counting_bar() as progress:
        task = progress.add_task("checking", total=None)
        yield lambda done, total: progress.update(task, description="writing", completed=done, total=total)


def report_table(report: ImportReport) -> Listed:
    """The report as a table for people."""
    verb = "would be" if report.is_dry_run else "are"
    listed = table("what", "number", title=report.source, right=["number"])
    listed.show_header = False
    rows: list[tuple[str, str]] = [("items", f"{report.num_items:,}")]
    if report.num_placeholders:
        rows.append(("placeholder items, known from feedback only", f"{report.num_placeholders:,}"))
    if report.source != "items":
        rows += [("likes", f"{report.num_likes:,}"), ("seen", f"{report.num_seen:,}")]
        rows.append(("dislikes", f"{report.num_dislikes:,}"))
    if report.is_dry_run:
        rows.append(("written", "nothing: dry run"))
    else:
        rows += [("new or changed items", f"{report.num_new_items:,}"), ("new feedback", f"{report.num_new:,}")]
    if report.num_bad:
        rows.append((f"bad rows that {verb} left out", f"{report.num_bad:,}"))
    rows += _erased(report, verb)
    if report.first_at and report.last_at:
        rows.append(("from", f"{report.first_at:%Y-%m-%d %H:%M:%S} UTC"))
        rows.append(("to", f"{report.last_at:%Y-%m-%d %H:%M:%S} UTC"))
    if report.shift_days:
        rows.append((f"days by which all times {verb} moved", f"{report.shift_days:+,}"))
    if report.ignored_columns:
        more = report.num_ignored_columns - len(report.ignored_columns)
        named = ", ".join(report.ignored_columns) + (f" and {more:,} more" if more else "")
        rows.append(("columns not read", named))
    rows.append(("time", seconds(report.seconds)))
    for row in rows:
        listed.add_row(*row)
    return listed


def _erased(report: ImportReport, verb: str) -> Iterator[tuple[str, str]]:
    """What became of the rows of erased users."""
    if report.num_erased_rows:
        users = count_of(report.num_erased_users, "erased user")
        yield f"rows of {users} that {verb} left out", f"{report.num_erased_rows:,}"
    if report.num_brought_back:
        yield "erased users who are brought back", f"{report.num_brought_back:,}"
