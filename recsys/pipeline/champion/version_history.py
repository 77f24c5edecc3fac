"""Every version, what became of it, and who was champion when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recsys.pipeline.champion.aliases import require_registry
from recsys.pipeline.champion.lineage import Tenure, tenures
from recsys.pipeline.context import Context
from recsys.records import Promotion
from recsys.registry.registry import VersionSummary

DAY = timedelta(days=1)


@dataclass(frozen=True)
class VersionHistory:
    """One version.

    Attributes:
        version: its number.
        created_at: when it was made; None for one that was deleted from the registry.
        fit: `judged` or `refit`.
        batch_id: the run that made it.
        verdict: the gate's on it, or on the evaluated version that it is the refit of.
        aliases: that point at it now.
        tenures: the times when it was champion.
    """

    version: str
    created_at: datetime | None
    fit: str | None
    batch_id: str | None
    verdict: str | None
    aliases: tuple[str, ...]
    tenures: tuple[Tenure, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        made = None if self.created_at is None else self.created_at.isoformat()
        return {
            "version": self.version, "created_at": made, "fit": self.fit, "run_id": self.batch_id,
            "verdict": self.verdict, "aliases": list(self.aliases), "is_deleted": self.created_at is None,
            "champion": [tenure_as_dict(tenure) for tenure in self.tenures],
        }  # fmt: skip


def version_histories(context: Context) -> list[VersionHistory]:
    """All versions of the registry, and those that were champion before they were deleted there, in order."""
    require_registry(context)
    known = {summary.version: summary for summary in context.registry.versions.list_versions()}
    aliases = context.registry.aliases.all_aliases()
    times = tenures(context.store.audit.list_promotions())
    names = {*known, *(tenure.promotion.to_version for tenure in times)}
    return [_history(name, known, aliases, times) for name in sorted(names, key=int)]


def _history(
    version: str, known: dict[str, VersionSummary], aliases: dict[str, str], times: Sequence[Tenure]
) -> VersionHistory:
    found = known.get(version)
    tags = {} if found is None else found.tags
    judged = known.get(tags.get("judged_version", ""))
    return VersionHistory(
        version=version,
        created_at=None if found is None else found.created_at,
        fit=tags.get("fit"),
        batch_id=tags.get("batch_id"),
        verdict=(tags if judged is None else judged.tags).get("verdict"),
        aliases=tuple(sorted(alias for alias, where in aliases.items() if where == version)),
        tenures=tuple(tenure for tenure in times if tenure.promotion.to_version == version),
    )


def champions_at(promotions: Sequence[Promotion], moment: datetime, *, is_day: bool) -> list[Tenure]:
    """Who was champion at a time, or on the day that begins then: of several, in their order."""
    end = moment + (DAY if is_day else timedelta(microseconds=1))
    return [tenure for tenure in tenures(promotions) if tenure.overlaps(moment, end)]


def tenure_as_dict(tenure: Tenure) -> dict[str, Any]:
    """JSON-able: from when to when, how it came, who let it."""
    row = tenure.promotion
    return {
        "version": row.to_version, "from": tenure.started_at.isoformat(),
        "to": None if tenure.ended_at is None else tenure.ended_at.isoformat(), "kind": str(row.kind),
        "instead_of": row.from_version, "sequence": row.sequence, "run_id": row.run_id, "reason": row.reason,
        "approved_by": row.approved_by,
        "approved_at": None if row.approved_at is None else row.approved_at.isoformat(),
    }  # fmt: skip
