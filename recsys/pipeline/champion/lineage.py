"""Who is champion by the audit, where a rollback leads, and who was champion when. Pure functions of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recsys.records import Promotion, PromotionKind


@dataclass(frozen=True)
class Line:
    """What the audit says about now.

    Attributes:
        versions: each the champion before the next, and the last one champion. A promotion adds to it; a rollback leads
            to the line of the time when its version was last promoted.
        withdrawn: versions that were rolled back from and not taken back since; no run promotes them again.
    """

    versions: tuple[str, ...] = ()
    withdrawn: frozenset[str] = frozenset()

    @property
    def champion(self) -> str | None:
        """The version that is champion."""
        return self.versions[-1] if self.versions else None

    def previous(self, exists: Callable[[str], bool]) -> str | None:
        """Where a rollback leads: the last champion before this one that is still in the registry."""
        return next((version for version in reversed(self.versions[:-1]) if exists(version)), None)


def past_champions(promotions: Sequence[Promotion]) -> list[Promotion]:
    """The rows that made a champion, in their order: all complete ones, and the newest, which somebody will complete."""
    return [row for row in promotions[:-1] if row.is_complete] + list(promotions[-1:])


def champion_line(promotions: Sequence[Promotion]) -> Line:
    """Follows the audit from its first row to its last."""
    line: tuple[str, ...] = ()
    line_of: dict[str, tuple[str, ...]] = {}
    withdrawn: set[str] = set()
    for row in past_champions(promotions):
        if row.kind is PromotionKind.ROLLBACK:
            left, line = line, line_of.get(row.to_version, (row.to_version,))
            withdrawn |= set(left)
        else:
            line = (*line, row.to_version)
        withdrawn -= set(line)
        line_of[row.to_version] = line
    return Line(line, frozenset(withdrawn))


@dataclass(frozen=True)
class Tenure:
    """A time in which a version was champion; `ended_at` None: it is."""

    promotion: Promotion
    started_at: datetime
    ended_at: datetime | None

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether it was champion at some time in [`start`, `end`)."""
        return self.started_at < end and (self.ended_at is None or self.ended_at > start)


def tenures(promotions: Sequence[Promotion]) -> list[Tenure]:
    """Who was champion when, in order and without gaps. A row that is not complete has not begun."""
    done = [row for row in promotions if row.is_complete]
    starts: list[datetime] = []
    for row in done:
        # By the wall clock of whichever machine promoted: one may be behind another, or was set back.
        at = row.completed_at or row.created_at
        starts.append(max(at, starts[-1]) if starts else at)
    ends = [*starts[1:], None]
    return [Tenure(row, start, end) for row, start, end in zip(done, starts, ends, strict=False)]
