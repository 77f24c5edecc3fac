"""`recsys items` and `recsys exclusions`: what may be recommended, to everybody and to one user."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.errors import InputError, NotFoundError
from recsys.records import Item
from recsys.settings import Settings
from recsys.store import FeedbackStore

NONE = "none"  # in the place of a time: takes it away

out = Console()
items = typer.Typer(no_args_is_help=True)
exclusions = typer.Typer(no_args_is_help=True)

ItemId = Annotated[str, typer.Argument(help="The item's id in the catalog.")]
UserId = Annotated[str, typer.Argument(help="The user's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _store() -> FeedbackStore:
    return FeedbackStore.open(Settings.from_environment().database_url)


@items.command("show")
def show_item(item_id: ItemId, as_json: AsJson = False) -> None:
    """Show an item, whether it may be recommended, and how that was changed."""
    with _store() as store:
        item = store.items([item_id]).get(item_id)
        changes = store.list_item_changes(item_id)
    if item is None:
        raise NotFoundError(f"Expected an item of the catalog, got {item_id!r}: `recsys import items` brings items in.")
    if as_json:
        out.print_json(data={**asdict(item), "changes": [asdict(change) for change in changes]}, default=str)
        return
    _print_item(item)
    for change in changes:
        span = _span(change.available_from, change.available_until)
        words = (
            f"{'hidden' if change.is_hidden else 'visible'}, available {span}, tags {', '.join(change.tags) or 'none'}"
        )
        out.print(f"changed {change.recorded_at:%Y-%m-%d %H:%M:%S} UTC: {words}", soft_wrap=True)


@items.command("set")
def set_item(
    item_id: ItemId,
    hidden: Annotated[
        bool | None, typer.Option("--hidden/--visible", help="Never recommend it, or do again.", show_default=False)
    ] = None,
    available_from: Annotated[
        str | None, typer.Option(help="Recommend it from this day or time on (UTC); none: from ever.")
    ] = None,
    available_until: Annotated[
        str | None, typer.Option(help="Recommend it until before this day or time (UTC); none: for ever.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="Its tags, all of them; give the option once for each.")
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
) -> None:
    """Say when and whether an item may be recommended; it leaves the lists at once. Training still sees it."""
    if tags and no_tags:
        raise InputError("Expected either --tag or --no-tags, got both: leave one of them out.")
    values: dict[str, Any] = {} if hidden is None else {"is_hidden": hidden}
    for name, text in (("available_from", available_from), ("available_until", available_until)):
        values |= {} if text is None else {name: _moment(text)}
    values |= {"tags": tuple(tags or ())} if tags or no_tags else {}
    if not values:
        raise InputError("Expected something to change, got no option: see `recsys items set --help`.")
    with _store() as store:
        _print_item(store.change_item(item_id, values, datetime.now(UTC)))


@exclusions.command("add")
def exclude(user_id: UserId, item_id: ItemId) -> None:
    """Keep an item out of a user's lists from now on. It is no dislike: nothing is learned from it."""
    with _store() as store:
        found = store.exclude_item(user_id, item_id, datetime.now(UTC))
    out.print(f"Item {item_id} is excluded for user {user_id} since {found.recorded_at:%Y-%m-%d %H:%M:%S} UTC.")


@exclusions.command("remove")
def include(user_id: UserId, item_id: ItemId) -> None:
    """Take an exclusion back: the item may be in the user's lists again."""
    with _store() as store:
        store.include_item(user_id, item_id, datetime.now(UTC))
    out.print(f"Item {item_id} is no longer excluded for user {user_id}.")


@exclusions.command("list")
def list_excluded(user_id: UserId, as_json: AsJson = False) -> None:
    """Show what a user excludes, newest first."""
    with _store() as store:
        found = store.list_exclusions(user_id)
        titles = store.items([one.item_id for one in found])
    if as_json:
        out.print_json(json.dumps([asdict(one) for one in found], default=str))
        return
    table = Table("item", "title", "since (UTC)", title=f"Excluded for user {escape(user_id)}")
    for one in found:
        table.add_row(escape(one.item_id), escape(titles[one.item_id].title), f"{one.recorded_at:%Y-%m-%d %H:%M:%S}")
    out.print(table if found else f"User {user_id} excludes nothing.")


def _moment(text: str) -> datetime | None:
    from recsys.cli.loop import parse_moment

    return None if text.lower() == NONE else parse_moment(text)


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None and end is None:
        return "at any time"
    first = "" if start is None else f"from {start:%Y-%m-%d %H:%M} "
    return f"{first}{'' if end is None else f'until {end:%Y-%m-%d %H:%M} '}UTC"


def _print_item(item: Item) -> None:
    year = "" if item.release_year is None else f" ({item.release_year})"
    out.print(f"{item.item_id}  {item.title}{year}  {', '.join(item.genres)}", soft_wrap=True, markup=False)
    state = "hidden" if item.is_hidden else "visible"
    span = _span(item.available_from, item.available_until)
    out.print(f"{state}, available {span}, tags: {', '.join(item.tags) or 'none'}", soft_wrap=True, markup=False)
