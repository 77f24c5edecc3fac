"""Options that commands share: the same name, the same meaning, the same words everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from recsys.times import parse_time

MAX_K = 10_000

Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of text: one object a line, nothing else.")]
K = Annotated[int, typer.Option("-k", min=1, max=MAX_K, help="How many to show at most.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Cut-off on when events were recorded: 2013-06-14 or 2013-06-14T02:00:00Z. Default: now."
    ),
]


def parse_as_of(text: str | None) -> datetime:
    """A time in UTC from a day or ISO 8601 text; UTC where no zone is given; now for None.

    Raises:
        InputError: if the text is neither, or not from 1970 to 2199.
    """
    return datetime.now(UTC) if text is None else parse_time(text)


def wall_clock() -> datetime:
    """What the records of this machine's doings carry, whatever the cut-off of the run."""
    return datetime.now(UTC)
