"""Erasing a user: every row about them goes, and the audit says what went and which models had learned from it.

Every function works in the caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, insert, select

from recsys.errors import InputError
from recsys.feedback.dislike_checks import validate_text
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

TABLES_OF_DISLIKES: tuple[Table, ...] = (dislike_feedback_impact, brigading_flags)
# In the order in which they may go: what refers to a row before the row. Entries and exposures of a set go with it.
TABLES_OF_USER: tuple[Table, ...] = (
    negative_training_examples, user_dislikes, interactions, recommendation_sets, dislike_patterns, user_exclusions,
)  # fmt: skip


@dataclass(frozen=True)
class Erasure:
    """Proof that a user was erased; a row of `erasures`.

    Attributes:
        user_hash: SHA-256 of the user's id, in hex.
        requested_by: who asked: the user, or the name of an API key or a person.
        erased_at: when.
        num_rows: table -> rows deleted.
        batches: training batches whose frozen data hold the user: `batch_id`, `status`, `training_set_uri`,
            `training_set_digest`.
        model_versions: versions that were fitted on them.
        erasure_id: its number in the audit.
    """

    user_hash: str
    requested_by: str
    erased_at: datetime
    num_rows: dict[str, int]
    batches: tuple[dict[str, Any], ...]
    model_versions: tuple[str, ...]
    erasure_id: int | None = None


def user_hash(user_id: str) -> str:
    """How the audit names a user: who knows the id finds the row, nobody finds the id from the row."""
    return hashlib.sha256(user_id.encode()).hexdigest()


def erase_user(connection: Connection, user_id: str, requested_by: str, now: datetime) -> Erasure:
    """Deletes everything about a user and writes the proof. Done again, it finds nothing and says so.

    A training set that was frozen when the user was still there, and a model fitted on it, cannot forget: they are listed.
    The next training reads the database, and so knows nothing of the user.

    Raises:
        InputError: if `user_id` or `requested_by` is empty.
    """
    if not user_id or not requested_by:
        raise InputError("Expected user_id and requested_by, got an empty one.")
    validate_text(user_id)
    batches = _batches_with(connection, user_id)
    own = select(user_dislikes.c.dislike_id).where(user_dislikes.c.user_id == user_id)
    num_rows = {
        table.name: connection.execute(delete(table).where(table.c.dislike_id.in_(own))).rowcount
        for table in TABLES_OF_DISLIKES
    }
    for table in TABLES_OF_USER:
        num_rows[table.name] = connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount
    versions = sorted({v for b in batches for v in (b.challenger_version, b.refit_version) if v}, key=_number)
    erasure = Erasure(user_hash(user_id), requested_by, now, num_rows, tuple(map(_named, batches)), tuple(versions))
    values = {
        "user_hash": erasure.user_hash, "requested_by": requested_by, "erased_at": now, "num_rows": num_rows,
        "batches": list(erasure.batches), "model_versions": versions,
    }  # fmt: skip
    number = connection.scalars(insert(erasures).returning(erasures.c.erasure_id), [values]).one()
    return _to_erasure(connection.execute(select(erasures).where(erasures.c.erasure_id == number)).one())


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


def list_erasures(connection: Connection, user_id: str | None = None) -> list[Erasure]:
    """The audit, of all users or of one, newest first."""
    query: Select[Any] = select(erasures).order_by(erasures.c.erasure_id.desc())
    if user_id is not None:
        query = query.where(erasures.c.user_hash == user_hash(user_id))
    return [_to_erasure(row) for row in connection.execute(query)]


def _to_erasure(row: Row[Any]) -> Erasure:
    batches: Iterable[dict[str, Any]] = row.batches
    return Erasure(
        user_hash=row.user_hash, requested_by=row.requested_by, erased_at=row.erased_at, num_rows=dict(row.num_rows),
        batches=tuple(batches), model_versions=tuple(row.model_versions), erasure_id=row.erasure_id,
    )  # fmt: skip
