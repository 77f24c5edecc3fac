"""What users said: interactions and dislikes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from recsys.feedback.handler import Impact, StoredDislike
from recsys.records import (
    Dislike,
    Interaction,
    RecordedDislike,
)
from recsys.store import (
    feedback_rows,
    impacts,
)
from recsys.store.database import Database


class Feedback:
    """What users said: interactions and dislikes. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert_interactions(self, rows: Sequence[Interaction], *, makes_placeholders: bool = False) -> int:
        """Writes interactions and returns how many are new; the same (user, item, kind, occurred_at) is kept once.

        An item that the catalog does not have is an InputError, or gets a placeholder.
        """
        return self._database.write(
            lambda c: feedback_rows.insert_interactions(c, rows, makes_placeholders=makes_placeholders)
        )

    def record_dislikes(self, rows: Sequence[Dislike]) -> list[RecordedDislike]:
        """Writes dislikes with their negative examples, all or none; see `feedback_rows.record_dislikes`."""
        return self._database.write_against_others(lambda c: feedback_rows.record_dislikes(c, rows), "record dislikes")

    def record_and_read(self, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool]]:
        """`record_dislikes`, and in the same transaction what is stored now: per row, the dislike and whether it is new."""
        return self._database.write_against_others(lambda c: feedback_rows.record_and_read(c, rows), "record dislikes")

    def record_each(self, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool] | Exception]:
        """`record_and_read` for rows of which some may be refused: in one transaction, per row its result or its error.

        Raises:
            TransientError: if the database is not available; nothing was written.
        """
        return self._database.write_each(rows, lambda c, row: feedback_rows.record_and_read(c, [row])[0])

    def list_dislikes(self, user_id: str, limit: int = 100, before: int | None = None) -> list[StoredDislike]:
        """A user's dislikes that were not taken back, newest first; see `feedback_rows.list_dislikes`."""
        with self._database.reading() as connection:
            return feedback_rows.list_dislikes(connection, user_id, limit, before)

    def get_dislikes(self, dislike_ids: Iterable[int]) -> dict[int, StoredDislike]:
        """Dislikes by number, those that were taken back too."""
        with self._database.reading() as connection:
            return feedback_rows.get_dislikes(connection, dislike_ids)

    def retract_dislike(self, user_id: str, dislike_id: int, now: datetime) -> StoredDislike:
        """Takes a user's dislike back; idempotent. NotFoundError if this user has no such dislike."""
        return self._database.write(lambda c: feedback_rows.retract_dislike(c, user_id, dislike_id, now))

    def record_impact(self, impact: Impact) -> int:
        """Writes what a dislike did to a version, and returns the row's number."""
        return self._database.write(lambda c: impacts.insert_impact(c, impact))
