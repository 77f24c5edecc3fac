"""The backlog, the batches that claim it, and the files of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from recsys.feedback.triggers import BacklogEvidence
from recsys.files.digests import FileDigest
from recsys.records import (
    Batch,
)
from recsys.store import artifact_digests, backlog, insights
from recsys.store.artifact_digests import ArtifactKind
from recsys.store.database import Database


class Backlog:
    """The backlog, the batches that claim it, and the files of a batch. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_backlog(self, as_of: datetime) -> int:
        """Negative examples recorded up to `as_of`, neither claimed nor used."""
        with self._database.reading() as connection:
            return backlog.count_backlog(connection, as_of)

    def claim_backlog(self, batch: Batch) -> Batch:
        """Opens the batch and claims the backlog as of its cut-off; see `backlog.claim`."""
        what = f"claim the backlog for run {batch.batch_id}"
        return self._database.write_against_others(lambda c: backlog.claim(c, batch), what)

    def update_batch(self, batch_id: str, **fields: Any) -> Batch:
        """Writes what a step left behind; ConflictError if the batch was released or taken over."""
        return self._database.write(lambda c: backlog.update_fields(c, batch_id, fields))

    def record_files(
        self, kind: ArtifactKind, batch_id: str, folder: str, files: Mapping[str, FileDigest], **fields: Any
    ) -> None:
        """Replaces the digests of one folder of a batch, and writes `fields` as `update_batch` does, or neither."""

        def work(connection: Connection) -> None:
            if fields:
                backlog.update_fields(connection, batch_id, fields)
            artifact_digests.record(connection, kind, batch_id, folder, files)

        self._database.write(work)

    def known_files(self, batch_id: str, *kinds: ArtifactKind) -> dict[str, FileDigest]:
        """Digests of a batch's files of some kinds, by path; see `recsys.store.artifact_digests`."""
        with self._database.reading() as connection:
            return artifact_digests.read(connection, kinds, batch_id)

    def find_maker(self, version: str) -> tuple[Batch, str] | None:
        """The batch that made a version, and which fit it is; None for a version that no batch of this database made."""
        with self._database.reading() as connection:
            return backlog.find_maker(connection, version)

    def get_batch(self, batch_id: str) -> Batch:
        """One batch; NotFoundError if there is none."""
        with self._database.reading() as connection:
            return backlog.read_batch(connection, batch_id)

    def list_batches(self) -> list[Batch]:
        """All batches, in the order of their cut-offs."""
        with self._database.reading() as connection:
            return backlog.list_batches(connection)

    def forget_files(self, batch_id: str, columns: Sequence[str], folders: Sequence[str] = ()) -> None:
        """Forgets where files of a closed batch were (`training_set_uri`, `data_docs_uri`), before they are removed.

        With the digests of what was in these folders of the batch.
        """

        def work(connection: Connection) -> None:
            backlog.forget_files(connection, batch_id, columns)
            artifact_digests.forget(connection, batch_id, folders)

        self._database.write(work)

    def find_open_batch(self) -> Batch | None:
        """The batch that holds a backlog now, if there is one."""
        with self._database.reading() as connection:
            return backlog.find_open(connection)

    def find_batch_by_version(self, challenger_version: str) -> Batch:
        """The batch that a challenger came from; NotFoundError if there is none."""
        with self._database.reading() as connection:
            return backlog.find_by_version(connection, challenger_version)

    def settle_backlog(self, batch_id: str, now: datetime) -> Batch:
        """Used if a challenger was registered, else released; idempotent. ConflictError if it was taken over."""
        return self._database.write_against_others(
            lambda c: backlog.settle(c, batch_id, now), f"settle the backlog of {batch_id}"
        )

    def release_batch(self, batch_id: str, now: datetime) -> Batch:
        """Gives the examples of an open batch back; idempotent. ConflictError if they were used."""
        return self._database.write_against_others(
            lambda c: backlog.release(c, batch_id, now), f"release the backlog of {batch_id}"
        )

    def half_life_of_version(self, model_version: str) -> float | None:
        """Half-life in days that a version was fitted with; None for one that no batch made."""
        with self._database.reading() as connection:
            return backlog.half_life_of_version(connection, model_version)

    def backlog_evidence(self, as_of: datetime) -> BacklogEvidence:
        """Size, prediction error and features of the backlog; see `insights.backlog_evidence`."""
        with self._database.reading() as connection:
            return insights.backlog_evidence(connection, as_of)
