"""Interactions and dislikes. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, insert, or_, select, update

from recsys.errors import InputError, NotFoundError
from recsys.feedback.handler import StoredDislike
from recsys.feedback.reasons import REASON_EFFECTS
from recsys.feedback.reinforcement import apply_dislike_to_training_data
from recsys.records import Dislike, DislikeReason, Interaction, RecordedDislike
from recsys.store.catalog import insert_into, make_placeholders, require_items, resolve_dislikes, rows_with
from recsys.store.impacts import insert_immediate_impacts, read_adjustments
from recsys.store.tables import interactions, negative_training_examples, user_dislikes
from recsys.store.tombstones import require_not_erased
from recsys.store.tracker import track
from recsys.validation import validate_dislike, validate_text

Key = tuple[str, str | None]


def insert_interactions(
    connection: Connection, rows: Sequence[Interaction], *, makes_placeholders: bool = False
) -> int:
    """Writes interactions; the same (user, item, kind, occurred_at) is kept once. Returns how many were new.

    An item that the catalog does not have is an error, or gets a placeholder.

    Raises:
        ErasedError: if one of the users is erased.
    """
    for row in rows:
        _validate_interaction(row)
    require_not_erased(connection, {row.user_id for row in rows})
    (make_placeholders if makes_placeholders else require_items)(connection, [row.item_id for row in rows])
    if not rows:
        return 0
    statement: Any = insert_into(connection, interactions)
    new = connection.execute(
        statement.on_conflict_do_nothing().returning(interactions.c.interaction_id),
        [
            {
                "user_id": row.user_id, "item_id": row.item_id, "kind": row.kind, "value": row.value,
                "is_like": row.is_like, "occurred_at": row.occurred_at, "recorded_at": row.recorded_at,
                "imported_at": row.imported_at,
            }
            for row in rows
        ],
    )  # fmt: skip
    return len(new.all())


def _validate_interaction(row: Interaction) -> None:
    if not row.user_id or not row.kind:
        raise InputError(f"Expected an interaction with user_id and kind, got {row}.")
    for name, moment in (("occurred_at", row.occurred_at), ("recorded_at", row.recorded_at)):
        if moment.tzinfo is None:
            raise InputError(f"Expected {name} with a time zone, got {moment.isoformat()}: say which zone is meant.")
    if row.recorded_at < row.occurred_at:
        raise InputError(
            f"Expected recorded_at at or after occurred_at, got {row.recorded_at.isoformat()} before "
            f"{row.occurred_at.isoformat()} for user {row.user_id}, item {row.item_id}."
        )
    validate_text(row.user_id)
    validate_text(row.kind)


def record_dislikes(connection: Connection, rows: Sequence[Dislike]) -> list[RecordedDislike]:
    """Writes dislikes, each with its negative example; `already_watched` gets none, it only filters.

    A user's idempotency key that is there already names the first dislike, whatever the new one says. The result is in
    the order of `rows`.

    Raises:
        ErasedError: if one of the users is erased; it names them.
    """
    return [RecordedDislike(number, is_new) for number, is_new, _ in _record(connection, rows)]


def record_and_read(connection: Connection, rows: Sequence[Dislike]) -> list[tuple[StoredDislike, bool]]:
    """`record_dislikes`, with what is stored now, in the order of `rows`.

    Raises:
        NotFoundError: if the dislike that a known key names was erased at the same time; a second try is a new dislike.
    """
    recorded = _record(connection, rows)
    before = [number for number, _, made in recorded if made is None]
    stored = get_dislikes(connection, before) if before else {}
    if gone := [number for number in before if number not in stored]:
        raise NotFoundError(f"Expected dislike {gone[0]}, but it was erased while it was looked up: try again.")
    return [(made or stored[number], is_new) for number, is_new, made in recorded]


def _record(connection: Connection, rows: Sequence[Dislike]) -> list[tuple[int, bool, StoredDislike | None]]:
    """Per row: number, whether this row made it, and what was stored, unless that happened before.

    Whatever way a dislike came in, it passes here, and is checked here.
    """
    for row in rows:
        validate_dislike(row)
    require_not_erased(connection, {row.user_id for row in rows})
    known = _known_keys(connection, rows)
    fresh: list[Dislike] = []
    slots: list[int | None] = []  # per row: its place in `fresh`, or None for one that is known
    place_of: dict[Key, int] = {}
    for row in rows:
        key = (row.user_id, row.idempotency_key)
        if row.idempotency_key is not None and key in known:
            slots.append(None)
        elif row.idempotency_key is not None and key in place_of:
            slots.append(place_of[key])
        else:
            place_of[key] = len(fresh)
            slots.append(len(fresh))
            fresh.append(row)
    made = _insert_dislikes(connection, fresh)
    seen: set[int] = set()
    recorded: list[tuple[int, bool, StoredDislike | None]] = []
    for row, slot in zip(rows, slots, strict=True):
        if slot is None:
            recorded.append((known[(row.user_id, row.idempotency_key)], False, None))
        else:
            recorded.append((made[slot].dislike_id, slot not in seen, made[slot]))
            seen.add(slot)
    return recorded


def _known_keys(connection: Connection, rows: Sequence[Dislike]) -> dict[Key, int]:
    table = user_dislikes.c
    wanted = sorted({row.idempotency_key for row in rows if row.idempotency_key is not None})
    query = select(table.dislike_id, table.user_id, table.idempotency_key)
    # May find the same key of other users too, which does no harm.
    found = rows_with(connection, query, table.idempotency_key, wanted)
    return {(row.user_id, row.idempotency_key): row.dislike_id for row in found}


def _insert_dislikes(connection: Connection, rows: Sequence[Dislike]) -> list[StoredDislike]:
    if not rows:
        return []
    resolved = resolve_dislikes(connection, rows)
    tracked = track(connection, [dislike for dislike, _ in resolved])
    statement = insert(user_dislikes).returning(user_dislikes.c.dislike_id, sort_by_parameter_order=True)
    ids = list(connection.scalars(statement, [_to_row(dislike) for dislike in tracked]))
    examples = [
        _example(dislike_id, dislike)
        for dislike_id, dislike in zip(ids, tracked, strict=True)
        if REASON_EFFECTS[dislike.reason].trains
    ]
    if examples:
        connection.execute(insert(negative_training_examples), examples)
    items = [item for _, item in resolved]
    adjusted = insert_immediate_impacts(connection, list(zip(ids, tracked, items, strict=True)))
    return [
        StoredDislike(number, _in_utc(dislike), None, features)
        for number, dislike, features in zip(ids, tracked, adjusted, strict=True)
    ]


def _in_utc(dislike: Dislike) -> Dislike:
    """As it will be read back."""
    moments = {name: getattr(dislike, name) for name in ("created_at", "recorded_at", "imported_at")}
    return replace(dislike, **{name: at.astimezone(UTC) for name, at in moments.items() if at is not None})


def _to_row(dislike: Dislike) -> dict[str, Any]:
    return {
        "user_id": dislike.user_id, "movie_id": dislike.movie_id, "movie_title": dislike.movie_title,
        "item_id": dislike.item_id, "recommendation_set_id": dislike.recommendation_set_id,
        "predicted_score": dislike.predicted_score, "claimed_score": dislike.claimed_score,
        "item_was_known": dislike.item_was_known, "reason": str(dislike.reason),
        "feedback_text": dislike.feedback_text, "genres": list(dislike.genres), "cast_members": list(dislike.cast),
        "idempotency_key": dislike.idempotency_key, "created_at": dislike.created_at,
        "recorded_at": dislike.recorded_at, "imported_at": dislike.imported_at,
    }  # fmt: skip


def _example(dislike_id: int, dislike: Dislike) -> dict[str, Any]:
    example = apply_dislike_to_training_data(
        dislike.user_id, dislike.movie_id, dislike.movie_title, dislike.predicted_score, dislike.reason
    )
    return {
        "dislike_id": dislike_id, "user_id": example.user_id, "movie_id": example.movie_id,
        "movie_title": example.movie_title, "item_id": dislike.item_id, "actual_rating": example.actual_rating,
        "predicted_rating": example.predicted_rating, "error": example.error, "weight": example.weight,
        "used_in_training": False, "recorded_at": dislike.recorded_at,
    }  # fmt: skip


def list_dislikes(connection: Connection, user_id: str, limit: int, before: int | None = None) -> list[StoredDislike]:
    """A user's dislikes that were not taken back, newest first.

    Args:
        connection: in a transaction.
        user_id: whose.
        limit: at most so many.
        before: only what comes after this dislike of the user in the list: the last one of the page before.

    Raises:
        InputError: if `before` is no dislike of this user.
    """
    table = user_dislikes.c
    query = (
        select(user_dislikes)
        .where(table.user_id == user_id, table.retracted_at.is_(None))
        .order_by(table.created_at.desc(), table.dislike_id.desc())
        .limit(limit)
    )
    if before is not None:
        last = connection.execute(
            select(table.created_at).where(table.dislike_id == before, table.user_id == user_id)
        ).one_or_none()
        if last is None:
            raise InputError(
                f"Expected the cursor of a page of this user's dislikes, got {before}: take it from the last answer."
            )
        query = query.where(
            or_(
                table.created_at < last.created_at, and_(table.created_at == last.created_at, table.dislike_id < before)
            )
        )
    return _read(connection, query)


def get_dislikes(connection: Connection, dislike_ids: Iterable[int]) -> dict[int, StoredDislike]:
    """Dislikes by number, those that were taken back too."""
    rows = rows_with(connection, select(user_dislikes), user_dislikes.c.dislike_id, set(dislike_ids))
    return {stored.dislike_id: stored for stored in _stored(connection, rows)}


def retract_dislike(connection: Connection, user_id: str, dislike_id: int, now: datetime) -> StoredDislike:
    """Takes a dislike back; again, it stays as it is.

    Raises:
        ErasedError: if the user is erased.
        NotFoundError: if this user has no such dislike.
    """
    require_not_erased(connection, [user_id])
    table = user_dislikes.c
    own = (table.dislike_id == dislike_id) & (table.user_id == user_id)
    row = connection.execute(select(user_dislikes).where(own).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError(f"Expected the number of a dislike of this user, got {dislike_id}, which is none.")
    if row.retracted_at is None:
        # Clocks of two servers may differ by more than it took to change one's mind.
        moment = max(now, row.recorded_at)
        connection.execute(update(user_dislikes).where(own).values(retracted_at=moment))
    return _read(connection, select(user_dislikes).where(own))[0]


def _read(connection: Connection, query: Select[Any]) -> list[StoredDislike]:
    return _stored(connection, connection.execute(query).all())


def _stored(connection: Connection, rows: Sequence[Row[Any]]) -> list[StoredDislike]:
    adjustments = read_adjustments(connection, [row.dislike_id for row in rows])
    return [
        StoredDislike(row.dislike_id, _to_dislike(row), row.retracted_at, adjustments.get(row.dislike_id, {}))
        for row in rows
    ]


def _to_dislike(row: Row[Any]) -> Dislike:
    created_at: datetime = row.created_at
    return Dislike(
        user_id=row.user_id, created_at=created_at, recorded_at=row.recorded_at, item_id=row.item_id,
        movie_id=row.movie_id, movie_title=row.movie_title, reason=DislikeReason(row.reason),
        feedback_text=row.feedback_text, predicted_score=row.predicted_score, claimed_score=row.claimed_score,
        item_was_known=row.item_was_known,
        recommendation_set_id=row.recommendation_set_id, idempotency_key=row.idempotency_key,
        genres=tuple(row.genres), cast=tuple(row.cast_members), imported_at=row.imported_at,
    )  # fmt: skip
