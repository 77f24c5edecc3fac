"""`recsys erasures`: who was erased, what still holds them, and its removal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import confirm, count_of, print_json_lines, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.nightly.purging import Purge

erasures = typer.Typer(add_completion=False)


@erasures.callback(invoke_without_command=True)
def list_erasures(
    context: typer.Context,
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this user.")] = None,
    k: K = 20,
    as_json: Json = False,
) -> None:
    """The proof of who was erased, newest first, and what still holds them."""
    from recsys.cli import care

    if context.invoked_subcommand is None:
        care.erasures(user_id, k, as_json)


@erasures.command("purge")
def purge_erased(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Remove model versions, training sets and names in old evidence that still hold users who were erased.

    What serves, or may serve next, stays: the champion, the version that a rollback leads to, the newest challenger, and what
    waits for a person's answer. Each is named with the reason. A removed version cannot be brought back.
    """
    from recsys.nightly.purging import plan_purge, purge
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        plan = plan_purge(place)
        if dry_run or plan.is_empty:
            _show(plan.as_dict() | {"dry_run": dry_run}, "would go" if dry_run else "gone", as_json)
            return
        if not yes:
            confirm(f"Remove {_words(plan)}? This cannot be undone.")
        done = purge(place, datetime.now(UTC))
    _show(done | {"dry_run": False}, "gone", as_json)
    left = done["left"]
    if not as_json:
        say(f"{count_of(left['num_completed'], 'erasure')} complete now, {left['num_open']:,} open.")


def _words(plan: Purge) -> str:
    parts = [_named("version", plan.versions), count_of(len(plan.batches), "training set")]
    return ", ".join([*parts, f"names in {count_of(len(plan.files), 'folder')} of evidence"])


def _named(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'' if len(names) == 1 else 's'} {', '.join(names) or 'none'}"


def _show(found: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        print_json_lines([found])
        return
    if not any(found[name] for name in ("model_versions", "batches", "files", "refused")):
        say("Nothing holds a user who was erased.")
        return
    say(f"{what.capitalize()}:")
    say(f"  {_named('version', found['model_versions'])}")
    say(f"  training sets of runs: {', '.join(found['batches']) or 'none'}")
    say(f"  names in evidence: {', '.join(found['files']) or 'none'}")
    for reason in found["refused"]:
        say(reason)
