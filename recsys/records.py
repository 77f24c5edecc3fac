"""Value types that cross module borders; of our own they know errors and settings only.

All datetimes are timezone-aware UTC. Ids are strings, except database sequence numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError


class DislikeReason(StrEnum):
    """Why a user disliked an item."""

    WRONG_GENRE = "wrong_genre"
    POOR_QUALITY = "poor_quality"
    NOT_INTERESTED = "not_interested"
    TIRED_OF_FRANCHISE = "tired_of_franchise"
    ALREADY_WATCHED = "already_watched"  # filters the item; never trains
    UNSPECIFIED = "unspecified"


def parse_reason(reason: str) -> DislikeReason:
    """The reason with this name.

    Raises:
        InputError: listing the known ones.
    """
    try:
        return DislikeReason(reason)
    except ValueError as error:
        raise InputError(f"Expected a reason from {', '.join(DislikeReason)}, got {reason!r}.") from error


class BatchStatus(StrEnum):
    """Life of a training batch: claimed -> used, or claimed -> released (-> claimed again by its own run)."""

    CLAIMED = "claimed"
    USED = "used"
    RELEASED = "released"


class PromotionKind(StrEnum):
    """How a version became champion."""

    PROMOTION = "promotion"  # it passed the gate
    ROLLBACK = "rollback"  # a person took an earlier champion back


class SetKind(StrEnum):
    """Where a recommendation set comes from."""

    PUBLISHED = "published"  # the champion's list, as the nightly publishing wrote it
    ADJUSTED = "adjusted"  # made from a published one when it was served: filtered and adjusted by newer feedback


@dataclass(frozen=True)
class Item:
    """One film of the catalog. `is_placeholder`: known only from feedback, no metadata yet.

    `available_from` <= time < `available_until`: when it may be recommended; `is_hidden`: it may not be at all.
    """

    item_id: str
    title: str
    genres: tuple[str, ...] = ()
    cast: tuple[str, ...] = ()
    franchise: str | None = None
    release_year: int | None = None
    tmdb_id: int | None = None
    imdb_id: str | None = None
    is_placeholder: bool = False
    tags: tuple[str, ...] = ()
    available_from: datetime | None = None
    available_until: datetime | None = None
    is_hidden: bool = False

    def is_eligible(self, rule: EligibilityRule, at: datetime) -> bool:
        """Whether it may be recommended at a time: available then, not hidden, and admitted by a version's rule.

        Training sees all items; lists hold only eligible ones, without those that their user has excluded.
        """
        if self.is_hidden or (self.available_from is not None and at < self.available_from):
            return False
        if self.available_until is not None and at >= self.available_until:
            return False
        return rule.admits(self.release_year, self.genres, self.tags)


@dataclass(frozen=True)
class Interaction:
    """Any user-item signal but a dislike. `is_like`: it trains as a positive; otherwise it only marks `seen`.

    `imported_at`: by the wall clock; None if it was recorded here when it happened.
    """

    user_id: str
    item_id: str
    kind: str  # rating | click | watch | like
    occurred_at: datetime
    recorded_at: datetime
    is_like: bool
    value: float | None = None
    imported_at: datetime | None = None


@dataclass(frozen=True)
class Dislike:
    """An explicit thumbs-down. `created_at`: when it happened; `recorded_at`: when it was recorded.

    `item_id` or `movie_id` (TMDB) or at least `movie_title` names the film; the store resolves the rest and makes a
    placeholder item for a film it does not know. The same `idempotency_key` twice is one dislike.

    `predicted_score`: what the model had predicted, 0 to 1. Where the user was given the item in a recommendation set, the
    store takes it from there, whatever stands here; `claimed_score` keeps what a client said, for the record only.
    `item_was_known`: set by the store; False if the catalog had no such film.
    `imported_at`: by the wall clock; None if it was recorded here when it happened.

    What it must be to be recorded: `recsys.validation.validate_dislike`.
    """

    user_id: str
    created_at: datetime
    recorded_at: datetime
    item_id: str | None = None
    movie_id: int | None = None
    movie_title: str | None = None
    reason: DislikeReason = DislikeReason.UNSPECIFIED
    feedback_text: str | None = None
    predicted_score: float | None = None
    claimed_score: float | None = None
    recommendation_set_id: int | None = None
    idempotency_key: str | None = None
    genres: tuple[str, ...] = ()
    cast: tuple[str, ...] = ()
    item_was_known: bool = True
    imported_at: datetime | None = None

    @property
    def known_at(self) -> datetime:
        """When this machine learned of it, by the wall clock."""
        return self.imported_at or self.recorded_at


@dataclass(frozen=True)
class RecordedDislike:
    """What `record_dislikes` did: the row's id, and whether this call made it (False: it was there already)."""

    dislike_id: int
    is_new: bool


@dataclass(frozen=True)
class Batch:
    """One run's claim on the backlog, and what its steps left behind (a row of `training_batches`).

    Attributes:
        batch_id: the run's id; a retry of the run finds its own batch.
        as_of: cut-off T on `recorded_at`.
        fit_through: D1, with D0 <= D1 <= T. The challenger is fitted on events up to D1 and evaluated on (D1, T].
        champion_version: registry version of the champion when the batch was claimed; None if there was none.
        num_examples: negative examples that the batch claimed.
        config: what was set for the run.
        planned_half_life_days: of the sample weights, where `config` leaves it to the stream's length; None in rows that are
            older than it.
        rule: what its versions may recommend, where `config` leaves it to the champion.
        kept_trial: what the champion's candidate was worth, where it is fitted again and no other is tried.
    """

    batch_id: str
    as_of: datetime
    fit_through: datetime
    champion_version: str | None
    status: BatchStatus
    num_examples: int
    config: RunConfig
    claimed_at: datetime
    lease_expires_at: datetime
    training_set_uri: str | None = None
    training_set_digest: str | None = None
    num_rows: int | None = None
    data_docs_uri: str | None = None
    challenger_version: str | None = None
    refit_version: str | None = None
    evidence_uri: str | None = None
    settled_at: datetime | None = None
    planned_half_life_days: float | None = None
    rule: EligibilityRule = field(default_factory=EligibilityRule)
    kept_trial: dict[str, Any] | None = None

    @property
    def half_life_days(self) -> float:
        """Of the sample weights.

        Raises:
            InputError: if the batch was never planned.
        """
        if self.planned_half_life_days is None:
            raise InputError(
                f"Expected batch {self.batch_id} to have the half-life of its sample weights, found none: start a new run."
            )
        return self.planned_half_life_days


@dataclass(frozen=True)
class Decision:
    """One entry of the decision ledger: what a step of a run decided, why, with the numbers. One per (run, step)."""

    run_id: str
    step: str
    # check_backlog: skip | retrain; decide_promotion: promote | reject | insufficient_evidence;
    # await_approval: pending | approve | reject
    verdict: str
    reasons: tuple[str, ...]
    as_of: datetime
    recorded_at: datetime
    numbers: dict[str, Any] = field(default_factory=dict)
    decision_id: int | None = None


@dataclass(frozen=True)
class Promotion:
    """A row of the promotion audit. `sequence` is 1, 2, 3 ...: two promotions from one champion cannot both be written.

    `is_complete` is False between the intent (this row) and the alias having been moved: whoever finds such a row
    finishes it. `approved_by`, `approved_at`: who let it pass, where a person was asked; of a rollback, who wanted it.
    """

    sequence: int
    run_id: str
    from_version: str | None
    to_version: str
    reason: str
    created_at: datetime
    is_complete: bool
    completed_at: datetime | None = None
    kind: PromotionKind = PromotionKind.PROMOTION
    approved_by: str | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True)
class RecommendationEntry:
    """One slot of a list.

    `contributions`: signed terms, name -> value, that sum to `score`. `predicted_score`: the score as the chance that a
    user with an opinion likes the item, 0 to 1; None if the version was not calibrated.
    """

    rank: int
    item_id: str
    score: float
    reason: str
    contributions: dict[str, float]
    predicted_score: float | None = None


@dataclass(frozen=True)
class RecommendationSet:
    """One list served or published. `user_id` None: the list for users without one of their own.

    `calibration`: how the version turns a score into a chance of being liked; see `recsys.model.calibration`.
    `adjustment_power`: how the version answers to feature adjustments; see `recsys.feedback.adjustments`.
    `publication_id`: of a list that was read, the publication that it was served from; of an adjusted one, made from.
    """

    user_id: str | None
    model_version: str
    as_of: datetime
    created_at: datetime
    entries: tuple[RecommendationEntry, ...]
    recommendation_set_id: int | None = None
    kind: SetKind = SetKind.PUBLISHED
    calibration: dict[str, Any] | None = None
    adjustment_power: float = 1.0
    publication_id: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class UserSignal:
    """What holds between a user and an item: the newest opinion, or that they met it.

    `signal` is like, dislike or seen; `reason` is empty for anything but a dislike.
    """

    item_id: str
    signal: str
    reason: str
    occurred_at: datetime
