"""The command line. `recsys --help` is the tour."""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from typer.core import TyperGroup

from recsys.errors import ConflictError, InputError, RecsysError, TransientError, is_disk_full

EXIT_CODES = {InputError: 2, ConflictError: 3, TransientError: 75}  # 75: EX_TEMPFAIL, try again later
errors = Console(stderr=True)


class Group(TyperGroup):
    """Turns errors of this package into one block on stderr and an exit code; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except RecsysError as error:
            raise told(error) from error
        except OSError as error:
            raise told(_as_ours(error)) from error


def told(error: RecsysError) -> typer.Exit:
    """Prints an error; gives the exit that goes with it."""
    errors.print(Panel(Text(str(error)), title=type(error).__name__, border_style="red", title_align="left"))
    return typer.Exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))


def _as_ours(error: OSError) -> RecsysError:
    if is_disk_full(error):
        return TransientError(
            f"Expected room to write, but the disk is full ({error}). Nothing half-written is used: free space and run the "
            "same command again."
        )
    return InputError(f"Expected to read and write files, but: {error}. Check the path and who may use it.")


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""
A nightly loop that turns thumbs-down into a better, explainable recommender.

The tour: **recsys db upgrade** makes the database, **recsys import movietweetings data/movietweetings** fills it,
**recsys run --as-of 2013-06-12 --force "first champion"** makes a first champion, **recsys run --as-of 2013-06-14** runs
a night, **recsys recommend USER** shows what a user gets and why, **recsys status** and **recsys decisions** tell what
happened, **recsys models** who was champion when; **recsys rollback** makes an earlier one champion again.
**recsys api-key create** and **recsys serve** let your product send dislikes. `make up` starts Airflow and MLflow, which do
the same every night.

Everything is kept under `RECSYS_HOME` (in a checkout: `var/`), unless `RECSYS_DATABASE_URL` and `MLFLOW_TRACKING_URI`
say otherwise. Exit codes: 0 done, 1 failed, 2 wrong input, 3 somebody else holds it, 75 try again later.
""",
)


@app.callback()
def main(verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what the libraries say, too.")) -> None:
    """Sets up logging: our own words on stderr, the libraries' only when asked for."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s"
    )


from recsys.cli import care, catalog, champions, decided, home, imports, insight, loop, serve, show  # noqa: E402 - the commands hang themselves on `app`

app.add_typer(imports.app, name="import", help="Bring in a stream: items, interactions and dislikes.")
app.add_typer(catalog.items, name="items", help="The catalog, and what of it may be recommended.")
app.add_typer(catalog.exclusions, name="exclusions", help="What users want to see no more.")
app.add_typer(show.db, name="db", help="The feedback database.")
show.register(app)
decided.register(app)
champions.register(app)
care.register(app)
loop.register(app)
serve.register(app)
insight.register(app)
home.register(app)
