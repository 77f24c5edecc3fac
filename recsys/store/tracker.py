"""The recommendation tracker: which list a user was given, and what score it predicted for an item.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from recsys.records import Dislike, SetKind
from recsys.store.catalog import chunks, rows_with
from recsys.store.tables import publications, recommendation_entries, recommendation_sets

Given = tuple[int, float | None, datetime]  # a list: number, what it predicted for the item, when it was made
MAX_SET_ID = 2**63 - 1  # what a BIGINT holds; a client's number beyond names no list


def track(connection: Connection, dislikes: Sequence[Dislike]) -> list[Dislike]:
    """Connects dislikes with the lists that held their items.

    The list is the one that the dislike names, if it is this user's (or the one for users without their own); else the
    user's newest list with the item, made before the dislike was recorded. Where a list is known, `predicted_score` is
    the score that it predicted for the item (None if it did not hold it), whatever the dislike says. Where none is, a
    `recommendation_set_id` is dropped: it names nothing that this user was given.

    Args:
        connection: in a transaction.
        dislikes: with `item_id`.
    """
    named = _named_sets(connection, dislikes)
    newest = _newest_sets(connection, [d for d in dislikes if _named_set(d, named) is None])
    tracked = []
    for dislike in dislikes:
        own = _named_set(dislike, named)
        if own is not None:
            score = own.promised.get(str(dislike.item_id))
            tracked.append(replace(dislike, recommendation_set_id=own.recommendation_set_id, predicted_score=score))
        elif found := _last_before(newest.get((dislike.user_id, str(dislike.item_id)), []), dislike.recorded_at):
            tracked.append(replace(dislike, recommendation_set_id=found[0], predicted_score=found[1]))
        else:
            tracked.append(replace(dislike, recommendation_set_id=None))
    return tracked


@dataclass(frozen=True)
class _NamedSet:
    """A list that a dislike named: whose it is, and what it predicted for the disliked items that it held."""

    recommendation_set_id: int
    user_id: str | None
    promised: dict[str, float | None]


def _named_sets(connection: Connection, dislikes: Sequence[Dislike]) -> dict[int, _NamedSet]:
    sets, entries = recommendation_sets.c, recommendation_entries.c
    naming = [d for d in dislikes if 0 < (d.recommendation_set_id or 0) <= MAX_SET_ID]
    found: dict[int, _NamedSet] = {}
    for item_ids in chunks(sorted({str(d.item_id) for d in naming})):
        held = (entries.recommendation_set_id == sets.recommendation_set_id) & entries.item_id.in_(item_ids)
        query = select(sets.recommendation_set_id, sets.user_id, entries.item_id, entries.predicted_score).join_from(
            recommendation_sets, recommendation_entries, held, isouter=True
        )
        for row in rows_with(connection, query, sets.recommendation_set_id, {d.recommendation_set_id for d in naming}):
            named = found.setdefault(row.recommendation_set_id, _NamedSet(row.recommendation_set_id, row.user_id, {}))
            if row.item_id is not None:
                named.promised[row.item_id] = row.predicted_score
    return found


def _named_set(dislike: Dislike, named: dict[int, _NamedSet]) -> _NamedSet | None:
    found = named.get(dislike.recommendation_set_id or 0)
    return found if found is not None and found.user_id in (None, dislike.user_id) else None


def _newest_sets(connection: Connection, dislikes: Sequence[Dislike]) -> dict[tuple[str, str], list[Given]]:
    """The lists of these users that held these items, oldest first."""
    sets, entries = recommendation_sets.c, recommendation_entries.c
    found: dict[tuple[str, str], list[Given]] = {}
    for item_ids in chunks(sorted({str(d.item_id) for d in dislikes})):
        query = (
            select(sets.user_id, entries.item_id, sets.recommendation_set_id, entries.predicted_score, sets.created_at)
            .join_from(recommendation_sets, recommendation_entries)
            .join(publications, publications.c.publication_id == sets.publication_id, isouter=True)
            .where(entries.item_id.in_(item_ids))
            # One that is being published nobody has seen.
            .where((sets.kind != SetKind.PUBLISHED) | publications.c.completed_at.is_not(None))
            .order_by(sets.recommendation_set_id)
        )
        for row in rows_with(connection, query, sets.user_id, {dislike.user_id for dislike in dislikes}):
            given = (row.recommendation_set_id, row.predicted_score, row.created_at)
            found.setdefault((row.user_id, row.item_id), []).append(given)
    return found


def _last_before(given: Sequence[Given], moment: datetime) -> Given | None:
    return next((one for one in reversed(given) if one[2] <= moment), None)
