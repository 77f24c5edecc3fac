"""The feedback store, on SQLite or PostgreSQL: every call is one transaction, unless it says that it is several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from recsys.feedback.brigading import BrigadingConfig, Burst
from recsys.feedback.handler import Impact, StoredDislike
from recsys.feedback.improvement import ImprovementNumbers, VersionFeedback
from recsys.feedback.lifts import Comparison
from recsys.feedback.patterns import DislikeSummary, Pattern
from recsys.feedback.triggers import BacklogEvidence
from recsys.files.digests import FileDigest
from recsys.records import (
    Batch,
    Dislike,
    Interaction,
    RecordedDislike,
    UserSignal,
)
from recsys.store import (
    artifact_digests,
    backlog,
    brigading,
    events,
    feedback_rows,
    impacts,
    improvement,
    insights,
)
from recsys.store.artifact_digests import ArtifactKind
from recsys.store.audit_store import AuditStore
from recsys.store.brigading import FlaggedBurst
from recsys.store.catalog_store import CatalogStore
from recsys.store.erasure_store import ErasureStore
from recsys.store.list_store import ListStore
from recsys.store.stream_reader import StreamReader
from recsys.store.table_sizes import ListsSize, read_lists_size


class FeedbackStore(StreamReader, CatalogStore, AuditStore, ListStore, ErasureStore):
    """The feedback database, as the loop uses it."""

    # Feedback

    def insert_interactions(self, rows: Sequence[Interaction], *, makes_placeholders: bool = False) -> int:
        """Writes interactions and returns how many are new; the same (user, item, kind, occurred_at) is kept once.

        An item that the catalog does not have is an InputError, or gets a placeholder.
        """
        return self.write(lambda c: feedback_rows.insert_interactions(c, rows, makes_placeholders=makes_placeholders))

    def record_dislikes(self, rows: Sequence[Dislike]) -> list[RecordedDislike]:
        """Writes dislikes with their negative examples, all or none; see `feedback_rows.record_dislikes`."""
        return self.write_against_others(lambda c: feedback_rows.record_dislikes(c, rows), "record dislikes")

    def record_and_read(self, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool]]:
        """`record_dislikes`, and in the same transaction what is stored now: per row, the dislike and whether it is new."""
        return self.write_against_others(lambda c: feedback_rows.record_and_read(c, rows), "record dislikes")

    def record_each(self, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool] | Exception]:
        """`record_and_read` for rows of which some may be refused: in one transaction, per row its result or its error.

        Raises:
            TransientError: if the database is not available; nothing was written.
        """
        return self.write_each(rows, lambda c, row: feedback_rows.record_and_read(c, [row])[0])

    def list_dislikes(self, user_id: str, limit: int = 100, before: int | None = None) -> list[StoredDislike]:
        """A user's dislikes that were not taken back, newest first; see `feedback_rows.list_dislikes`."""
        with self.reading() as connection:
            return feedback_rows.list_dislikes(connection, user_id, limit, before)

    def get_dislikes(self, dislike_ids: Iterable[int]) -> dict[int, StoredDislike]:
        """Dislikes by number, those that were taken back too."""
        with self.reading() as connection:
            return feedback_rows.get_dislikes(connection, dislike_ids)

    def retract_dislike(self, user_id: str, dislike_id: int, now: datetime) -> StoredDislike:
        """Takes a user's dislike back; idempotent. NotFoundError if this user has no such dislike."""
        return self.write(lambda c: feedback_rows.retract_dislike(c, user_id, dislike_id, now))

    def record_impact(self, impact: Impact) -> int:
        """Writes what a dislike did to a version, and returns the row's number."""
        return self.write(lambda c: impacts.insert_impact(c, impact))

    # Brigading

    def flag_brigading(self, as_of: datetime, config: BrigadingConfig, *, writes: bool = True) -> list[Burst]:
        """Bursts of dislikes as of a cut-off that look like brigading; flagged, unless `writes` is False."""

        def work(connection: Connection) -> list[Burst]:
            bursts = brigading.look_for_bursts(connection, as_of, config)
            if writes:
                brigading.flag(connection, bursts)
            return bursts

        if writes:
            return self.write(work)
        with self.reading() as connection:
            return work(connection)

    def list_bursts(self) -> list[FlaggedBurst]:
        """All bursts that were ever flagged, newest first."""
        with self.reading() as connection:
            return brigading.list_bursts(connection)

    def release_flagged(self, item_id: str, note: str, now: datetime) -> int:
        """Lets an item's held-back dislikes count from now on, and returns how many; NotFoundError if there are none."""
        return self.write(lambda c: brigading.release(c, item_id, note, now))

    # Backlog

    def count_backlog(self, as_of: datetime) -> int:
        """Negative examples recorded up to `as_of`, neither claimed nor used."""
        with self.reading() as connection:
            return backlog.count_backlog(connection, as_of)

    def claim_backlog(self, batch: Batch) -> Batch:
        """Opens the batch and claims the backlog as of its cut-off; see `backlog.claim`."""
        what = f"claim the backlog for run {batch.batch_id}"
        return self.write_against_others(lambda c: backlog.claim(c, batch), what)

    def update_batch(self, batch_id: str, **fields: Any) -> Batch:
        """Writes what a step left behind; ConflictError if the batch was released or taken over."""
        return self.write(lambda c: backlog.update_fields(c, batch_id, fields))

    def record_files(
        self, kind: ArtifactKind, batch_id: str, folder: str, files: Mapping[str, FileDigest], **fields: Any
    ) -> None:
        """Replaces the digests of one folder of a batch, and writes `fields` as `update_batch` does, or neither."""

        def work(connection: Connection) -> None:
            if fields:
                backlog.update_fields(connection, batch_id, fields)
            artifact_digests.record(connection, kind, batch_id, folder, files)

        self.write(work)

    def known_files(self, batch_id: str, *kinds: ArtifactKind) -> dict[str, FileDigest]:
        """Digests of a batch's files of some kinds, by path; see `recsys.store.artifact_digests`."""
        with self.reading() as connection:
            return artifact_digests.read(connection, kinds, batch_id)

    def find_maker(self, version: str) -> tuple[Batch, str] | None:
        """The batch that made a version, and which fit it is; None for a version that no batch of this database made."""
        with self.reading() as connection:
            return backlog.find_maker(connection, version)

    def get_batch(self, batch_id: str) -> Batch:
        """One batch; NotFoundError if there is none."""
        with self.reading() as connection:
            return backlog.read_batch(connection, batch_id)

    def list_batches(self) -> list[Batch]:
        """All batches, in the order of their cut-offs."""
        with self.reading() as connection:
            return backlog.list_batches(connection)

    def forget_files(self, batch_id: str, columns: Sequence[str], folders: Sequence[str] = ()) -> None:
        """Forgets where files of a closed batch were (`training_set_uri`, `data_docs_uri`), before they are removed.

        With the digests of what was in these folders of the batch.
        """

        def work(connection: Connection) -> None:
            backlog.forget_files(connection, batch_id, columns)
            artifact_digests.forget(connection, batch_id, folders)

        self.write(work)

    def find_open_batch(self) -> Batch | None:
        """The batch that holds a backlog now, if there is one."""
        with self.reading() as connection:
            return backlog.find_open(connection)

    def find_batch_by_version(self, challenger_version: str) -> Batch:
        """The batch that a challenger came from; NotFoundError if there is none."""
        with self.reading() as connection:
            return backlog.find_by_version(connection, challenger_version)

    def settle_backlog(self, batch_id: str, now: datetime) -> Batch:
        """Used if a challenger was registered, else released; idempotent. ConflictError if it was taken over."""
        return self.write_against_others(
            lambda c: backlog.settle(c, batch_id, now), f"settle the backlog of {batch_id}"
        )

    def release_batch(self, batch_id: str, now: datetime) -> Batch:
        """Gives the examples of an open batch back; idempotent. ConflictError if they were used."""
        return self.write_against_others(
            lambda c: backlog.release(c, batch_id, now), f"release the backlog of {batch_id}"
        )

    # What serving asks

    def lists_size(self) -> ListsSize:
        """Number of all lists and the space that they take."""
        with self.reading() as connection:
            return read_lists_size(connection)

    def half_life_of_version(self, model_version: str) -> float | None:
        """Half-life in days that a version was fitted with; None for one that no batch made."""
        with self.reading() as connection:
            return backlog.half_life_of_version(connection, model_version)

    def user_signals(self, user_id: str, as_of: datetime) -> list[UserSignal]:
        """What holds between a user and every item they met, as of a cut-off."""
        with self.reading() as connection:
            return events.read_user_signals(connection, user_id, as_of)

    def feedback_changed_at(self, user_id: str, through: datetime) -> datetime | None:
        """When a user's feedback last changed, of what changed up to a time; None for a user who gave none until then."""
        with self.reading() as connection:
            return events.feedback_changed_at(connection, user_id, through)

    # Insights: triggers, patterns, improvement metrics

    def backlog_evidence(self, as_of: datetime) -> BacklogEvidence:
        """Size, prediction error and features of the backlog; see `insights.backlog_evidence`."""
        with self.reading() as connection:
            return insights.backlog_evidence(connection, as_of)

    def dislike_summary(self, user_id: str | None, as_of: datetime, recent_days: int) -> DislikeSummary:
        """Reasons and recent trend of the dislikes that hold, of one user or of all."""
        with self.reading() as connection:
            return insights.dislike_summary(connection, user_id, as_of, recent_days)

    def overall_comparison(self, as_of: datetime, days: int) -> Comparison:
        """Dislikes of the newest days with feedback, by feature, against what users met then."""
        with self.reading() as connection:
            return insights.overall_comparison(connection, as_of, days)

    def user_comparisons(self, user_ids: Sequence[str], as_of: datetime) -> dict[str, Comparison]:
        """Each user's dislikes, by feature, against what they met."""
        with self.reading() as connection:
            return insights.user_comparisons(connection, user_ids, as_of)

    def users_with_new_dislikes(self, as_of: datetime, min_dislikes: int) -> list[str]:
        """Users with a dislike since the last measurement of patterns and so many in all, most new ones first."""
        with self.reading() as connection:
            return insights.users_with_new_dislikes(connection, as_of, min_dislikes)

    def replace_patterns(self, as_of: datetime, patterns: Sequence[Pattern]) -> int:
        """Makes `patterns` the ones of a cut-off, and returns how many; a retry replaces its own."""
        return self.write(lambda c: insights.replace_patterns(c, as_of, patterns))

    def list_patterns(self, user_id: str | None, as_of: datetime) -> list[Pattern]:
        """Patterns of the last measurement up to `as_of`, of one user or over all."""
        with self.reading() as connection:
            return insights.newest_patterns(connection, user_id, as_of)

    def improvement_numbers(self, as_of: datetime, period: timedelta) -> ImprovementNumbers:
        """What the improvement metrics are made of, from one snapshot; see `store.improvement`."""
        with self.reading() as connection:
            return improvement.improvement_numbers(connection, as_of, period)

    def version_feedback(self, as_of: datetime, period: timedelta) -> list[VersionFeedback]:
        """What users said of the lists served last, by version, in the order in which they began to serve."""
        with self.reading() as connection:
            return improvement.version_feedback(connection, as_of, period)
