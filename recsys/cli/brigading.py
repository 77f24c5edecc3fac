"""`recsys brigading`: bursts of dislikes that are held back until somebody looks at them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import count_of, minute, print_json_lines, say, show, table, titled

brigading = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Bursts of dislikes that are held back until you look at them."
)


@brigading.command("list")
def list_bursts(k: K = 20, as_json: Json = False) -> None:
    """Bursts of dislikes that look like brigading, newest first."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        bursts = context.store.brigading.list_bursts()[:k]
        items = context.store.catalog.get_items(burst.item_id for burst in bursts)
    if as_json:
        print_json_lines({**asdict(burst), "title": items[burst.item_id].title} for burst in bursts)
        return
    names = ("item", "from", "to", "users", "opinions", "p", "held back", "released")
    listed = table(*names, right=names[3:])
    for burst in bursts:
        listed.add_row(
            titled(burst.item_id, items), minute(burst.starts_at), minute(burst.ends_at), f"{burst.num_users:,}",
            f"{burst.num_opinions:,}", f"{burst.p_value:.0e}", f"{burst.num_held_back:,}", f"{burst.num_released:,}",
        )  # fmt: skip
    show(listed if bursts else "No burst of dislikes was ever flagged.")


@brigading.command("release")
def release_burst(
    item_id: Annotated[str, typer.Argument(help="The item whose dislikes are held back.")],
    note: Annotated[str, typer.Option("--note", help="Why they are genuine; it is kept beside them.")],
    as_json: Json = False,
) -> None:
    """Let the held-back dislikes of an item count and train from the next run on: a person found them genuine."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        count = context.store.brigading.release_flagged(item_id, note, datetime.now(UTC))
        items = context.store.catalog.get_items([item_id])
    if as_json:
        print_json_lines([{"item_id": item_id, "num_released": count}])
    else:
        verb = "counts" if count == 1 else "count"
        say(f"{count_of(count, 'dislike')} of {titled(item_id, items)} {verb} from now on.")
