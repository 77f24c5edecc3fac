"""What commands print: text for people with units on its numbers, or JSON lines for programs, never both.

Titles, genres, ids and notes come from users and files. So everything that is printed goes through here, and is text: `[red]`
and `:smile:` are what they are, and a character that would steer the terminal, or begin a line of its own, is written out,
such as Escape as `x1b` behind a backslash. No other module prints; a test holds them to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from recsys.errors import RecsysError
from recsys.foreign_text import in_json, visible
from recsys.records import Item

out = Console(markup=False, highlight=False, emoji=False)
err = Console(stderr=True, markup=False, highlight=False, emoji=False)
MAX_ERROR = 10_000  # characters of a message; what is longer repeats somebody's file
DASH = "-"  # where there is no value
WHOLE_FROM = 1000  # floats from here on are shown without decimals


def say(text: str) -> None:
    """Prints a line; the terminal wraps it, so that what is copied from it is whole."""
    out.print(visible(text), soft_wrap=True)


def say_aside(text: str) -> None:
    """Prints a line on stderr: for who reads along, not part of the answer."""
    err.print(visible(text), soft_wrap=True)


def confirm(question: str) -> None:
    """Asks on stderr; ends the command unless the answer is yes."""
    from typer import confirm as ask

    ask(visible(question), abort=True, err=True)


def show_error(error: RecsysError) -> None:
    """Prints an error as one block on stderr, the end of a very long one left out."""
    from rich.panel import Panel

    words = str(error)
    if len(words) > MAX_ERROR:
        words = f"{words[:MAX_ERROR]}... ({len(words):,} characters)"
    frame = Panel(
        Text(visible(words, keeps_lines=True)), title=type(error).__name__, border_style="red", title_align="left"
    )
    Console(stderr=True, markup=False, highlight=False, emoji=False).print(frame)


def paragraph(text: str, indent: int = 4) -> None:
    """Prints a text in lines as wide as the terminal, set in from the left."""
    from textwrap import fill

    space = " " * indent
    for line in fill(visible(text), max(out.width, 40), initial_indent=space, subsequent_indent=space).split("\n"):
        say(line)


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line; times as ISO 8601."""
    for row in rows:
        print(in_json(json.dumps(row, default=_as_json, ensure_ascii=False)))


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def show(listed: Listed | str) -> None:
    """Prints a table, or the line that stands for an empty one."""
    if isinstance(listed, str):
        say(listed)
    else:
        out.print(listed)


def flush() -> None:
    """Hands on what was printed, for who waits for it while the command goes on."""
    out.file.flush()


def table(*names: str, title: str | None = None, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Listed:
    """An empty table whose cells wrap and are never cut off.

    Args:
        names: of the columns.
        title: above it.
        right: columns of numbers.
        whole: columns of short values that no narrow terminal shall break into pieces.
    """
    numbers, unbroken = set(right), set(whole)
    columns = [
        Column(visible(name), overflow="fold", justify="right" if name in numbers else "left", no_wrap=name in unbroken)
        for name in names
    ]
    return Listed(*columns, title=None if title is None else Text(visible(title)))


class Listed(Table):
    """A table of text; a cell of several lines is given as a list of them."""

    def add_row(self, *cells: str | Sequence[str], **style: Any) -> None:  # type: ignore[override] # text, nothing else
        """Adds a row."""
        lines = ([cell] if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*(Text("\n".join(map(visible, cell))) for cell in lines), **style)


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """`1 dislike`, `2,166 dislikes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """`0.4 s`, `75 s`, `12 min`, `3.5 h`: what a person can compare."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 600:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def percent(share: float | None, digits: int = 1) -> str:
    """`12.5 %`; a dash where nothing is known."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def number(value: Any) -> str:
    """Three digits of a float, thousands apart in whole numbers, yes or no; a dash for None."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < WHOLE_FROM else f"{value:,.0f}"


def minute(moment: datetime | str | None) -> str:
    """`2013-06-14 02:00`, UTC; a dash for None."""
    if moment is None:
        return DASH
    return (moment if isinstance(moment, str) else moment.isoformat())[:16].replace("T", " ")


def titled(item_id: str, items: Mapping[str, Item]) -> str:
    """`Alien (tt0078748)`: a title with the id that commands take; the id alone where nothing else is known."""
    item = items.get(item_id)
    return item_id if item is None or item.title == item_id else f"{item.title} ({item_id})"
