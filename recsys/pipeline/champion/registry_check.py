"""Whether the registry has what the audit says, and files hold what was written.

The feedback database is the truth: people can move and delete things in MLflow, and files can be edited, cut off and lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recsys.errors import NotFoundError, TerminalError
from recsys.pipeline.champion.aliases import expected_aliases, move_aliases, require_registry
from recsys.pipeline.champion.file_check import Finding, check_files, check_models
from recsys.pipeline.champion.lineage import champion_line
from recsys.pipeline.context import Context
from recsys.records import Promotion

REPAIR = "`recsys models check --repair` corrects it"


def check_registry(context: Context, now: datetime, *, repairs: bool, adopts: bool = False) -> list[Finding]:
    """Compares aliases and versions with the audit, and all files with their digests; repairs only when asked to.

    A promotion or rollback that was interrupted is finished, and an alias that was moved or deleted by hand goes back to the
    audit's version. A deleted champion cannot be brought back: that takes a rollback, which a person decides. Nor can a file
    that differs: that takes a backup.

    Args:
        context: stores and folders.
        now: wall clock, for the audit.
        repairs: moves aliases.
        adopts: records the digests of files that were made before there were any.
    """
    files = check_files(context, adopts=adopts)
    try:
        require_registry(context, reads_all=True)
    except TerminalError as error:
        return [Finding("store_unusable", str(error)), *files]
    return [*_repaired(context, now, repairs=repairs), *files, *check_models(context, adopts=adopts)]


def _repaired(context: Context, now: datetime, *, repairs: bool) -> list[Finding]:
    found = _compare(context)
    if not repairs or not found:
        return found
    try:
        move_aliases(context, now)
    except NotFoundError:
        return found
    left = _compare(context)
    return [replace(finding, is_repaired=finding not in left) for finding in found]


def _compare(context: Context) -> list[Finding]:
    """A promotion that moves aliases at the same time has a row that is not complete, before or after the look at them."""
    while True:
        rows = context.store.audit.list_promotions()
        found = _unfinished(rows) or _deleted_champion(context, rows) or _aliases(context, rows)
        if rows == context.store.audit.list_promotions():
            return found


def _unfinished(rows: list[Promotion]) -> list[Finding]:
    if not rows or rows[-1].is_complete:
        return []
    last = rows[-1]
    return [
        Finding(
            "unfinished",
            f"The {last.kind} of version {last.to_version} by run {last.run_id} was begun at "
            f"{last.created_at:%Y-%m-%d %H:%M} UTC, but its aliases were not moved. The next step of the loop finishes it, "
            "or `recsys models check --repair`.",
        )
    ]


def _deleted_champion(context: Context, rows: list[Promotion]) -> list[Finding]:
    line = champion_line(rows)
    if line.champion is None or context.registry.versions.has_version(line.champion):
        return []
    way_out = line.previous(context.registry.versions.has_version)
    advice = (
        f"`recsys rollback --to {way_out}` makes the one before it champion" if way_out else "no earlier one is left"
    )
    return [
        Finding("version_deleted", f"Version {line.champion}, the champion, was deleted from the registry: {advice}.")
    ]


def _aliases(context: Context, rows: list[Promotion]) -> list[Finding]:
    expected = expected_aliases(context.registry, rows)
    aliases = context.registry.aliases.all_aliases()
    found = []
    for alias, version in expected.items():
        where = aliases.get(alias)
        if where == version:
            continue
        kind = "alias_deleted" if where is None else "alias_moved"
        now = "is gone" if where is None else f"is at version {where}"
        message = f"The alias {alias!r} {now}, but the audit has {_named(version)}: {REPAIR}."
        found.append(Finding(kind, message))
    return found


def _named(version: str | None) -> str:
    return "no such version" if version is None else f"version {version}"
