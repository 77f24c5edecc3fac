"""`recsys exclusions`: items that a user wants to see no more."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import print_json_lines, say, show, table

exclusions = typer.Typer(add_completion=False, no_args_is_help=True, help="What users want to see no more.")
ItemId = Annotated[str, typer.Argument(help="The item's id in the catalog.")]
UserId = Annotated[str, typer.Argument(help="The user's id.")]


@exclusions.command("add")
def exclude(user_id: UserId, item_id: ItemId, as_json: Json = False) -> None:
    """Keep an item out of a user's lists from now on. It is no dislike: nothing is learned from it."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        found = context.store.catalog.exclude_item(user_id, item_id, datetime.now(UTC))
    if as_json:
        print_json_lines([asdict(found)])
    else:
        say(f"Item {item_id} is excluded for user {user_id} since {found.recorded_at:%Y-%m-%d %H:%M:%S} UTC.")


@exclusions.command("remove")
def include(user_id: UserId, item_id: ItemId, as_json: Json = False) -> None:
    """Take an exclusion back: the item may be in the user's lists again."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        context.store.catalog.include_item(user_id, item_id, datetime.now(UTC))
    if as_json:
        print_json_lines([{"user_id": user_id, "item_id": item_id, "is_excluded": False}])
    else:
        say(f"Item {item_id} is no longer excluded for user {user_id}.")


@exclusions.command("list")
def list_excluded(user_id: UserId, k: K = 100, as_json: Json = False) -> None:
    """Show what a user excludes, newest first."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        found = context.store.catalog.list_exclusions(user_id)[:k]
        titles = context.store.catalog.get_items([one.item_id for one in found])
    if as_json:
        print_json_lines(map(asdict, found))
        return
    listed = table("item", "title", "since (UTC)", title=f"Excluded for user {user_id}")
    for one in found:
        listed.add_row(one.item_id, titles[one.item_id].title, f"{one.recorded_at:%Y-%m-%d %H:%M:%S}")
    show(listed if found else f"User {user_id} excludes nothing.")
