"""`recsys api-key`: which programs may use the feedback API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import minute, print_json_lines, say, say_aside, show, table
from recsys.errors import InputError
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.store.api_keys import ApiKey, Scope

SCOPES = ("act-for-users", "metrics:read", "users:erase", "catalog:write")
api_key = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keys for programs that use the feedback API: the product's server, Prometheus, a tool that erases users.",
)


@api_key.command("create")
def create(
    name: Annotated[str, typer.Option(help="Who uses it, such as shop-backend.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="|".join(SCOPES),
            help="What it may do; repeat the option for several. act-for-users: speak for the user that X-User-ID names. "
            "metrics:read: numbers over all users. users:erase: erase any user. "
            "catalog:write: say when and whether items may be recommended.",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    from recsys.store import FeedbackStore, api_keys

    scopes = _scopes(scope)
    with FeedbackStore.open(Settings.from_environment().database_url) as store:
        key, token = store.database.write(lambda c: api_keys.create_key(c, name, scopes, datetime.now(UTC)))
    if as_json:
        print_json_lines([{**_as_dict(key), "token": token}])
    else:
        say(token)  # alone on stdout, so that a script can take it
    say_aside(
        f"Key {key.key_id} ({key.name}: {', '.join(sorted(key.scopes))}). Keep it now, it is shown only this once. "
        f"Revoke it with: recsys api-key revoke {key.key_id}"
    )


def _scopes(names: list[str]) -> list[Scope]:
    from recsys.store.api_keys import Scope

    try:
        return [Scope(name) for name in names]
    except ValueError as error:
        raise InputError(f"Expected --scope to be one of {', '.join(Scope)}, but: {error}.") from error


@api_key.command("list")
def list_all(k: K = 100, as_json: Json = False) -> None:
    """Show all keys, without their secrets."""
    from recsys.store import FeedbackStore, api_keys

    with FeedbackStore.open(Settings.from_environment().database_url) as store, store.database.reading() as connection:
        found = api_keys.list_keys(connection)[:k]
    if as_json:
        print_json_lines(map(_as_dict, found))
        return
    listed = table("key", "name", "scopes", "created", "revoked")
    for key in found:
        revoked = minute(key.revoked_at) if key.revoked_at else ""
        listed.add_row(key.key_id, key.name, ", ".join(sorted(key.scopes)), minute(key.created_at), revoked)
    show(listed if found else "No API key yet: make one with `recsys api-key create --name NAME --scope SCOPE`.")


def _as_dict(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id, "name": key.name, "scopes": sorted(key.scopes), "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }  # fmt: skip


@api_key.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `recsys api-key list` shows it.")],
    as_json: Json = False,
) -> None:
    """End a key for good; running services notice within two seconds."""
    from recsys.store import FeedbackStore, api_keys

    with FeedbackStore.open(Settings.from_environment().database_url) as store:
        key = store.database.write(lambda c: api_keys.revoke_key(c, key_id, datetime.now(UTC)))
    if as_json:
        print_json_lines([_as_dict(key)])
    else:
        say(f"Key {key.key_id} ({key.name}) is revoked since {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC.")
