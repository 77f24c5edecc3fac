"""What was decided and what was promoted, for good. Every function works in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from recsys.errors import ConflictError, NotFoundError
from recsys.records import Decision, Promotion
from recsys.store.catalog import insert_into
from recsys.store.tables import decisions, model_promotions


def record_decision(connection: Connection, decision: Decision) -> Decision:
    """Writes the decision of a step; a retry of the step replaces it."""
    values = {
        "run_id": decision.run_id, "step": decision.step, "verdict": decision.verdict,
        "reasons": list(decision.reasons), "numbers": decision.numbers, "as_of": decision.as_of,
        "recorded_at": decision.recorded_at,
    }  # fmt: skip
    statement: Any = insert_into(connection, decisions).values(values)
    replaced = {name: statement.excluded[name] for name in values if name not in {"run_id", "step"}}
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id", "step"], set_=replaced))
    query = select(decisions).where(decisions.c.run_id == decision.run_id, decisions.c.step == decision.step)
    return _to_decision(connection.execute(query).one())


def list_decisions(connection: Connection, limit: int, run_id: str | None) -> list[Decision]:
    """Decisions, newest first."""
    query = select(decisions).order_by(decisions.c.recorded_at.desc(), decisions.c.decision_id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(decisions.c.run_id == run_id)
    return [_to_decision(row) for row in connection.execute(query)]


def _to_decision(row: Row[Any]) -> Decision:
    return Decision(
        run_id=row.run_id, step=row.step, verdict=row.verdict, reasons=tuple(row.reasons), as_of=row.as_of,
        recorded_at=row.recorded_at, numbers=row.numbers, decision_id=row.decision_id,
    )  # fmt: skip


def begin_promotion(connection: Connection, promotion: Promotion) -> Promotion:
    """Writes the intent to promote. The run's own row for this version, from an earlier try, is returned as it is.

    Raises:
        ConflictError: if the sequence number is not the next one: another promotion came first.
        IntegrityError: of SQLAlchemy, if another promotion comes at this very moment.
    """
    table = model_promotions.c
    own = connection.execute(
        select(model_promotions).where(table.run_id == promotion.run_id, table.to_version == promotion.to_version)
    ).one_or_none()
    if own is not None:
        return _to_promotion(own)
    last = last_promotion(connection)
    expected = 1 if last is None else last.sequence + 1
    if promotion.sequence != expected:
        other = "none is there" if last is None else f"run {last.run_id} promoted version {last.to_version} before"
        raise ConflictError(
            f"Expected promotion number {expected} to come next, got {promotion.sequence} for version "
            f"{promotion.to_version}: {other}. Nothing was promoted; the next run compares with the champion of then."
        )
    connection.execute(
        insert(model_promotions).values(
            sequence=promotion.sequence, run_id=promotion.run_id, from_version=promotion.from_version,
            to_version=promotion.to_version, reason=promotion.reason, created_at=promotion.created_at,
            is_complete=promotion.is_complete, completed_at=promotion.completed_at,
        )
    )  # fmt: skip
    return _to_promotion(_promotion_row(connection, promotion.sequence))


def complete_promotion(connection: Connection, sequence: int, now: datetime) -> None:
    """Notes that the alias was moved; the first time counts.

    Raises:
        NotFoundError: if there is no such promotion.
    """
    if not _promotion_row(connection, sequence).is_complete:
        chosen = update(model_promotions).where(model_promotions.c.sequence == sequence)
        connection.execute(chosen.values(is_complete=True, completed_at=now))


def _promotion_row(connection: Connection, sequence: int) -> Row[Any]:
    row = connection.execute(select(model_promotions).where(model_promotions.c.sequence == sequence)).one_or_none()
    if row is None:
        raise NotFoundError(f"Expected promotion number {sequence}, found none: begin it first.")
    return row


def last_promotion(connection: Connection) -> Promotion | None:
    """The newest promotion, complete or not."""
    newest = select(func.max(model_promotions.c.sequence)).scalar_subquery()
    row = connection.execute(select(model_promotions).where(model_promotions.c.sequence == newest)).one_or_none()
    return None if row is None else _to_promotion(row)


def list_promotions(connection: Connection) -> list[Promotion]:
    """All promotions, in their order."""
    query = select(model_promotions).order_by(model_promotions.c.sequence)
    return [_to_promotion(row) for row in connection.execute(query)]


def _to_promotion(row: Row[Any]) -> Promotion:
    return Promotion(
        sequence=row.sequence, run_id=row.run_id, from_version=row.from_version, to_version=row.to_version,
        reason=row.reason, created_at=row.created_at, is_complete=row.is_complete, completed_at=row.completed_at,
    )  # fmt: skip
