"""Erased users: erasing one, bringing one back, the proofs, what still holds them, and its removal."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import confirm, count_of, minute, print_json_lines, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.pipeline.erasure.purge import Purge
    from recsys.store.erasures import Erasure

erasures = typer.Typer(add_completion=False)


def erase_user(
    user_id: Annotated[str, typer.Argument(help="The user's id.")],
    requested_by: Annotated[str, typer.Option("--requested-by", help="Who asked for it; goes into the audit.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Delete everything about a user, and list the data sets and model versions that still know them.

    From then on nothing about the user is recorded, imported or trained on, until `recsys bring-back`. The audit keeps a
    keyed hash of the id, counts and the list.
    """
    from recsys.pipeline.context import Context

    if not yes:
        confirm(f"Delete everything about user {user_id}? This cannot be undone.")
    with Context.open() as context:
        erasure = context.store.erasures.erase_user(user_id, requested_by, datetime.now(UTC))
    _show_proofs([erasure], as_json)


def bring_back(
    user_id: Annotated[str, typer.Argument(help="The user's id.")],
    requested_by: Annotated[str, typer.Option("--requested-by", help="Who asked for it; goes into the audit.")],
    as_json: Json = False,
) -> None:
    """Let an erased user be as any new one: their feedback is recorded again. What was erased does not come back."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        erasure = context.store.erasures.bring_back(user_id, requested_by, datetime.now(UTC))
    if as_json:
        _show_proofs([erasure], as_json)
    else:
        say(f"User {user_id}, erased at {minute(erasure.erased_at)} UTC, may use the service again.")


@erasures.callback(invoke_without_command=True)
def list_erasures(
    ctx: typer.Context,
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this user.")] = None,
    k: K = 20,
    as_json: Json = False,
) -> None:
    """The proof of who was erased, newest first, and what still holds them; open ones come before all others."""
    from recsys.pipeline.context import Context

    if ctx.invoked_subcommand is not None:
        return
    with Context.open() as context:
        found = context.store.erasures.list_erasures(user_id)[:k]
    _show_proofs(found, as_json)
    if not found and not as_json:
        say("Nobody was erased." if user_id is None else "This user was never erased.")


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
    from recsys.pipeline.context import Context
    from recsys.pipeline.erasure.purge import plan_purge, purge

    with Context.open() as context:
        plan = plan_purge(context)
        if dry_run or plan.is_empty:
            _show(plan.as_dict() | {"dry_run": dry_run}, "would go" if dry_run else "gone", as_json)
            return
        if not yes:
            confirm(f"Remove {_words(plan)}? This cannot be undone.")
        done = purge(context, datetime.now(UTC))
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


def _show_proofs(found: list[Erasure], as_json: bool) -> None:
    if as_json:
        print_json_lines({**asdict(erasure), "is_open": erasure.is_open} for erasure in found)
        return
    from recsys.settings import Settings

    settings = Settings.from_environment()
    for one in found:
        still, known = ("still in", "known to") if one.completed_at is None else ("was in", "was known to")
        deleted = ", ".join(f"{count:,} {name}" for name, count in one.num_rows.items() if count) or "nothing was there"
        say(f"Erasure {one.erasure_id} at {minute(one.erased_at)} UTC, asked for by {one.requested_by}")
        say(f"  state           {_state(one)}")
        say(f"  user hash       {one.user_hash}")
        say(f"  deleted         {deleted}")
        for batch in one.batches:
            file = settings.locate(batch["training_set_uri"])
            say(f"  {still:<15} {file} (digest {batch['training_set_digest']})")
        say(f"  {known:<15} {', '.join(f'version {v}' for v in one.model_versions) or 'no version'}")
        for name, left in (one.remaining or {}).items():
            say(f"  remaining       {name.replace('_', ' ')}: {', '.join(map(str, left))}")


def _state(one: Erasure) -> str:
    """Whether something still holds the user, and whether they are back."""
    if one.lifted_at is not None:
        return f"brought back at {minute(one.lifted_at)} UTC by {one.lifted_by}"
    return "open" if one.completed_at is None else f"complete since {minute(one.completed_at)} UTC"
