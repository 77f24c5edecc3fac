"""Other names for users in what is kept of an evaluation: whoever may read an artifact learns nobody's id.

The names come from a function of the caller's, a keyed hash: the same user has the same name in every night's evidence, so
that nights can be pooled. No number may depend on the key, and what is drawn depends on the order of the users: so tables
keep the order that the ids gave them, and the users of a behaviour test are named after their position first.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

Pseudonym = Callable[[str], str]
SHOWN = 12  # characters of a pseudonym that a sentence has


def keyed(table: pd.DataFrame, pseudonym: Pseudonym) -> pd.DataFrame:
    """A table with pseudonyms as `user_id`, in the order of the ids (and of `system`, where there is one).

    Args:
        table: one with `user_id`; an empty one stays as it is.
        pseudonym: user id -> the name.
    """
    if table.empty or "user_id" not in table:
        return table
    order = [name for name in ("system", "user_id") if name in table]
    ordered = table.sort_values(order, kind="stable", ignore_index=True)
    return ordered.assign(user_id=renamed(ordered["user_id"], pseudonym))


def renamed(user_ids: pd.Series, pseudonym: Pseudonym) -> pd.Series:
    """The pseudonyms of a column of ids; each is computed once."""
    names = {user_id: pseudonym(str(user_id)) for user_id in user_ids.unique()}
    return user_ids.map(names)


def in_order(histories: pd.DataFrame, pseudonym: Pseudonym) -> pd.DataFrame:
    """Histories whose users have names that sort as their ids do: a position, and the begin of the pseudonym.

    A sample that is drawn from the sorted names is the same as one of the ids.
    """
    users = sorted(histories["user_id"].unique())
    width = len(str(len(users)))
    names = {user: f"{n:0{width}d}-{pseudonym(user)[:SHOWN]}" for n, user in enumerate(users)}
    return histories.assign(user_id=histories["user_id"].map(names))
