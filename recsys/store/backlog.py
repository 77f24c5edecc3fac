"""The backlog: negative examples that wait for a run, and the batches that claim them.

An example is in the backlog (`batch_id` null), claimed by one batch, or used by one batch, never in two of these. At
most one batch is open (`claimed`); the database itself holds to that, by a partial unique index. A run that died leaves
an open batch; once its lease has expired, the next run releases it and goes on. If the dead run wakes up after all, it
finds its batch taken over and stops.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from recsys.errors import ConflictError, InputError, NotFoundError
from recsys.records import Batch, BatchStatus
from recsys.store import artifact_digests, batch_config
from recsys.store.brigading import is_held_back
from recsys.store.impacts import insert_training_impacts, name_training_version
from recsys.store.tables import negative_training_examples, training_batches, user_dislikes

PLANNED = ("as_of", "fit_through", "champion_version", "claimed_at", "lease_expires_at")
LEFT_BEHIND = (
    "training_set_uri", "training_set_digest", "num_rows", "data_docs_uri", "challenger_version", "refit_version",
    "evidence_uri",
)  # fmt: skip
FILES = ("training_set_uri", "data_docs_uri")  # what may be removed while the batch stays
NAMES = tuple(field.name for field in fields(Batch) if field.name in training_batches.c)


def in_backlog(as_of: datetime) -> ColumnElement[bool]:
    """Whether a negative example waits for a run as of a cut-off; the one definition of the backlog."""
    examples, dislikes = negative_training_examples.c, user_dislikes.c
    taken_back = select(dislikes.dislike_id).where(dislikes.retracted_at <= as_of)
    return (
        examples.batch_id.is_(None)
        & examples.used_in_training.is_(False)
        & (examples.recorded_at <= as_of)
        & examples.dislike_id.not_in(taken_back)
        & ~is_held_back(examples.dislike_id, as_of)
    )


def count_backlog(connection: Connection, as_of: datetime) -> int:
    """Examples recorded up to `as_of`, neither claimed nor used, whose dislike was neither taken back nor held back."""
    query = select(func.count()).select_from(negative_training_examples).where(in_backlog(as_of))
    return int(connection.execute(query).scalar_one())


def claim(connection: Connection, batch: Batch) -> Batch:
    """Opens the batch and claims the backlog as of its cut-off.

    The run's own batch, open or used, is returned as it is. Its own released batch is opened again, without what the
    first try left behind. A batch whose lease has expired is released first.

    Raises:
        ConflictError: if another run holds an open batch.
        IntegrityError: of SQLAlchemy, if another run opened one at the same time.
    """
    table = training_batches.c
    query = select(training_batches).where(or_(table.status == BatchStatus.CLAIMED, table.batch_id == batch.batch_id))
    rows = connection.execute(query.order_by(table.batch_id).with_for_update()).all()
    own = next((row for row in rows if row.batch_id == batch.batch_id), None)
    if own is not None and own.status != BatchStatus.RELEASED:
        return _to_batch(own)
    for other in rows:
        if other.status == BatchStatus.CLAIMED:
            _require_expired(other, batch)
            _give_back(connection, other.batch_id, batch.claimed_at, taken_over_by=batch.batch_id)
    _open(connection, batch, is_new=own is None)
    claimed = connection.execute(
        update(negative_training_examples).where(in_backlog(batch.as_of)).values(batch_id=batch.batch_id)
    )
    _set(connection, batch.batch_id, num_examples=claimed.rowcount)
    return read_batch(connection, batch.batch_id)


def _require_expired(other: Row[Any], batch: Batch) -> None:
    if other.lease_expires_at < batch.claimed_at:
        return
    raise ConflictError(
        f"Expected no open batch, but run {other.batch_id} has held the backlog since {other.claimed_at.isoformat()}. "
        f"Wait until it is done; if it died, `recsys release {other.batch_id}` gives its examples back, or the next run "
        f"after {other.lease_expires_at.isoformat()} does."
    )


def _open(connection: Connection, batch: Batch, *, is_new: bool) -> None:
    planned = {name: getattr(batch, name) for name in PLANNED}
    opened = {**planned, "config": batch_config.to_json(batch), "status": str(BatchStatus.CLAIMED), "num_examples": 0}
    if is_new:
        connection.execute(insert(training_batches).values(batch_id=batch.batch_id, **opened))
    else:
        _set(connection, batch.batch_id, **opened, **dict.fromkeys(LEFT_BEHIND), settled_at=None, taken_over_by=None)
        artifact_digests.forget(connection, batch.batch_id)


def _set(connection: Connection, batch_id: str, **values: Any) -> None:
    connection.execute(update(training_batches).where(training_batches.c.batch_id == batch_id).values(**values))


def _give_back(connection: Connection, batch_id: str, now: datetime, taken_over_by: str | None = None) -> None:
    examples = negative_training_examples
    connection.execute(update(examples).where(examples.c.batch_id == batch_id).values(batch_id=None))
    _set(connection, batch_id, status=str(BatchStatus.RELEASED), settled_at=now, taken_over_by=taken_over_by)


def read_batch(connection: Connection, batch_id: str, *, locks: bool = False) -> Batch:
    """One batch.

    Raises:
        NotFoundError: if there is none with this id.
    """
    return _to_batch(_row(connection, batch_id, locks=locks))


def _row(connection: Connection, batch_id: str, *, locks: bool) -> Row[Any]:
    query = select(training_batches).where(training_batches.c.batch_id == batch_id)
    row = connection.execute(query.with_for_update() if locks else query).one_or_none()
    if row is None:
        raise NotFoundError(f"Expected a batch of the run {batch_id!r}, found none: run claim_backlog for it first.")
    return row


def list_batches(connection: Connection) -> list[Batch]:
    """All batches, in the order of their cut-offs."""
    table = training_batches.c
    return [
        _to_batch(row) for row in connection.execute(select(training_batches).order_by(table.as_of, table.batch_id))
    ]


def forget_files(connection: Connection, batch_id: str, columns: Sequence[str]) -> None:
    """Forgets where files of a closed batch were, before they are removed; digest and number of rows stay.

    Raises:
        InputError: for a column that names no files.
    """
    if unknown := sorted(set(columns) - set(FILES)):
        raise InputError(f"Expected columns from {', '.join(FILES)}, got {', '.join(unknown)}.")
    if columns:
        _set(connection, batch_id, **dict.fromkeys(columns))


def find_by_version(connection: Connection, challenger_version: str) -> Batch:
    """The batch that a challenger came from.

    Raises:
        NotFoundError: if there is none.
    """
    query = select(training_batches).where(training_batches.c.challenger_version == challenger_version)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(
            f"Expected a batch whose challenger is version {challenger_version}, found none: name a version that a run "
            "of this database trained as challenger."
        )
    return _to_batch(row)


def find_maker(connection: Connection, version: str) -> tuple[Batch, str] | None:
    """The batch that made a version, and which of its fits it is: "judged" or "refit"; None for one that no batch made."""
    table = training_batches.c
    query = select(training_batches).where(or_(table.challenger_version == version, table.refit_version == version))
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else (_to_batch(row), "judged" if row.challenger_version == version else "refit")


def find_open(connection: Connection) -> Batch | None:
    """The batch that holds a backlog now, if there is one."""
    row = connection.execute(
        select(training_batches).where(training_batches.c.status == BatchStatus.CLAIMED)
    ).one_or_none()
    return None if row is None else _to_batch(row)


def half_life_of_version(connection: Connection, model_version: str) -> float | None:
    """Half-life in days of the sample weights that a version was fitted with; None for one that no batch made."""
    found = (config_of_version(connection, model_version) or {}).get("half_life_days")
    return None if found is None else float(found)


def config_of_version(connection: Connection, model_version: str) -> dict[str, Any] | None:
    """The column `config` of the batch that made a version (`batch_config`); None for one that no batch made."""
    table = training_batches.c
    query = select(table.config).where(
        or_(table.challenger_version == model_version, table.refit_version == model_version)
    )
    found: dict[str, Any] | None = connection.execute(query.limit(1)).scalar_one_or_none()
    return found


def update_fields(connection: Connection, batch_id: str, values: dict[str, Any]) -> Batch:
    """Writes what a step left behind.

    Raises:
        InputError: for a column that steps do not write.
        ConflictError: if the batch was released meanwhile: what this run does is not wanted any more.
    """
    unknown = sorted(set(values) - set(LEFT_BEHIND))
    if unknown:
        raise InputError(f"Expected fields from {', '.join(LEFT_BEHIND)}, got {', '.join(unknown)}.")
    row = _row(connection, batch_id, locks=True)
    if row.status == BatchStatus.RELEASED:
        raise _lost(row)
    if values:
        _set(connection, batch_id, **values)
    if row.status == BatchStatus.USED and values.get("challenger_version"):  # trained anew after it was settled
        name_training_version(connection, batch_id, values["challenger_version"])
    return read_batch(connection, batch_id)


def _lost(row: Row[Any]) -> ConflictError:
    how = f"taken over by run {row.taken_over_by}" if row.taken_over_by else "released"
    return ConflictError(
        f"Expected run {row.batch_id} to hold its batch, but it was {how} at {row.settled_at.isoformat()}: this run "
        "stops here, its examples are back in the backlog or with the other run. Start a new run if it is still wanted."
    )


def settle(connection: Connection, batch_id: str, now: datetime) -> Batch:
    """Marks the examples as used if a challenger was registered from them, else gives them back. Idempotent.

    Raises:
        ConflictError: if another run took the batch over, or it was released although it has a challenger.
    """
    row = _row(connection, batch_id, locks=True)
    if row.status == BatchStatus.RELEASED and (row.taken_over_by or row.challenger_version):
        raise _lost(row)
    if row.status == BatchStatus.CLAIMED and row.challenger_version is None:
        _give_back(connection, batch_id, now)
    elif row.status == BatchStatus.CLAIMED:
        examples = negative_training_examples
        connection.execute(update(examples).where(examples.c.batch_id == batch_id).values(used_in_training=True))
        insert_training_impacts(connection, batch_id, row.challenger_version, now)
        _set(connection, batch_id, status=str(BatchStatus.USED), settled_at=now)
    return read_batch(connection, batch_id)


def release(connection: Connection, batch_id: str, now: datetime) -> Batch:
    """Gives the examples of an open batch back. A released batch stays as it is.

    Raises:
        ConflictError: if the examples were used: a challenger was trained from them.
    """
    row = _row(connection, batch_id, locks=True)
    if row.status == BatchStatus.USED:
        raise ConflictError(
            f"Expected an open batch, but run {batch_id} has used its examples for version {row.challenger_version}: "
            "they count only once, nothing was released."
        )
    if row.status == BatchStatus.CLAIMED:
        _give_back(connection, batch_id, now)
    return read_batch(connection, batch_id)


def _to_batch(row: Row[Any]) -> Batch:
    values = {name: getattr(row, name) for name in NAMES}
    return Batch(**{**values, **batch_config.from_json(row.config), "status": BatchStatus(row.status)})
