"""Erasing a user: every row about them goes, the user is erased from then on, and the audit says what may still hold them.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, insert, or_, select, update

from recsys.errors import InputError, NotFoundError
from recsys.store import tombstones
from recsys.store.tables import (
    brigading_flags,
    dislike_feedback_impact,
    dislike_patterns,
    erasures,
    interactions,
    negative_training_examples,
    recommendation_sets,
    training_batches,
    user_dislikes,
    user_exclusions,
)
from recsys.store.typed_text import drop_text, placeholders_of_user
from recsys.validation import validate_text

TABLES_OF_DISLIKES: tuple[Table, ...] = (dislike_feedback_impact, brigading_flags)
# In the order in which they may go: what refers to a row before the row. Entries and exposures of a set go with it.
TABLES_OF_USER: tuple[Table, ...] = (
    negative_training_examples, user_dislikes, interactions, recommendation_sets, dislike_patterns, user_exclusions,
)  # fmt: skip


@dataclass(frozen=True)
class Erasure:
    """Proof that a user was erased; a row of `erasures`.

    Attributes:
        user_hash: names the user, under this deployment's key; see `recsys.store.user_key`.
        requested_by: who asked: the user, or the name of an API key or a person.
        erased_at: when.
        num_rows: table -> rows deleted.
        batches: training batches whose frozen data hold the user: `batch_id`, `status`, `training_set_uri`,
            `training_set_digest`.
        model_versions: versions that were fitted on them.
        erasure_id: its number in the audit.
        remaining: what still held the user when that was last looked for; None: nobody has looked yet.
        completed_at: when nothing was left; None: the proof is open, unless the user is back.
        lifted_at: when the user was brought back, and is as any other since; None: never.
        lifted_by: who did that.
    """

    user_hash: str
    requested_by: str
    erased_at: datetime
    num_rows: dict[str, int]
    batches: tuple[dict[str, Any], ...]
    model_versions: tuple[str, ...]
    erasure_id: int | None = None
    remaining: dict[str, Any] | None = None
    completed_at: datetime | None = None
    lifted_at: datetime | None = None
    lifted_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something may still hold the user, who is not back."""
        return self.completed_at is None and self.lifted_at is None


def erase_user(connection: Connection, user_id: str, requested_by: str, now: datetime) -> Erasure:
    """Deletes everything about a user, buries them and writes the proof. Done again, it finds nothing and says so.

    A training set that was frozen when the user was still there, and a model fitted on it, cannot forget: they are listed.
    What the user typed to name a film that nobody else knows goes too.

    Raises:
        InputError: if `user_id` or `requested_by` is empty.
    """
    _require_given(user_id, requested_by)
    tombstones.lock_users(connection, [user_id], alone=True)
    user_hash = tombstones.make_key(connection).hash_of(user_id)
    batches = _batches_with(connection, user_id)
    placeholders = placeholders_of_user(connection, user_id)
    num_rows = _delete_rows(connection, user_id)
    num_rows["items"] = drop_text(connection, placeholders)
    versions = sorted({v for b in batches for v in (b.challenger_version, b.refit_version) if v}, key=_number)
    values = {
        "user_hash": user_hash, "requested_by": requested_by, "erased_at": now, "num_rows": num_rows,
        "batches": list(map(_named, batches)), "model_versions": versions,
    }  # fmt: skip
    number = connection.scalars(insert(erasures).returning(erasures.c.erasure_id), [values]).one()
    tombstones.bury(connection, user_hash, number, now)
    return read_erasure(connection, number)


def _require_given(user_id: str, requested_by: str) -> None:
    if not user_id or not requested_by:
        raise InputError("Expected user_id and requested_by, got an empty one.")
    validate_text(user_id)
    validate_text(requested_by)


def _delete_rows(connection: Connection, user_id: str) -> dict[str, int]:
    """Table -> rows."""
    own = select(user_dislikes.c.dislike_id).where(user_dislikes.c.user_id == user_id)
    # Whoever is about to write what refers to a row holds it; afterwards nobody can. Examples before dislikes, as `settle`.
    examples = negative_training_examples.c
    of_user = select(examples.example_id).where(examples.user_id == user_id).order_by(examples.example_id)
    connection.execute(of_user.with_for_update())
    connection.execute(own.order_by(user_dislikes.c.dislike_id).with_for_update())
    num_rows = {
        table.name: connection.execute(delete(table).where(table.c.dislike_id.in_(own))).rowcount
        for table in TABLES_OF_DISLIKES
    }
    for table in TABLES_OF_USER:
        num_rows[table.name] = connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount
    return num_rows


def _batches_with(connection: Connection, user_id: str) -> list[Row[Any]]:
    """Batches that hold the user: those with a cut-off at or after the first thing recorded about them."""
    firsts = [
        connection.execute(select(func.min(table.c.recorded_at)).where(table.c.user_id == user_id)).scalar_one()
        for table in (interactions, user_dislikes, user_exclusions)
    ]
    known = [moment for moment in firsts if moment is not None]
    if not known:
        return []
    table = training_batches.c
    query = select(training_batches).where(table.as_of >= min(known), table.training_set_uri.is_not(None))
    return list(connection.execute(query.order_by(table.as_of, table.batch_id)))


def _named(batch: Row[Any]) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id, "status": batch.status, "training_set_uri": batch.training_set_uri,
        "training_set_digest": batch.training_set_digest,
    }  # fmt: skip


def _number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (0, version)


def bring_back(connection: Connection, user_id: str, requested_by: str, now: datetime) -> Erasure:
    """Lifts a user's tombstone: from now on they are as any new user. The proofs stay, and say who did it.

    Returns:
        The newest proof of the user.

    Raises:
        InputError: if `user_id` or `requested_by` is empty.
        NotFoundError: if the user is not erased.
    """
    _require_given(user_id, requested_by)
    tombstones.lock_users(connection, [user_id], alone=True)
    key = tombstones.key_of(connection)
    if key is None or not tombstones.lift(connection, key.hash_of(user_id)):
        raise NotFoundError("Expected a user who is erased, got one who is not: nothing was changed.")
    own = (erasures.c.user_hash == key.hash_of(user_id)) & erasures.c.lifted_at.is_(None)
    connection.execute(update(erasures).where(own).values(lifted_at=now, lifted_by=requested_by))
    return list_erasures(connection, user_id)[0]


def note_remaining(
    connection: Connection, erasure_id: int, remaining: Mapping[str, Any], completed_at: datetime | None
) -> Erasure:
    """Writes what still holds the user of a proof; `completed_at`: when nothing was left, for good."""
    chosen = update(erasures).where(erasures.c.erasure_id == erasure_id)
    connection.execute(chosen.values(remaining=dict(remaining), completed_at=completed_at))
    return read_erasure(connection, erasure_id)


def read_erasure(connection: Connection, erasure_id: int) -> Erasure:
    """One proof.

    Raises:
        NotFoundError: if there is none of this number.
    """
    row = connection.execute(select(erasures).where(erasures.c.erasure_id == erasure_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"Expected the number of an erasure, got {erasure_id}: `recsys erasures` lists them.")
    return _to_erasure(row)


def list_erasures(connection: Connection, user_id: str | None = None) -> list[Erasure]:
    """The audit, of all users or of one: open ones first, and of those the newest first."""
    is_closed = or_(erasures.c.completed_at.is_not(None), erasures.c.lifted_at.is_not(None))
    query: Select[Any] = select(erasures).order_by(is_closed, erasures.c.erasure_id.desc())
    if user_id is not None:
        key = tombstones.key_of(connection)
        if key is None:
            return []
        # The newest proof of one user first, whether it is open or not.
        query = query.where(erasures.c.user_hash == key.hash_of(user_id)).order_by(None)
        query = query.order_by(erasures.c.erasure_id.desc())
    return [_to_erasure(row) for row in connection.execute(query)]


def _to_erasure(row: Row[Any]) -> Erasure:
    batches: Iterable[dict[str, Any]] = row.batches
    return Erasure(
        user_hash=row.user_hash, requested_by=row.requested_by, erased_at=row.erased_at, num_rows=dict(row.num_rows),
        batches=tuple(batches), model_versions=tuple(row.model_versions), erasure_id=row.erasure_id,
        remaining=row.remaining, completed_at=row.completed_at, lifted_at=row.lifted_at, lifted_by=row.lifted_by,
    )  # fmt: skip
