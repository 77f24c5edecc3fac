"""Finds the queries in `sql/`: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from functools import cache

from recsys.errors import TerminalError
from recsys.settings import PACKAGE_PARENT


@cache
def load_query(name: str) -> str:
    """The text of `sql/<name>.sql`, without comment lines: a parameter named in one would be bound.

    Raises:
        TerminalError: if there is no such file.
    """
    places = (PACKAGE_PARENT / "recsys" / "sql", PACKAGE_PARENT / "sql")
    for folder in places:
        path = folder / f"{name}.sql"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            return "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    raise TerminalError(
        f"Expected the query {name}.sql in {' or '.join(map(str, places))}, found none: install the package again."
    )
