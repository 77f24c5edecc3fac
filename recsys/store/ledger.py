"""What was decided, for good. Every function works in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from recsys.errors import NotFoundError
from recsys.records import Decision
from recsys.store.catalog import insert_into
from recsys.store.json_text import from_json, to_json
from recsys.store.tables import decisions


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions are wanted; None: any.

    Attributes:
        run_id: of this run.
        step: of this step.
        verdict: with this verdict.
        since: recorded then or later, by the wall clock.
    """

    run_id: str | None = None
    step: str | None = None
    verdict: str | None = None
    since: datetime | None = None


def record_decision(connection: Connection, decision: Decision) -> Decision:
    """Writes the decision of a step; a retry that decides the same finds the first try's, another decision replaces it."""
    query = select(decisions).where(decisions.c.run_id == decision.run_id, decisions.c.step == decision.step)
    row = connection.execute(query).one_or_none()
    if row is not None and _is_same(_to_decision(row), decision):
        return _to_decision(row)
    values = {
        "run_id": decision.run_id, "step": decision.step, "verdict": decision.verdict,
        "reasons": list(decision.reasons), "numbers": decision.numbers, "as_of": decision.as_of,
        "recorded_at": decision.recorded_at,
    }  # fmt: skip
    statement: Any = insert_into(connection, decisions).values(values)
    replaced = {name: statement.excluded[name] for name in values if name not in {"run_id", "step"}}
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id", "step"], set_=replaced))
    return _to_decision(connection.execute(query).one())


def _is_same(found: Decision, decision: Decision) -> bool:
    """Whether they differ in nothing but the time at which they were written."""
    written = replace(decision, numbers=from_json(to_json(decision.numbers)), reasons=tuple(decision.reasons))
    return replace(found, recorded_at=decision.recorded_at, decision_id=decision.decision_id) == written


def list_decisions(connection: Connection, limit: int | None, wanted: DecisionFilter) -> list[Decision]:
    """Decisions, newest first: in the order in which they were written, whatever the clocks said."""
    table = decisions.c
    query = select(decisions).order_by(table.decision_id.desc()).limit(limit)
    for name in ("run_id", "step", "verdict"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(table[name] == value)
    if wanted.since is not None:
        query = query.where(table.recorded_at >= wanted.since)
    return [_to_decision(row) for row in connection.execute(query)]


def read_decision(connection: Connection, decision_id: int) -> Decision:
    """One decision.

    Raises:
        NotFoundError: if there is none with this number.
    """
    row = connection.execute(select(decisions).where(decisions.c.decision_id == decision_id)).one_or_none()
    if row is None:
        raise NotFoundError(
            f"Expected the number of a decision, got {decision_id}: `recsys decisions` shows the numbers."
        )
    return _to_decision(row)


def _to_decision(row: Row[Any]) -> Decision:
    return Decision(
        run_id=row.run_id, step=row.step, verdict=row.verdict, reasons=tuple(row.reasons), as_of=row.as_of,
        recorded_at=row.recorded_at, numbers=row.numbers, decision_id=row.decision_id,
    )  # fmt: skip
