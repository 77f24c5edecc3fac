"""What the API answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from recsys.feedback.handler import StoredDislike
from recsys.records import DislikeReason, Item, RecommendationSet, SetKind
from recsys.store.erasures import Erasure


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)


class DislikeAnswer(Answer):
    """A recorded dislike. The same idempotency key gets the same answer again, also after the dislike was taken back."""

    dislike_id: int
    """For undoing it: `DELETE /api/dislike/{dislike_id}`."""
    item_id: str
    """The film in the catalog."""
    item_is_known: bool
    """False: the catalog had no such film, a placeholder was made."""
    title: str
    """The film's title."""
    reason: DislikeReason
    """What was given, or `unspecified`."""
    adjustments: dict[str, float]
    """What it changes at once in this user's lists: feature (`genre:Action`) -> change of its importance."""
    recommendation_set_id: int | None
    """The list that showed the film to this user, as far as it is known."""
    recommendation_set_is_known: bool | None
    """Whether the given `recommendation_set_id` names a list of this user; null: none was given."""
    created_at: datetime
    """When the user clicked."""

    @classmethod
    def of(cls, stored: StoredDislike, given_set: int | None) -> DislikeAnswer:
        """The answer to a stored dislike."""
        dislike = stored.dislike
        return cls(
            dislike_id=stored.dislike_id, item_id=str(dislike.item_id), item_is_known=dislike.item_was_known,
            title=str(dislike.movie_title), reason=dislike.reason, adjustments=stored.adjustments,
            recommendation_set_id=dislike.recommendation_set_id,
            recommendation_set_is_known=None if given_set is None else given_set == dislike.recommendation_set_id,
            created_at=dislike.created_at,
        )  # fmt: skip


class HistoryEntry(Answer):
    """A dislike that was not taken back."""

    dislike_id: int
    item_id: str
    movie_id: int | None
    title: str
    reason: DislikeReason
    feedback_text: str | None
    genres: list[str]
    cast: list[str]
    predicted_score: float | None
    """What the model had predicted, 0 to 1; null where no list is known that showed the film."""
    recommendation_set_id: int | None
    adjustments: dict[str, float]
    item_is_known: bool
    created_at: datetime

    @classmethod
    def of(cls, stored: StoredDislike) -> HistoryEntry:
        """The entry for a stored dislike."""
        dislike = stored.dislike
        return cls(
            dislike_id=stored.dislike_id, item_id=str(dislike.item_id), movie_id=dislike.movie_id,
            title=str(dislike.movie_title), reason=dislike.reason, feedback_text=dislike.feedback_text,
            genres=list(dislike.genres), cast=list(dislike.cast), predicted_score=dislike.predicted_score,
            recommendation_set_id=dislike.recommendation_set_id, adjustments=stored.adjustments,
            item_is_known=dislike.item_was_known, created_at=dislike.created_at,
        )  # fmt: skip


class HistoryAnswer(Answer):
    """One page of a user's dislikes, newest first."""

    dislikes: list[HistoryEntry]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: this is the last one."""


class UndoAnswer(Answer):
    """A dislike that was taken back: its adjustments and its negative example are gone."""

    dislike_id: int
    item_id: str
    title: str
    reason: DislikeReason
    undone_adjustments: dict[str, float]
    """What it had changed in this user's lists."""
    retracted_at: datetime
    """When it was taken back first; undoing twice is the same as once."""


class InteractionsAnswer(Answer):
    """How many signals came, and how many were not stored already."""

    num_received: int
    num_new: int


class Entry(Answer):
    """One slot of a list."""

    rank: int
    item_id: str
    title: str
    genres: list[str]
    score: float
    predicted_score: float | None
    """The chance that this user likes the film, 0 to 1."""
    reason: str
    contributions: dict[str, float]
    """Signed terms that sum to `score`."""


class RecommendationsAnswer(Answer):
    """A list, adjusted by all feedback up to now."""

    recommendation_set_id: int
    """Send it along with a dislike of one of these films."""
    model_version: str
    as_of: datetime
    """The model knows what was recorded up to here."""
    created_at: datetime
    kind: SetKind
    """`adjusted`: made from a published list when it was served."""
    recommendations: list[Entry]

    @classmethod
    def of(cls, found: RecommendationSet, items: dict[str, Item]) -> RecommendationsAnswer:
        """The answer for a list; `items`: of its entries."""
        entries = [
            Entry(
                rank=entry.rank, item_id=entry.item_id,
                title=items[entry.item_id].title if entry.item_id in items else entry.item_id,
                genres=list(items[entry.item_id].genres) if entry.item_id in items else [],
                score=entry.score, predicted_score=entry.predicted_score, reason=entry.reason,
                contributions=entry.contributions,
            )
            for entry in found.entries
        ]  # fmt: skip
        assert found.recommendation_set_id is not None
        return cls(
            recommendation_set_id=found.recommendation_set_id, model_version=found.model_version, as_of=found.as_of,
            created_at=found.created_at, kind=found.kind, recommendations=entries,
        )  # fmt: skip


class ErasureAnswer(Answer):
    """Proof that a user was erased; the audit keeps the same."""

    erasure_id: int
    user_hash: str
    """Names the user to whoever knows the id, and to nobody else."""
    erased_at: datetime
    num_rows: dict[str, int]
    """Table -> rows deleted."""
    batches: list[dict[str, Any]]
    """Training batches whose data held the user."""
    model_versions: list[str]
    """Versions that were fitted on them; the next training is without the user."""

    @classmethod
    def of(cls, erasure: Erasure) -> ErasureAnswer:
        """The answer for an erasure."""
        return cls(
            erasure_id=erasure.erasure_id or 0, user_hash=erasure.user_hash, erased_at=erasure.erased_at,
            num_rows=erasure.num_rows, batches=list(erasure.batches), model_versions=list(erasure.model_versions),
        )  # fmt: skip


class PatternsAnswer(BaseModel):
    """What dislikes have in common."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    reason_distribution: dict[str, int]
    """Reason -> dislikes."""
    recent_trend: dict[str, Any]
    """`total_dislikes` and `avg_predicted_score` of the last days."""
    total_dislikes: int


class MetricsAnswer(BaseModel):
    """How the loop does."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    total_negative_examples: int
    avg_prediction_error: float | None
    max_error: float | None
    min_error: float | None
    average_dislike_predicted_score: float | None


class Status(Answer):
    """Whether the service is well."""

    status: str
