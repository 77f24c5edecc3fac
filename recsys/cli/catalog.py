"""`recsys items`: what can be liked and disliked, and when and whether it may be recommended."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K, parse_as_of
from recsys.cli.output import minute, print_json_lines, say, show, table
from recsys.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from recsys.records import Item

NONE = "none"  # instead of a time: takes it away

items = typer.Typer(add_completion=False)
ItemId = Annotated[str, typer.Argument(help="The item's id in the catalog.")]
Title = Annotated[str, typer.Option("--title", help="Only items whose title holds this, in any letter case.")]


@items.callback(invoke_without_command=True)
def list_by_default(context: typer.Context, title: Title = "", k: K = 20, as_json: Json = False) -> None:
    """Items with their likes and dislikes, by title; the same as `recsys items list`."""
    if context.invoked_subcommand is None:
        list_items(title, k, as_json)


@items.command("list")
def list_items(title: Title = "", k: K = 20, as_json: Json = False) -> None:
    """Items, those with most opinions first; `--title` searches.

    Likes and dislikes are users. *catalog: no* is an item that only feedback names; importing items gives it a title.
    """
    from recsys.pipeline.context import Context
    from recsys.store.directory import find_items

    with Context.open() as context, context.store.database.reading() as connection:
        found = find_items(connection, title, k)
    if as_json:
        print_json_lines(
            {**asdict(one.item), "num_likes": one.num_likes, "num_dislikes": one.num_dislikes} for one in found
        )
        return
    names = ("item", "title", "year", "genres", "likes", "dislikes", "catalog")
    listed = table(*names, right=["year", "likes", "dislikes"])
    for one in found:
        item = one.item
        listed.add_row(
            item.item_id, item.title, str(item.release_year or ""), ", ".join(item.genres), f"{one.num_likes:,}",
            f"{one.num_dislikes:,}", "no" if item.is_placeholder else "yes",
        )  # fmt: skip
    if found:
        show(listed)
    else:
        show(f"No title holds {title!r}." if title else "No items yet: `recsys import items FILE` brings them in.")


@items.command("show")
def show_item(item_id: ItemId, as_json: Json = False) -> None:
    """Show an item, whether it may be recommended, and how that was changed."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        item = context.store.catalog.get_items([item_id]).get(item_id)
        changes = context.store.catalog.list_item_changes(item_id)
    if item is None:
        raise NotFoundError(f"Expected an item of the catalog, got {item_id!r}: `recsys import items` brings items in.")
    if as_json:
        print_json_lines([{**asdict(item), "changes": [asdict(change) for change in changes]}])
        return
    _print_item(item)
    for change in changes:
        span = _span(change.available_from, change.available_until)
        words = (
            f"{'hidden' if change.is_hidden else 'visible'}, available {span}, tags {', '.join(change.tags) or 'none'}"
        )
        say(f"changed {change.recorded_at:%Y-%m-%d %H:%M:%S} UTC: {words}")


@items.command("set")
def set_item(
    item_id: ItemId,
    hidden: Annotated[
        bool | None, typer.Option("--hidden/--visible", help="Never recommend it, or do again.", show_default=False)
    ] = None,
    available_from: Annotated[
        str | None, typer.Option(help="Recommend it from this day or time on (UTC); none: no start.")
    ] = None,
    available_until: Annotated[
        str | None, typer.Option(help="Recommend it until before this day or time (UTC); none: no end.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="Its tags, all of them; give the option once for each.")
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    as_json: Json = False,
) -> None:
    """Say when and whether an item may be recommended; it leaves the lists at once. Training still sees it."""
    from recsys.pipeline.context import Context

    if tags and no_tags:
        raise InputError("Expected either --tag or --no-tags, got both: leave one of them out.")
    values: dict[str, Any] = {} if hidden is None else {"is_hidden": hidden}
    for name, text in (("available_from", available_from), ("available_until", available_until)):
        values |= {} if text is None else {name: None if text.lower() == NONE else parse_as_of(text)}
    values |= {"tags": tuple(tags or ())} if tags or no_tags else {}
    if not values:
        raise InputError("Expected something to change, got no option: see `recsys items set --help`.")
    with Context.open() as context:
        changed = context.store.catalog.change_item(item_id, values, datetime.now(UTC))
    if as_json:
        print_json_lines([asdict(changed)])
    else:
        _print_item(changed)


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None and end is None:
        return "at any time"
    first = "" if start is None else f"from {minute(start)} "
    return f"{first}{'' if end is None else f'until {minute(end)} '}UTC"


def _print_item(item: Item) -> None:
    year = "" if item.release_year is None else f" ({item.release_year})"
    say(f"{item.item_id}  {item.title}{year}  {', '.join(item.genres)}")
    state = "hidden" if item.is_hidden else "visible"
    say(
        f"{state}, available {_span(item.available_from, item.available_until)}, tags: {', '.join(item.tags) or 'none'}"
    )
