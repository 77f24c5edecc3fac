"""What was decided, and who was champion: the part of the feedback store that is only ever added to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from recsys.records import Decision, Promotion
from recsys.store import ledger, promotions
from recsys.store.database import Database
from recsys.store.ledger import DecisionFilter

T = TypeVar("T")


class Audit:
    """The decision ledger and the audit of champions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_decision(self, decision: Decision) -> Decision:
        """Writes the decision of a run's step; a retry replaces it."""
        return self._database.write(lambda c: ledger.record_decision(c, decision))

    def list_decisions(
        self,
        limit: int | None = 20,
        run_id: str | None = None,
        *,
        step: str | None = None,
        verdict: str | None = None,
        since: datetime | None = None,
    ) -> list[Decision]:
        """Decisions, newest first, of all runs or of one, by step, verdict or time of the record."""
        with self._database.reading() as connection:
            return ledger.list_decisions(connection, limit, DecisionFilter(run_id, step, verdict, since))

    def get_decision(self, decision_id: int) -> Decision:
        """One decision; NotFoundError if there is none such."""
        with self._database.reading() as connection:
            return ledger.read_decision(connection, decision_id)

    def begin_promotion(self, promotion: Promotion) -> Promotion:
        """Writes the intent to move the aliases; ConflictError if another promotion or rollback came first."""
        return self._database.write_against_others(
            lambda c: promotions.begin(c, promotion), f"promote version {promotion.to_version}"
        )

    def finish_promotion(self, now: datetime, move: Callable[[Sequence[Promotion]], None]) -> Promotion | None:
        """Lets `move` set the aliases by all rows while nobody else may; returns the newest, which is then complete."""
        return self._database.write(lambda c: promotions.finish(c, now, move))

    def while_nobody_promotes(self, work: Callable[[Sequence[Promotion]], T]) -> T:
        """What `work` makes of all promotions and rollbacks, while nobody can begin or finish one."""
        return self._database.write(lambda c: promotions.while_nobody_promotes(c, work))

    def last_promotion(self) -> Promotion | None:
        """The newest promotion or rollback, complete or not."""
        with self._database.reading() as connection:
            return promotions.read_last(connection)

    def list_promotions(self) -> list[Promotion]:
        """All promotions and rollbacks, in their order."""
        with self._database.reading() as connection:
            return promotions.read_all(connection)
