"""The recommendation tracker: which list a user was given, and what score it promised for an item.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from recsys.records import Dislike
from recsys.store.catalog import rows_with
from recsys.store.tables import recommendation_entries, recommendation_sets

Given = tuple[int, float | None, datetime]  # a list: number, what it promised for the item, when it was made
MAX_SET_ID = 2**63 - 1  # what a BIGINT holds; a client's number beyond names no list


def track(connection: Connection, dislikes: Sequence[Dislike]) -> list[Dislike]:
    """Connects dislikes with the lists that held their items.

    The list is the one that the dislike names, if it is this user's (or the one for users without their own); else the
    user's newest list with the item, made before the dislike was recorded. Where a list is known, `predicted_score` is
    the score that it promised for the item (None if it did not hold it), whatever the dislike says. Where none is, a
    `recommendation_set_id` is dropped: it names nothing that this user was given.

    Args:
        connection: in a transaction.
        dislikes: with `item_id`.
    """
    named = _named_sets(connection, dislikes)
    unnamed = [d for d in dislikes if _set_of(d, named) is None]
    newest = _newest_sets(connection, unnamed)
    promised = _promised_scores(
        connection, [(s.recommendation_set_id, d) for d in dislikes if (s := _set_of(d, named))]
    )
    tracked = []
    for dislike in dislikes:
        own = _set_of(dislike, named)
        if own is not None:
            set_id, score = own.recommendation_set_id, promised.get((own.recommendation_set_id, str(dislike.item_id)))
            tracked.append(replace(dislike, recommendation_set_id=set_id, predicted_score=score))
        elif found := _last_before(newest.get((dislike.user_id, str(dislike.item_id)), []), dislike.recorded_at):
            tracked.append(replace(dislike, recommendation_set_id=found[0], predicted_score=found[1]))
        else:
            tracked.append(replace(dislike, recommendation_set_id=None))
    return tracked


def _named_sets(connection: Connection, dislikes: Sequence[Dislike]) -> dict[int, Row[Any]]:
    table = recommendation_sets.c
    numbers = {d.recommendation_set_id for d in dislikes if d.recommendation_set_id is not None}
    wanted = {number for number in numbers if 0 < number <= MAX_SET_ID}
    query = select(table.recommendation_set_id, table.user_id)
    return {row.recommendation_set_id: row for row in rows_with(connection, query, table.recommendation_set_id, wanted)}


def _set_of(dislike: Dislike, named: dict[int, Row[Any]]) -> Row[Any] | None:
    row = named.get(dislike.recommendation_set_id or 0)
    return row if row is not None and row.user_id in (None, dislike.user_id) else None


def _promised_scores(connection: Connection, wanted: list[tuple[int, Dislike]]) -> dict[tuple[int, str], float | None]:
    entries = recommendation_entries.c
    query = select(entries.recommendation_set_id, entries.item_id, entries.predicted_score).where(
        entries.item_id.in_({dislike.item_id for _, dislike in wanted})
    )
    found = rows_with(connection, query, entries.recommendation_set_id, {set_id for set_id, _ in wanted})
    return {(row.recommendation_set_id, row.item_id): row.predicted_score for row in found}


def _newest_sets(connection: Connection, dislikes: Sequence[Dislike]) -> dict[tuple[str, str], list[Given]]:
    """The lists of these users that held these items, oldest first."""
    sets, entries = recommendation_sets.c, recommendation_entries.c
    query = (
        select(sets.user_id, entries.item_id, sets.recommendation_set_id, entries.predicted_score, sets.created_at)
        .join_from(recommendation_sets, recommendation_entries)
        .where(entries.item_id.in_(sorted({str(d.item_id) for d in dislikes})))
        .order_by(sets.created_at, sets.recommendation_set_id)
    )
    found: dict[tuple[str, str], list[Given]] = {}
    for row in rows_with(connection, query, sets.user_id, {dislike.user_id for dislike in dislikes}):
        given = (row.recommendation_set_id, row.predicted_score, row.created_at)
        found.setdefault((row.user_id, row.item_id), []).append(given)
    return found


def _last_before(given: Sequence[Given], moment: datetime) -> Given | None:
    return next((one for one in reversed(given) if one[2] <= moment), None)
