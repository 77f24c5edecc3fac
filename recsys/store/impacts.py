"""What dislikes did to the model, in `dislike_feedback_impact`. Every function works in the caller's transaction.

A dislike acts twice: at once, on what its user is served under the version that is champion then, and in training, as a
negative example of the version that was fitted with it. Both are written, each with its version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, literal, select, update

from recsys.errors import InputError
from recsys.feedback.adjustments import calculate_feature_adjustment_from_dislike
from recsys.feedback.handler import Impact
from recsys.records import Dislike, DislikeReason, Item
from recsys.store.catalog import rows_with
from recsys.store.tables import (
    dislike_feedback_impact,
    model_promotions,
    negative_training_examples,
    user_dislikes,
)

DEEMPHASIS = "_deemphasis"  # ends the impact types that adjust a feature: genre_deemphasis, ...
FILTER = "filter"
NEGATIVE_EXAMPLE = "negative_example"


def item_feature(item_id: str) -> str:
    """How an impact on one item names it."""
    return f"item:{item_id}"


def insert_immediate_impacts(
    connection: Connection, recorded: Sequence[tuple[int, Dislike, Item]]
) -> list[dict[str, float]]:
    """Writes what new dislikes do at once: adjusted features, filtered items. Returns the former, dislike by dislike."""
    adjusted = [_adjusted_features(dislike, item) for _, dislike, item in recorded]
    impacts = [
        impact
        for (number, dislike, item), features in zip(recorded, adjusted, strict=True)
        for impact in _immediate(number, dislike, item, features)
    ]
    if impacts:
        version = champion_query().scalar_subquery()
        connection.execute(insert(dislike_feedback_impact).values(model_version_id=version), impacts)
    return adjusted


def _adjusted_features(dislike: Dislike, item: Item) -> dict[str, float]:
    return calculate_feature_adjustment_from_dislike(
        dislike.reason, item.genres or dislike.genres, item.cast or dislike.cast, item.franchise
    )


def _immediate(dislike_id: int, dislike: Dislike, item: Item, adjusted: dict[str, float]) -> Iterable[dict[str, Any]]:
    row = {"dislike_id": dislike_id, "applied_at": dislike.known_at}
    if dislike.reason == DislikeReason.ALREADY_WATCHED:
        yield {
            **row,
            "impact_type": FILTER,
            "feature_affected": item_feature(item.item_id),
            "adjustment_magnitude": -1.0,
        }
    for feature, magnitude in adjusted.items():
        kind = feature.partition(":")[0]
        yield {
            **row, "impact_type": kind + DEEMPHASIS, "feature_affected": feature, "adjustment_magnitude": magnitude,
        }  # fmt: skip


def insert_training_impacts(connection: Connection, batch_id: str, model_version: str, now: datetime) -> None:
    """Writes that the negative examples of a batch trained a version."""
    examples = negative_training_examples.c
    columns = (
        "dislike_id",
        "model_version_id",
        "impact_type",
        "feature_affected",
        "adjustment_magnitude",
        "applied_at",
    )
    rows = (
        select(
            examples.dislike_id,
            literal(model_version),
            literal(NEGATIVE_EXAMPLE),
            literal(item_feature("")) + examples.item_id,
            -examples.weight,
            literal(now, dislike_feedback_impact.c.applied_at.type),
        )
        .join_from(negative_training_examples, user_dislikes)
        .where(examples.batch_id == batch_id)
    )
    # Of a dislike that is being erased: waits, and then leaves it out.
    rows = rows.with_for_update(of=user_dislikes, read=True, key_share=True)
    connection.execute(insert(dislike_feedback_impact).from_select(columns, rows))


def name_training_version(connection: Connection, batch_id: str, model_version: str) -> None:
    """Names another version that the negative examples of a batch trained: the one before was made anew."""
    examples, table = negative_training_examples.c, dislike_feedback_impact.c
    own = select(examples.dislike_id).where(examples.batch_id == batch_id)
    connection.execute(
        update(dislike_feedback_impact)
        .where(table.impact_type == NEGATIVE_EXAMPLE, table.dislike_id.in_(own))
        .values(model_version_id=model_version)
    )


def insert_impact(connection: Connection, impact: Impact) -> int:
    """Writes one impact and returns its number.

    Raises:
        InputError: if there is no such dislike.
    """
    known = select(user_dislikes.c.dislike_id).where(user_dislikes.c.dislike_id == impact.dislike_id)
    if connection.execute(known.with_for_update(read=True, key_share=True)).one_or_none() is None:
        raise InputError(f"Expected the number of a recorded dislike, got {impact.dislike_id}, which is none.")
    statement = insert(dislike_feedback_impact).returning(dislike_feedback_impact.c.impact_id)
    return int(connection.scalars(statement, [asdict(impact)]).one())


def champion_query() -> Select[tuple[str]]:
    """Selects the version that was promoted last, by the audit; no row before the first."""
    table = model_promotions.c
    return select(table.to_version).where(table.is_complete).order_by(table.sequence.desc()).limit(1)


def read_adjustments(connection: Connection, dislike_ids: Iterable[int]) -> dict[int, dict[str, float]]:
    """The features that dislikes adjusted at once: dislike_id -> feature -> magnitude."""
    table = dislike_feedback_impact.c
    query = (
        select(table.dislike_id, table.feature_affected, table.adjustment_magnitude)
        .where(table.impact_type.endswith(DEEMPHASIS, autoescape=True))
        .order_by(table.impact_id)
    )
    found: dict[int, dict[str, float]] = {}
    for row in rows_with(connection, query, table.dislike_id, dislike_ids):
        found.setdefault(row.dislike_id, {})[row.feature_affected] = row.adjustment_magnitude
    return found
