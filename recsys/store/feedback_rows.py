"""Interactions and dislikes. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from recsys.errors import InputError
from recsys.feedback.dislike_checks import validate_dislike, validate_text
from recsys.feedback.handler import StoredDislike
from recsys.feedback.reinforcement import apply_dislike_to_training_data
from recsys.records import Dislike, DislikeReason, Interaction, RecordedDislike
from recsys.store.catalog import insert_into, require_items, resolve_dislikes, rows_with
from recsys.store.tables import interactions, negative_training_examples, recommendation_sets, user_dislikes

Key = tuple[str, str | None]


def insert_interactions(connection: Connection, rows: Sequence[Interaction]) -> int:
    """Writes interactions; the same (user, item, kind, occurred_at) is kept once. Returns how many were new."""
    for row in rows:
        _validate_interaction(row)
    require_items(connection, (row.item_id for row in rows))
    if not rows:
        return 0
    statement: Any = insert_into(connection, interactions)
    new = connection.execute(
        statement.on_conflict_do_nothing().returning(interactions.c.interaction_id),
        [
            {
                "user_id": row.user_id, "item_id": row.item_id, "kind": row.kind, "value": row.value,
                "is_like": row.is_like, "occurred_at": row.occurred_at, "recorded_at": row.recorded_at,
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
    """
    for row in rows:
        validate_dislike(row)
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
    ids = _insert_dislikes(connection, fresh)
    seen: set[int] = set()
    recorded = []
    for row, slot in zip(rows, slots, strict=True):
        dislike_id = known[(row.user_id, row.idempotency_key)] if slot is None else ids[slot]
        recorded.append(RecordedDislike(dislike_id, is_new=slot is not None and slot not in seen))
        if slot is not None:
            seen.add(slot)
    return recorded


def _known_keys(connection: Connection, rows: Sequence[Dislike]) -> dict[Key, int]:
    table = user_dislikes.c
    wanted = sorted({row.idempotency_key for row in rows if row.idempotency_key is not None})
    query = select(table.dislike_id, table.user_id, table.idempotency_key)
    # May find the same key of other users too, which does no harm.
    found = rows_with(connection, query, table.idempotency_key, wanted)
    return {(row.user_id, row.idempotency_key): row.dislike_id for row in found}


def _insert_dislikes(connection: Connection, rows: Sequence[Dislike]) -> list[int]:
    if not rows:
        return []
    _require_recommendation_sets(connection, rows)
    resolved = resolve_dislikes(connection, rows)
    statement = insert(user_dislikes).returning(user_dislikes.c.dislike_id, sort_by_parameter_order=True)
    ids = list(connection.scalars(statement, [_to_row(dislike) for dislike in resolved]))
    examples = [
        _example(dislike_id, dislike)
        for dislike_id, dislike in zip(ids, resolved, strict=True)
        if dislike.reason != DislikeReason.ALREADY_WATCHED
    ]
    if examples:
        connection.execute(insert(negative_training_examples), examples)
    return ids


def _require_recommendation_sets(connection: Connection, rows: Sequence[Dislike]) -> None:
    column = recommendation_sets.c.recommendation_set_id
    wanted = {row.recommendation_set_id for row in rows if row.recommendation_set_id is not None}
    missing = wanted - {row.recommendation_set_id for row in rows_with(connection, select(column), column, wanted)}
    if missing:
        raise InputError(
            f"Expected the id of a published recommendation set, got {', '.join(map(str, sorted(missing)[:5]))}, which "
            "does not exist. Nothing was written; leave recommendation_set_id out if the set is gone."
        )


def _to_row(dislike: Dislike) -> dict[str, Any]:
    return {
        "user_id": dislike.user_id, "movie_id": dislike.movie_id, "movie_title": dislike.movie_title,
        "item_id": dislike.item_id, "recommendation_set_id": dislike.recommendation_set_id,
        "predicted_score": dislike.predicted_score, "reason": str(dislike.reason),
        "feedback_text": dislike.feedback_text, "genres": list(dislike.genres), "cast_members": list(dislike.cast),
        "idempotency_key": dislike.idempotency_key, "created_at": dislike.created_at,
        "recorded_at": dislike.recorded_at,
    }  # fmt: skip


def _example(dislike_id: int, dislike: Dislike) -> dict[str, Any]:
    example = apply_dislike_to_training_data(
        dislike.user_id, dislike.movie_id, dislike.movie_title, dislike.predicted_score
    )
    return {
        "dislike_id": dislike_id, "user_id": example.user_id, "movie_id": example.movie_id,
        "movie_title": example.movie_title, "item_id": dislike.item_id, "actual_rating": example.actual_rating,
        "predicted_rating": example.predicted_rating, "error": example.error, "weight": example.weight,
        "used_in_training": False, "recorded_at": dislike.recorded_at,
    }  # fmt: skip


def list_dislikes(connection: Connection, user_id: str, limit: int) -> list[StoredDislike]:
    """A user's dislikes that were not taken back, newest first."""
    table = user_dislikes.c
    query = (
        select(user_dislikes)
        .where(table.user_id == user_id, table.retracted_at.is_(None))
        .order_by(table.created_at.desc(), table.dislike_id.desc())
        .limit(limit)
    )
    return [StoredDislike(row.dislike_id, _to_dislike(row)) for row in connection.execute(query)]


def _to_dislike(row: Row[Any]) -> Dislike:
    created_at: datetime = row.created_at
    return Dislike(
        user_id=row.user_id, created_at=created_at, recorded_at=row.recorded_at, item_id=row.item_id,
        movie_id=row.movie_id, movie_title=row.movie_title, reason=DislikeReason(row.reason),
        feedback_text=row.feedback_text, predicted_score=row.predicted_score,
        recommendation_set_id=row.recommendation_set_id, idempotency_key=row.idempotency_key,
        genres=tuple(row.genres), cast=tuple(row.cast_members),
    )  # fmt: skip
