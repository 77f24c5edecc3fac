"""Whether the loop still brings better versions to users: challengers refused in a row, and a champion that gets old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from recsys.config.monitoring import MonitoringConfig
from recsys.pipeline.champion.aliases import champion_cut_off, require_registry
from recsys.pipeline.context import Context
from recsys.records import Decision

STEP = "decide_promotion"
MAX_DECISIONS = 1_000
DAY = timedelta(days=1)


@dataclass(frozen=True)
class LoopState:
    """What is to be watched, as of a cut-off.

    Attributes:
        refusals: verdicts of the challengers refused since the last one that passed, newest first, one for each.
        champion: version; None if there is none.
        known_through: what the champion knows ends here; None without one.
        newest: newest event; None if there is none.
    """

    refusals: tuple[Decision, ...]
    champion: str | None
    known_through: datetime | None
    newest: datetime | None

    @property
    def champion_days(self) -> float | None:
        """Days of events that the champion does not know, >= 0; None without a champion or events."""
        if self.known_through is None or self.newest is None:
            return None
        return max(0.0, (self.newest - self.known_through) / DAY)


def watch(context: Context, as_of: datetime, config: MonitoringConfig) -> dict[str, Any]:
    """Looks at the loop as of a cut-off; changes nothing.

    Returns:
        `alerts` in plain words, `num_refusals`, `champion_version`, `champion_days`.
    """
    require_registry(context)
    champion = context.registry.aliases.get_alias("champion")
    state = LoopState(
        refusals_in_a_row(context.store.audit.list_decisions(limit=MAX_DECISIONS, step=STEP), as_of),
        champion,
        champion_cut_off(context, champion),
        context.store.stream.stream_summary(as_of).last_recorded_at,
    )
    return {
        "as_of": as_of.isoformat(),
        "alerts": loop_alerts(state, config),
        "num_refusals": len(state.refusals),
        "champion_version": champion,
        "champion_days": state.champion_days,
    }


def refusals_in_a_row(decisions: Sequence[Decision], as_of: datetime) -> tuple[Decision, ...]:
    """Verdicts of the challengers that were refused since the last one that passed, newest first.

    Args:
        decisions: of the ledger, newest first; of other steps nothing is read.
        as_of: later cut-offs do not exist. Of a challenger that was evaluated several times the last verdict counts.
    """
    newest: dict[str, Decision] = {}
    for one in decisions:
        if one.step == STEP and one.as_of <= as_of:
            newest.setdefault(str(one.numbers.get("batch_id", one.run_id)), one)
    return tuple(takewhile(lambda one: one.verdict != "promote", newest.values()))


def loop_alerts(state: LoopState, config: MonitoringConfig) -> list[str]:
    """What needs a look, in plain words."""
    found = []
    if len(state.refusals) >= config.max_refusals:
        last = state.refusals[0]
        found.append(
            f"{len(state.refusals)} challengers in a row were not promoted; the last one: {last.verdict.replace('_', ' ')}. "
            f"{' '.join(last.reasons)} Look at their verdicts: `recsys decisions`."
        )
    days = state.champion_days
    if days is not None and days > config.max_champion_days:
        found.append(
            f"Champion version {state.champion} has seen nothing of the last {days:.1f} days, "
            f"{config.max_champion_days:g} are allowed. Check why no later version was promoted: `recsys decisions`."
        )
    return found
