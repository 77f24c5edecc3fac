"""Options that commands share: the same name, the same meaning, the same words everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from recsys.errors import InputError

MAX_K = 10_000

Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of text: one object a line, nothing else.")]
K = Annotated[int, typer.Option("-k", min=1, max=MAX_K, help="How many to show at most.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Cut-off on when events were recorded: 2013-06-14 or 2013-06-14T02:00:00Z. Default: now."
    ),
]


def parse_moment(text: str | None) -> datetime:
    """An aware datetime from a day or ISO 8601 text; UTC where no zone is given; now for None.

    Raises:
        InputError: if the text is neither.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"Expected a day such as 2013-06-14 or a time such as 2013-06-14T02:00:00+00:00, got {text!r}."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wall_clock() -> datetime:
    """What the records of this machine's doings carry, whatever the cut-off of the run."""
    return datetime.now(UTC)
