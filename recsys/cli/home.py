"""Commands about the home folder as a whole: where it is, and how large."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json
from recsys.cli.output import print_json_lines, say, show, table
from recsys.config.monitoring import MonitoringConfig
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.home import moving

home = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The folder of everything that is kept: move it, or repair it after a move.",
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@home.command("move")
def move(
    new_folder: Annotated[Path, typer.Argument(help="Where the home folder goes; there must be nothing yet.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Move RECSYS_HOME, and rewrite the paths that MLflow, Airflow and logs keep in it.

    Stop what uses it first (`make down`). If it is interrupted, the same command finishes. A database that is not in the
    folder, PostgreSQL or an MLflow server, is left alone.
    """
    from recsys.home import moving

    settings = Settings.from_environment()
    new = new_folder.expanduser().resolve()
    with moving.unused(settings.home, settings, datetime.now(UTC)):
        moved = moving.move_home(settings.home, new, writes=not dry_run)
    _show(moved, settings, dry_run, as_json)
    if not (dry_run or as_json):
        say(f"From now on: export RECSYS_HOME='{new}'")


@home.command("repair")
def repair(
    old_folder: Annotated[
        Path | None, typer.Option("--from", help="Where it was. Default: where its MLflow store was made.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Rewrite the paths in RECSYS_HOME after it was moved or copied by other means, such as mv, or from a backup."""
    from recsys.home import moving

    settings = Settings.from_environment()
    old = None if old_folder is None else Path(old_folder.expanduser().absolute())
    with moving.unused(settings.home, settings, datetime.now(UTC)):
        moved = moving.repair_home(settings.home, old, writes=not dry_run)
    _show(moved, settings, dry_run, as_json)


def _show(moved: moving.Moved, settings: Settings, dry_run: bool, as_json: bool) -> None:
    done = moved.rewritten
    if as_json:
        print_json_lines([{**asdict(moved), "is_dry_run": dry_run}])
        return
    say(f"from       {moved.old}")
    say(f"to         {moved.new}")
    verb = "would be rewritten" if dry_run else "rewritten"
    say(f"paths      in {done.files} files and {done.rows} database values {verb}")
    for path in done.left:
        say(f"not text   {path} mentions the old path and was left as it is")
    for line in left_alone(settings, moved.old, moved.new):
        say(line)


def left_alone(settings: Settings, old: Path, new: Path) -> list[str]:
    """What does not move with the folder, and what to do about it."""
    from recsys.home import moving

    lines = []
    for variable, url, what in (
        ("RECSYS_DATABASE_URL", settings.database_url, "the feedback database"),
        ("MLFLOW_TRACKING_URI", settings.tracking_uri, "MLflow"),
    ):
        if not any(moving.is_under(url, folder) for folder in (old, new)):
            lines.append(f"left alone {what}: {variable} names another one than the folder's own")
    return lines


def show_storage(
    days: Annotated[float, typer.Option(help="Age of files that pruning removes.")] = MonitoringConfig.keep_files_days,
    as_json: Json = False,
) -> None:
    """What lies in RECSYS_HOME, how large it is, and what pruning would free.

    Pruning is a task of the DAG `feedback_monitoring`. Nothing is removed here.
    """
    from recsys.home import storage
    from recsys.pipeline.monitoring import pruning
    from recsys.store import FeedbackStore

    settings = Settings.from_environment()
    with FeedbackStore.open(settings.database_url) as store:
        kinds = storage.measure_home(settings, store)
        unneeded = pruning.find_unneeded(settings, store, datetime.now(UTC), days)
    versions = storage.version_sizes(settings)
    if as_json:
        prunable = {"num_runs": len(unneeded.of_runs), "num_bytes": unneeded.num_bytes, "days": days}
        found = {"home": str(settings.home), "kinds": [asdict(kind) for kind in kinds], "versions": versions}
        print_json_lines([{**found, "prunable": prunable}])
        return
    listed = table("what", "number", "size", title=str(settings.home), right=["number", "size"])
    for kind in kinds:
        if kind.num_bytes or kind.num:
            listed.add_row(kind.name, _counted(kind.num, kind.unit), format_size(kind.num_bytes))
    listed.add_section()
    listed.add_row("all", "", format_size(sum(kind.num_bytes for kind in kinds)))
    show(listed)
    if versions:
        largest = max(versions, key=lambda version: versions[version])
        mean = format_size(sum(versions.values()) // len(versions))
        say(f"A model version takes {mean} on average; the largest, {largest}, {format_size(versions[largest])}.")
    where = f"{_counted(len(unneeded.of_runs), 'run') or 'no run'}, {len(unneeded.scratch)} left by killed processes"
    say(f"Pruning files older than {days:g} days would free {format_size(unneeded.num_bytes)} ({where}).")


def _counted(num: int, unit: str) -> str:
    return f"{num:,} {unit}{'s' * (num != 1)}" if num else ""


def format_size(num_bytes: int) -> str:
    """A size for people, in MB or GB of 1000."""
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"
