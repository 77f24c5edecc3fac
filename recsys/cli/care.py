"""Commands of whoever looks after the data: held-back dislikes, erased users."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from recsys.nightly.workplace import Workplace
from recsys.settings import Settings
from recsys.store.erasures import Erasure

out = Console()
brigading = typer.Typer(no_args_is_help=True)


@brigading.command("list")
def list_bursts() -> None:
    """Bursts of dislikes that look like brigading, newest first."""
    with Workplace.open() as place:
        bursts = place.store.list_bursts()
        items = place.store.items(burst.item_id for burst in bursts)
    table = Table("item", "title", "from", "to", "users", "opinions", "p", "held back", "released")
    for burst in bursts:
        table.add_row(
            burst.item_id, items[burst.item_id].title, f"{burst.starts_at:%Y-%m-%d %H:%M}",
            f"{burst.ends_at:%Y-%m-%d %H:%M}", str(burst.num_users), str(burst.num_opinions), f"{burst.p_value:.0e}",
            str(burst.num_held_back), str(burst.num_released),
        )  # fmt: skip
    out.print(table if bursts else "No burst of dislikes was ever flagged.")


@brigading.command("release")
def release_burst(
    item_id: Annotated[str, typer.Argument(help="The item whose dislikes are held back.")],
    note: Annotated[str, typer.Option("--note", help="Why they are genuine; it is kept beside them.")],
) -> None:
    """Let the held-back dislikes of an item count and train from the next run on: a person found them genuine."""
    with Workplace.open() as place:
        count = place.store.release_flagged(item_id, note, datetime.now(UTC))
    out.print(f"{count} dislikes of {item_id} count from now on.")


def erase_user(
    user_id: Annotated[str, typer.Argument(help="The user's id.")],
    requested_by: Annotated[str, typer.Option("--requested-by", help="Who asked for it; goes into the audit.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Delete everything about a user, and list the data sets and model versions that still know them.

    The next training knows nothing of the user. The audit keeps a hash of the id, counts and the list.
    """
    if not yes:
        typer.confirm(f"Delete everything about user {user_id}? This cannot be undone.", abort=True)
    with Workplace.open() as place:
        _show(place.store.erase_user(user_id, requested_by, datetime.now(UTC)))


def erasures(
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """The proof of who was erased, newest first."""
    with Workplace.open() as place:
        found = place.store.list_erasures(user_id)
    for erasure in found:
        if as_json:
            print(json.dumps({**asdict(erasure), "erased_at": erasure.erased_at.isoformat()}))
        else:
            _show(erasure)
    if not found and not as_json:
        out.print("Nobody was erased." if user_id is None else "This user was never erased.")


def _show(erasure: Erasure) -> None:
    deleted = ", ".join(f"{count} {table}" for table, count in erasure.num_rows.items() if count) or "nothing was there"
    out.print(
        f"Erasure {erasure.erasure_id} at {erasure.erased_at:%Y-%m-%d %H:%M} UTC, asked for by {erasure.requested_by}"
    )
    out.print(f"  user hash       {erasure.user_hash}", soft_wrap=True)
    out.print(f"  deleted         {deleted}", soft_wrap=True)
    settings = Settings.from_environment()
    for batch in erasure.batches:
        folder = settings.locate(batch["training_set_uri"])
        out.print(f"  still in        {folder} (digest {batch['training_set_digest']})", soft_wrap=True)
    out.print(f"  known to        {', '.join(f'version {v}' for v in erasure.model_versions) or 'no version'}")


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    app.add_typer(brigading, name="brigading", help="Bursts of dislikes that are held back until you look at them.")
    for command in (erase_user, erasures):
        app.command()(command)
