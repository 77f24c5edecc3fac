"""A frozen set that is frozen anew, without users who were erased. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from recsys.errors import ConflictError, NotFoundError
from recsys.files.digests import FileDigest
from recsys.records import BatchStatus, Decision
from recsys.store import artifact_digests, ledger
from recsys.store.artifact_digests import ArtifactKind
from recsys.store.tables import training_batches

# What was made of a set; the challenger is named until there is another, since a used batch has one.
MADE_OF_SET = ("data_docs_uri", "refit_version", "evidence_uri")


@dataclass(frozen=True)
class FrozenSet:
    """A frozen set: digest of its content, number of rows, and digests of its files, under `training_set/`."""

    digest: str
    num_rows: int
    files: Mapping[str, FileDigest]


def freeze_anew(connection: Connection, batch_id: str, old_digest: str, new: FrozenSet, decision: Decision) -> bool:
    """Gives a batch another frozen set, forgets what was made of the one before, and writes the decision.

    Evidence stays known: a verdict may rest on it.

    Returns:
        False if the batch has another set than the one with `old_digest`: somebody was faster, nothing is written.

    Raises:
        NotFoundError: if there is no such batch.
        ConflictError: if it was released meanwhile.
    """
    table = training_batches.c
    query = select(table.status, table.training_set_digest).where(table.batch_id == batch_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"Expected a batch of the run {batch_id!r}, found none: run claim_backlog for it first.")
    if row.status == BatchStatus.RELEASED:
        raise ConflictError(
            f"Expected run {batch_id} to hold its batch, but it was released: its training set is not frozen anew, and this "
            "run stops here. Start a new run if it is still wanted."
        )
    if row.training_set_digest != old_digest:
        return False
    values = {"training_set_digest": new.digest, "num_rows": new.num_rows, **dict.fromkeys(MADE_OF_SET)}
    connection.execute(update(training_batches).where(table.batch_id == batch_id).values(**values))
    artifact_digests.record(connection, ArtifactKind.TRAINING_SET, batch_id, "training_set", new.files)
    artifact_digests.forget(connection, batch_id, ["candidates", "judged", "refit"])
    ledger.record_decision(connection, decision)
    return True
