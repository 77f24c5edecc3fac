"""Commands about the home folder as a whole: where it is, and how large."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recsys.home import moving
from recsys.settings import Settings

out = Console()
home = typer.Typer(no_args_is_help=True)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@home.command("move")
def move(
    new_folder: Annotated[Path, typer.Argument(help="Where the home folder goes; there must be nothing yet.")],
    dry_run: DryRun = False,
) -> None:
    """Move RECSYS_HOME, and rewrite the paths that MLflow, Airflow and logs keep in it.

    Stop what uses it first (`make down`). Killed half-way, the same command finishes. A database that is not in the folder,
    PostgreSQL or an MLflow server, is left alone.
    """
    settings = Settings.from_environment()
    new = new_folder.expanduser().resolve()
    with moving.unused(settings.home, settings, datetime.now(UTC)):
        moved = moving.move_home(settings.home, new, writes=not dry_run)
    _show(moved, settings, dry_run)
    if not dry_run:
        out.print(f"From now on: export RECSYS_HOME='{new}'", soft_wrap=True, markup=False)


@home.command("repair")
def repair(
    old_folder: Annotated[
        Path | None, typer.Option("--from", help="Where it was. Default: where its MLflow store was made.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Rewrite the paths in RECSYS_HOME after it was moved or copied by other means, such as mv, or from a backup."""
    settings = Settings.from_environment()
    old = None if old_folder is None else Path(old_folder.expanduser().absolute())
    with moving.unused(settings.home, settings, datetime.now(UTC)):
        moved = moving.repair_home(settings.home, old, writes=not dry_run)
    _show(moved, settings, dry_run)


def _show(moved: moving.Moved, settings: Settings, dry_run: bool) -> None:
    done = moved.rewritten
    out.print(f"from       {moved.old}", soft_wrap=True, markup=False)
    out.print(f"to         {moved.new}", soft_wrap=True, markup=False)
    verb = "would be rewritten" if dry_run else "rewritten"
    out.print(f"paths      in {done.files} files and {done.rows} database values {verb}", soft_wrap=True)
    for path in done.left:
        out.print(f"not text   {path} mentions the old path and was left as it is", soft_wrap=True, markup=False)
    for line in left_alone(settings, moved.old, moved.new):
        out.print(line, soft_wrap=True, markup=False)


def left_alone(settings: Settings, old: Path, new: Path) -> list[str]:
    """What does not move with the folder, and what to do about it."""
    lines = []
    for variable, url, what in (
        ("RECSYS_DATABASE_URL", settings.database_url, "the feedback database"),
        ("MLFLOW_TRACKING_URI", settings.tracking_uri, "MLflow"),
    ):
        if not any(moving.is_under(url, folder) for folder in (old, new)):
            lines.append(f"left alone {what}: {variable} names another one than the folder's own")
    return lines


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    app.add_typer(home, name="home", help="The folder of everything that is kept: move it, or repair it after a move.")
