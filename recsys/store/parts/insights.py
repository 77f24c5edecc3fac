"""What the dislikes say: triggers, patterns, improvement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from recsys.feedback.improvement import ImprovementNumbers, VersionFeedback
from recsys.feedback.lifts import Comparison
from recsys.feedback.patterns import DislikeSummary, Pattern
from recsys.store import (
    improvement,
    insights,
)
from recsys.store.database import Database


class Insights:
    """What the dislikes say: triggers, patterns, improvement. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def dislike_summary(self, user_id: str | None, as_of: datetime, recent_days: int) -> DislikeSummary:
        """Reasons and recent trend of the dislikes that hold, of one user or of all."""
        with self._database.reading() as connection:
            return insights.dislike_summary(connection, user_id, as_of, recent_days)

    def overall_comparison(self, as_of: datetime, days: int) -> Comparison:
        """Dislikes of the newest days with feedback, by feature, against what users met then."""
        with self._database.reading() as connection:
            return insights.overall_comparison(connection, as_of, days)

    def user_comparisons(self, user_ids: Sequence[str], as_of: datetime) -> dict[str, Comparison]:
        """Each user's dislikes, by feature, against what they met."""
        with self._database.reading() as connection:
            return insights.user_comparisons(connection, user_ids, as_of)

    def users_with_new_dislikes(self, as_of: datetime, min_dislikes: int) -> list[str]:
        """Users with a dislike since the last measurement of patterns and so many in all, most new ones first."""
        with self._database.reading() as connection:
            return insights.users_with_new_dislikes(connection, as_of, min_dislikes)

    def replace_patterns(self, as_of: datetime, patterns: Sequence[Pattern]) -> int:
        """Makes `patterns` the ones of a cut-off, and returns how many; a retry replaces its own."""
        return self._database.write(lambda c: insights.replace_patterns(c, as_of, patterns))

    def list_patterns(self, user_id: str | None, as_of: datetime) -> list[Pattern]:
        """Patterns of the last measurement up to `as_of`, of one user or over all."""
        with self._database.reading() as connection:
            return insights.newest_patterns(connection, user_id, as_of)

    def improvement_numbers(self, as_of: datetime, period: timedelta) -> ImprovementNumbers:
        """What the improvement metrics are made of, from one snapshot; see `store.improvement`."""
        with self._database.reading() as connection:
            return improvement.improvement_numbers(connection, as_of, period)

    def version_feedback(self, as_of: datetime, period: timedelta) -> list[VersionFeedback]:
        """What users said of the lists served last, by version, in the order in which they began to serve."""
        with self._database.reading() as connection:
            return improvement.version_feedback(connection, as_of, period)
