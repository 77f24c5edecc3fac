"""Bursts of dislikes that do not count until a person has looked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from recsys.feedback.brigading import BrigadingConfig, Burst
from recsys.store import (
    brigading,
)
from recsys.store.brigading import FlaggedBurst
from recsys.store.database import Database


class Brigading:
    """Bursts of dislikes that do not count until a person has looked. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def flag_brigading(self, as_of: datetime, config: BrigadingConfig, *, writes: bool = True) -> list[Burst]:
        """Bursts of dislikes as of a cut-off that look like brigading; flagged, unless `writes` is False."""

        def work(connection: Connection) -> list[Burst]:
            bursts = brigading.look_for_bursts(connection, as_of, config)
            if writes:
                brigading.flag(connection, bursts)
            return bursts

        if writes:
            return self._database.write(work)
        with self._database.reading() as connection:
            return work(connection)

    def list_bursts(self) -> list[FlaggedBurst]:
        """All bursts that were ever flagged, newest first."""
        with self._database.reading() as connection:
            return brigading.list_bursts(connection)

    def release_flagged(self, item_id: str, note: str, now: datetime) -> int:
        """Lets an item's held-back dislikes count from now on, and returns how many; NotFoundError if there are none."""
        return self._database.write(lambda c: brigading.release(c, item_id, note, now))
