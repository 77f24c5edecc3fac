"""What the daily monitoring measures, when it alerts, and what it deletes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsys.config.setting import Setting, validate

ALERTS, STORAGE, REGISTRY = "Alerts", "Storage", "Registry"


@dataclass(frozen=True, kw_only=True)
class MonitoringConfig:
    """One run of `feedback_monitoring`.

    Days of the champion are counted to the newest event: where nothing happens, nothing gets old. A night that trained nothing
    neither counts as a refusal nor ends the row.

    Raises:
        InputError: for a value out of its range.
    """

    drift_days: Annotated[
        float,
        Setting(
            "Drift days",
            "Number of newest days, not seen by the champion, to compare with what it learned from.",
            ALERTS, above=0, maximum=365,
        ),
    ] = 7.0  # fmt: skip
    max_refusals: Annotated[
        int,
        Setting(
            "Max refusals",
            "Alert after this many nights in a row whose challengers were not promoted.",
            ALERTS, minimum=1, maximum=1_000,
        ),
    ] = 3  # fmt: skip
    max_champion_days: Annotated[
        float,
        Setting(
            "Max champion days",
            "Alert when the newest event is more than this many days after what the champion has seen.",
            ALERTS, above=0, maximum=3_650,
        ),
    ] = 14.0  # fmt: skip
    keep_lists_days: Annotated[
        float,
        Setting(
            "Keep lists days",
            "Delete lists that are older than this many days, are not served any more and were never shown to anybody.",
            STORAGE, minimum=0, maximum=3_650,
        ),
    ] = 30.0  # fmt: skip
    keep_files_days: Annotated[
        float,
        Setting(
            "Keep files days",
            "Delete models, Data Docs and training sets of runs that wrote nothing for this many days, unless in use.",
            STORAGE, above=0, maximum=36_500,
        ),
    ] = 30.0  # fmt: skip
    prune_dry_run: Annotated[
        bool,
        Setting("Prune dry run", "Say what would be deleted of old lists and files, and delete nothing.", STORAGE),
    ] = False
    repair: Annotated[
        bool,
        Setting(
            "Repair",
            "Move aliases of the registry to where the audit has them, and finish a promotion that was interrupted. Otherwise "
            "only report.",
            REGISTRY,
        ),
    ] = False

    def __post_init__(self) -> None:
        validate(self)
