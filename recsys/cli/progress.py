"""A progress bar for commands that take a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.cli.output import err

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar() -> Progress:
    """A progress bar on stderr; silent where stderr is no terminal.

    Standard output stays what the command prints, so `--json` may be piped while the bar moves.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<26}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
