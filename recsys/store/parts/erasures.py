"""Who was erased, and what still holds them: the part of the feedback store that forgets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recsys.records import Decision
from recsys.store import erasures, forgetting, tombstones
from recsys.store.database import Database
from recsys.store.erasures import Erasure
from recsys.store.forgetting import FrozenSet
from recsys.store.user_key import UserKey

log = logging.getLogger(__name__)


class Erasures:
    """Erasures; every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def erase_user(self, user_id: str, requested_by: str, now: datetime) -> Erasure:
        """Deletes everything about a user, buries them, and proves it; see `erasures.erase_user`.

        On SQLite, the write-ahead log is emptied afterwards, unless somebody reads just then.
        """
        work = lambda c: erasures.erase_user(c, user_id, requested_by, now)  # noqa: E731
        erasure = self._database.write_against_others(work, "erase a user")
        if not self._database.wipe_log():
            log.warning(
                "erasure %s: the write-ahead log is in use and keeps the user's rows until the last process closes the "
                "database, or the next erasure", erasure.erasure_id,
            )  # fmt: skip
        return erasure

    def bring_back(self, user_id: str, requested_by: str, now: datetime) -> Erasure:
        """Lets an erased user be as any new one; NotFoundError if they are not erased. See `erasures.bring_back`."""
        return self._database.write(lambda c: erasures.bring_back(c, user_id, requested_by, now))

    def erased_users(self, user_ids: Iterable[str]) -> frozenset[str]:
        """Those of some users who are erased now."""
        with self._database.reading() as connection:
            return tombstones.erased_among(connection, user_ids, holds=False)

    def erased_hashes(self) -> frozenset[str]:
        """Of all users who are erased now; compare with those of `user_hashes`."""
        with self._database.reading() as connection:
            return tombstones.erased_hashes(connection)

    def user_hashes(self, user_ids: Iterable[str]) -> dict[str, str]:
        """User -> keyed hash, by which files and the audit name them; see `store.user_key`. The first call makes the key."""
        key = self.make_user_key()
        return {user_id: key.hash_of(user_id) for user_id in user_ids}

    def user_key(self) -> UserKey | None:
        """The key of users' names in files and in the audit; None if there is none yet."""
        with self._database.reading() as connection:
            return tombstones.key_of(connection)

    def make_user_key(self) -> UserKey:
        """The same, made if there is none."""
        return self.user_key() or self._database.write(tombstones.make_key)

    def freeze_anew(self, batch_id: str, old_digest: str, new: FrozenSet, decision: Decision) -> bool:
        """Puts another frozen set in the place of one, and says so in the ledger; see `forgetting.freeze_anew`."""
        return self._database.write(lambda c: forgetting.freeze_anew(c, batch_id, old_digest, new, decision))

    def list_erasures(self, user_id: str | None = None) -> list[Erasure]:
        """The audit of erasures, open ones first; of one user, newest first."""
        with self._database.reading() as connection:
            return erasures.list_erasures(connection, user_id)

    def note_remaining(
        self, erasure_id: int, remaining: Mapping[str, Any], completed_at: datetime | None = None
    ) -> Erasure:
        """Writes what still holds the user of a proof, as JSON; `completed_at`: nothing does, from then on."""

        def work(connection: Connection) -> Erasure:
            return erasures.note_remaining(connection, erasure_id, remaining, completed_at)

        return self._database.write(work)
