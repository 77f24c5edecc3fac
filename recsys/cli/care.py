"""Commands of whoever looks after the data: held-back dislikes, erased users."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import confirm, count_of, minute, print_json_lines, say, show, table, titled

if TYPE_CHECKING:
    from recsys.store.erasures import Erasure

brigading = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Bursts of dislikes that are held back until you look at them."
)


@brigading.command("list")
def list_bursts(k: K = 20, as_json: Json = False) -> None:
    """Bursts of dislikes that look like brigading, newest first."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        bursts = place.store.list_bursts()[:k]
        items = place.store.items(burst.item_id for burst in bursts)
    if as_json:
        print_json_lines({**asdict(burst), "title": items[burst.item_id].title} for burst in bursts)
        return
    names = ("item", "from", "to", "users", "opinions", "p", "held back", "released")
    listed = table(*names, right=names[3:])
    for burst in bursts:
        listed.add_row(
            titled(burst.item_id, items), minute(burst.starts_at), minute(burst.ends_at), f"{burst.num_users:,}",
            f"{burst.num_opinions:,}", f"{burst.p_value:.0e}", f"{burst.num_held_back:,}", f"{burst.num_released:,}",
        )  # fmt: skip
    show(listed if bursts else "No burst of dislikes was ever flagged.")


@brigading.command("release")
def release_burst(
    item_id: Annotated[str, typer.Argument(help="The item whose dislikes are held back.")],
    note: Annotated[str, typer.Option("--note", help="Why they are genuine; it is kept beside them.")],
    as_json: Json = False,
) -> None:
    """Let the held-back dislikes of an item count and train from the next run on: a person found them genuine."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        count = place.store.release_flagged(item_id, note, datetime.now(UTC))
        items = place.store.items([item_id])
    if as_json:
        print_json_lines([{"item_id": item_id, "num_released": count}])
    else:
        verb = "counts" if count == 1 else "count"
        say(f"{count_of(count, 'dislike')} of {titled(item_id, items)} {verb} from now on.")


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
    from recsys.nightly.workplace import Workplace

    if not yes:
        confirm(f"Delete everything about user {user_id}? This cannot be undone.")
    with Workplace.open() as place:
        erasure = place.store.erase_user(user_id, requested_by, datetime.now(UTC))
    _show([erasure], as_json)


def bring_back(
    user_id: Annotated[str, typer.Argument(help="The user's id.")],
    requested_by: Annotated[str, typer.Option("--requested-by", help="Who asked for it; goes into the audit.")],
    as_json: Json = False,
) -> None:
    """Let an erased user be as any new one: their feedback is recorded again. What was erased does not come back."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        erasure = place.store.bring_back(user_id, requested_by, datetime.now(UTC))
    if as_json:
        _show([erasure], as_json)
    else:
        say(f"User {user_id}, erased at {minute(erasure.erased_at)} UTC, may use the service again.")


def erasures(
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this user.")] = None,
    k: K = 20,
    as_json: Json = False,
) -> None:
    """The proof of who was erased: first those whose data something may still hold, newest first."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        found = place.store.list_erasures(user_id)[:k]
    _show(found, as_json)
    if not found and not as_json:
        say("Nobody was erased." if user_id is None else "This user was never erased.")


def _show(found: list[Erasure], as_json: bool) -> None:
    if as_json:
        print_json_lines({**asdict(erasure), "is_open": erasure.is_open} for erasure in found)
        return
    from recsys.settings import Settings

    settings = Settings.from_environment()
    for one in found:
        deleted = ", ".join(f"{count:,} {name}" for name, count in one.num_rows.items() if count) or "nothing was there"
        say(f"Erasure {one.erasure_id} at {minute(one.erased_at)} UTC, asked for by {one.requested_by}")
        say(f"  state           {_state(one)}")
        say(f"  user hash       {one.user_hash}")
        say(f"  deleted         {deleted}")
        for batch in one.batches:
            say(
                f"  still in        {settings.locate(batch['training_set_uri'])} (digest {batch['training_set_digest']})"
            )
        say(f"  known to        {', '.join(f'version {v}' for v in one.model_versions) or 'no version'}")
        for name, left in (one.remaining or {}).items():
            say(f"  remaining       {name.replace('_', ' ')}: {', '.join(map(str, left))}")


def _state(one: Erasure) -> str:
    """Whether something still holds the user, and whether they are back."""
    if one.lifted_at is not None:
        return f"brought back at {minute(one.lifted_at)} UTC by {one.lifted_by}"
    return "open" if one.completed_at is None else f"complete since {minute(one.completed_at)} UTC"
