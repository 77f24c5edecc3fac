"""Commands that look, and those that keep the database."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.explained import contribution_rows, counterfactual_sentences, titles_of_reasons
from recsys.errors import NotFoundError
from recsys.nightly.planning import DEFAULT_THRESHOLD
from recsys.nightly.workplace import Workplace
from recsys.serving.lists import without_barred
from recsys.settings import Settings
from recsys.store import migrate

LIST_LENGTH = 10  # of the published entries, so many are shown

out = Console()
db = typer.Typer(no_args_is_help=True)


@db.command("upgrade")
def upgrade() -> None:
    """Create the database, or bring its tables up to date. Safe to run again."""
    settings = Settings.from_environment()
    migrate(settings.database_url)
    out.print("Feedback database is up to date.")


def status() -> None:
    """Backlog, who holds claimed dislikes, champion and the last decision."""
    with Workplace.open() as place:
        backlog = place.store.count_backlog(datetime.now(UTC))
        holder = place.store.find_open_batch()
        promotion = place.store.last_promotion()
        decisions = place.store.list_decisions(limit=1)
        shifts = place.store.list_stream_shifts()
    out.print(f"backlog    {backlog} new dislikes (threshold {DEFAULT_THRESHOLD})")
    if holder is not None:
        since = f"{holder.claimed_at:%Y-%m-%d %H:%M} UTC"
        out.print(f"claimed    {holder.num_examples} dislikes by run {holder.batch_id}, since {since}", soft_wrap=True)
    out.print(f"champion   {'none' if promotion is None else 'version ' + promotion.to_version}")
    for decision in decisions:
        out.print(f"last       {decision.run_id} {decision.step}: {decision.verdict}. {' '.join(decision.reasons)}")
    for shift in shifts:
        moved = f"{shift.source} {shift.file_name}: all times moved by {shift.shift_days:+,} days"
        out.print(f"stream     {moved}", soft_wrap=True, markup=False)
    out.print(f"home       {Settings.from_environment().home}")


def recommend(
    user_id: str = typer.Argument(help="A user's id; one without a list gets the list for newcomers."),
    contributions: bool = typer.Option(False, "--contributions", help="Show every signed term of each score."),
    counterfactuals: bool = typer.Option(
        False,
        "--counterfactuals",
        help="Show where each item would rank without those of the user's items that count most for it. Loads the model.",
    ),
) -> None:
    """The champion's list for a user, with reasons: what of it may be recommended now.

    A score is the sum of its contributions: --contributions shows which of the user's likes and dislikes raised (+) or
    lowered (-) it, and by how much. --counterfactuals scores every item again without one of the user's items: "Without
    Alien it would be rank 34".
    """
    with Workplace.open() as place:
        lists = place.store.served_lists(user_id)
        found = None if lists is None else lists.own or lists.strangers
        if found is None:
            raise NotFoundError(
                "Expected published recommendations, found none: run `recsys run` until a version is promoted."
            )
        found = without_barred(place.store, user_id, found, datetime.now(UTC))
        catalog = place.store.catalog()
        champion = place.store.last_promotion()
        shown = found.entries[:LIST_LENGTH]
        titles = titles_of_reasons(place, shown)
        without = counterfactual_sentences(place, found, LIST_LENGTH) if counterfactuals else {}
    whose = f"user {user_id}" if found.user_id else f"newcomers (user {user_id} has no list of their own)"
    table = Table("#", "item", "score", "reason", title=f"For {whose}, model version {found.model_version}")
    for entry in shown:
        title = catalog[entry.item_id].title if entry.item_id in catalog else f'"{entry.item_id}"'
        reason = entry.reason
        if contributions:
            reason += "\n" + "\n".join(contribution_rows(entry.contributions, titles))
        if entry.item_id in without:
            reason += "\n" + without[entry.item_id]
        table.add_row(str(entry.rank), title, f"{entry.score:.4f}", reason)
    out.print(table)
    if champion is not None and champion.to_version != found.model_version:
        out.print(f"Version {champion.to_version} is champion; its lists are not published yet.")


def release(
    batch_id: str = typer.Argument(help="The run that holds the backlog; `recsys run` names it when it is refused."),
) -> None:
    """Give back the backlog that a dead run still holds; after six hours the next run takes it over by itself."""
    with Workplace.open() as place:
        batch = place.store.release_batch(batch_id, datetime.now(UTC))
    out.print(f"Batch {batch.batch_id} is {batch.status}.")


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    for command in (status, recommend, release):
        app.command()(command)
