"""`recsys items`: what can be liked, disliked and recommended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import out, print_json_lines, table

items = typer.Typer(add_completion=False)
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
    from recsys.nightly.workplace import Workplace
    from recsys.store.directory import find_items

    with Workplace.open() as place, place.store.reading() as connection:
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
        out.print(listed)
    else:
        out.print(f"No title holds {title!r}." if title else "No items yet: `recsys import items FILE` brings them in.")
