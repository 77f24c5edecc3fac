"""The command line. `recsys --help` is the tour."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys import __version__
from recsys.cli.group import Group

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""
A nightly loop that turns thumbs-down into a better, explainable recommender.

The tour: **recsys db upgrade** makes the database, **recsys import movietweetings data/movietweetings** fills it,
**recsys run --as-of 2013-06-12 --force "first champion"** makes a first champion, **recsys run --as-of 2013-06-14** runs
a night. **recsys users** and **recsys items** list who and what there is, **recsys recommend USER** shows what a user gets
and why, **recsys dislike USER ITEM** records a thumbs-down, **recsys undo USER --last** takes it back. **recsys status**
and **recsys decisions** show what happened, **recsys models** who was champion when; **recsys rollback** makes an earlier
one champion again. **recsys api-key create** and **recsys serve** let your product send dislikes. `make up` starts Airflow
and MLflow, which do the same every night.

Everywhere: `--json` prints JSON lines, one object a line and nothing else, without it a command prints text for people;
`-k` says how many rows of a list to show; times are UTC.

Everything is kept under `RECSYS_HOME` (in a checkout: `var/`), unless `RECSYS_DATABASE_URL` and `MLFLOW_TRACKING_URI`
say otherwise. Exit codes: 0 done, 1 failed, 2 wrong input, 3 somebody else holds it, 75 try again later.
""",
)


def _version(is_wanted: bool) -> None:
    if is_wanted:
        from recsys.cli.output import say

        say(f"recsys {__version__}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the libraries say, too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Sets up logging: our own words on stderr, the libraries' only when asked for. What is written is private."""
    import logging
    import sys
    from pathlib import Path

    from recsys.files.private import keep_private
    from recsys.foreign_text import log_to_stderr
    from recsys.settings import Settings

    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(
            str(Path.cwd())
        )  # where a model family of one's own may lie; last, so that nothing is hidden by it
    keep_private(Settings.from_environment().home)
