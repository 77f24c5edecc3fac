"""A store of two nights of the shipped stream, made by the commands of a checkout: of this one, or of an older one.

Checkouts are compared on it. Each makes its own, since their databases and models differ.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recsys.settings import Settings

COMMANDS = (
    ("db", "upgrade"),
    ("import", "movietweetings", "data/movietweetings"),
    ("run", "--as-of", "2013-06-12", "--force", "first champion"),
    ("run", "--as-of", "2013-06-14"),
)
SAID = ", ".join(f"`recsys {' '.join(words)}`" for words in COMMANDS).replace("first champion", '"first champion"')
MARK = "two-nights"  # an empty file in a home that was made here
# The list of whoever met most items, or of one user: what commands are asked about.
LIST = """
SELECT s.user_id, e.item_id
FROM recommendation_sets AS s JOIN recommendation_entries AS e USING (recommendation_set_id)
WHERE e.rank = 1 AND s.user_id = coalesce(:user_id, (
    SELECT i.user_id FROM interactions AS i
    WHERE i.user_id IN (SELECT user_id FROM recommendation_sets)
    GROUP BY i.user_id ORDER BY count(*) DESC, i.user_id LIMIT 1
))
ORDER BY s.recommendation_set_id DESC LIMIT 1
"""
VERDICT = """
SELECT decision_id, as_of, recorded_at FROM decisions
WHERE step = 'decide_promotion' AND verdict = 'promote' ORDER BY decision_id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Subject:
    """What commands are asked about in a store.

    Attributes:
        user_id: who met most items among those who have a list.
        item_id: the first of their newest list.
        decision_id: the newest promotion.
        as_of: its cut-off, as `--as-of` takes it.
        recorded_on: the day of the wall clock on which it was recorded.
    """

    user_id: str
    item_id: str
    decision_id: int
    as_of: str
    recorded_on: str


def environment_of(checkout: Path, home: Path) -> dict[str, str]:
    """The variables with which the commands of a checkout use a home."""
    environment = {**os.environ, **Settings.under(home).as_environment(), "COLUMNS": "120", "PYTHONPATH": str(checkout)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as an installed package is
    return environment


def build(checkout: Path, home: Path) -> None:
    """Makes the store, unless there is one.

    Raises:
        SystemExit: if a command of the checkout fails; it printed why.
    """
    if (home / "feedback.db").exists():
        return
    for words in COMMANDS:
        command = [sys.executable, "-m", "recsys", *words]
        done = subprocess.run(command, cwd=checkout, env=environment_of(checkout, home), check=False)
        if done.returncode:
            raise SystemExit(
                f"Expected `recsys {' '.join(words)}` of {checkout} to make a store in {home}, got exit code "
                f"{done.returncode}: its message is above. Mend that, delete {home} and try again."
            )
    (home / MARK).touch()


def is_one(home: Path) -> bool:
    """Whether `build` made this home."""
    return (home / MARK).exists()


def subject_of(home: Path, user_id: str | None = None) -> Subject:
    """What to ask of a store; about this user, if they have a list there.

    Raises:
        SystemExit: if nobody has a list, or nothing was promoted.
    """
    address = f"{(home / 'feedback.db').resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        wanted = [None] if user_id is None else [user_id, None]
        rows = (database.execute(LIST, {"user_id": one}).fetchone() for one in wanted)
        found = next((row for row in rows if row), None)
        verdict = database.execute(VERDICT).fetchone()
    if found is None or verdict is None:
        raise SystemExit(f"Expected a list and a promotion in {home}, found none: run `make demo`, or give --home.")
    user, item = found
    return Subject(user, item, verdict[0], verdict[1].replace(" ", "T"), verdict[2][:10])
