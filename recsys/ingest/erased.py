"""Rows of users who were erased: an import leaves them out and counts them, or brings the users back where it is asked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from recsys.errors import ErasedError, NotFoundError
from recsys.ingest.parsed import Parsed
from recsys.records import Dislike, Interaction
from recsys.store import FeedbackStore

Row = TypeVar("Row", Interaction, Dislike)
T = TypeVar("T")


def erased_users(parsed: Parsed, store: FeedbackStore) -> frozenset[str]:
    """Who of the users in the files is erased."""
    return store.erasures.erased_users(parsed.feedback["user_id"].unique().tolist())


def without(parsed: Parsed, user_ids: frozenset[str]) -> Parsed:
    """The same without the feedback of some users."""
    if not user_ids:
        return parsed
    left = parsed.feedback[~parsed.feedback["user_id"].isin(user_ids)]
    return replace(parsed, feedback=left.reset_index(drop=True))


def bring_back(store: FeedbackStore, user_ids: frozenset[str], what: str, now: datetime) -> int:
    """Lifts the tombstones of users, on behalf of an import; returns how many. The audit names the import."""
    num_users = 0
    for user_id in sorted(user_ids):
        try:
            store.erasures.bring_back(user_id, what, now)
        except NotFoundError:
            continue  # somebody else did meanwhile
        num_users += 1
    return num_users


class ErasedMeanwhile:
    """Writes batches without the rows of users who are erased while the import runs, and counts those rows."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.user_ids: frozenset[str] = frozenset()

    def write(self, save: Callable[[list[Row]], T], rows: Sequence[Row]) -> T:
        """Saves rows, all in one transaction, but for those of erased users."""
        while True:
            left = [row for row in rows if row.user_id not in self.user_ids]
            try:
                result = save(left)
            except ErasedError as error:
                self.user_ids |= error.user_ids
                continue
            self.num_rows += len(rows) - len(left)
            return result
