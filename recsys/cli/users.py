"""Users, and what they say of items: `recsys users`, `recsys dislike`, `recsys undo`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import count_of, minute, print_json_lines, say, show, table
from recsys.errors import InputError
from recsys.records import DislikeReason

if TYPE_CHECKING:
    from recsys.feedback.handler import StoredDislike
    from recsys.store import FeedbackStore

SHOWN = 5  # dislikes that `undo` names when it is not clear which is meant


def users(k: K = 20, as_json: Json = False) -> None:
    """Users by activity: how many items they like, dislike and met, and when their last event was."""
    from recsys.pipeline.context import Context
    from recsys.store.directory import active_users

    with Context.open() as context, context.store.database.reading() as connection:
        found = active_users(connection, k)
    if as_json:
        print_json_lines(map(asdict, found))
        return
    names = ("user", "likes", "dislikes", "items met", "newest feedback (UTC)")
    listed = table(*names, right=names[1:4])
    for user in found:
        listed.add_row(
            user.user_id, f"{user.num_likes:,}", f"{user.num_dislikes:,}", f"{user.num_items:,}", minute(user.last_at)
        )
    show(listed if found else "No users yet: `recsys import` brings in a stream.")


def dislike(
    user_id: Annotated[
        str, typer.Argument(metavar="USER", help="The user who dislikes it; `recsys users` lists users.")
    ],
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id; `recsys items --title` finds it.")],
    reason: Annotated[
        DislikeReason, typer.Option("--reason", help="Why; each reason has its own effect, see docs/api.md.")
    ] = DislikeReason.UNSPECIFIED,
    text: Annotated[str | None, typer.Option("--text", help="The user's own words.")] = None,
    as_json: Json = False,
) -> None:
    """Record a thumbs-down, as `POST /api/dislike` does. It acts at once on the user's list, and trains the next version."""
    from recsys.pipeline.context import Context
    from recsys.serving.thumbs_down import record_dislike

    with Context.open() as context:
        stored = record_dislike(context.store, user_id, item_id, reason, datetime.now(UTC), text)
    if as_json:
        print_json_lines([_as_dict(stored)])
        return
    given = stored.dislike
    say(f"Dislike {stored.dislike_id}: user {user_id}, {given.movie_title} ({given.item_id}), {given.reason}.")
    for name, change in stored.adjustments.items():
        say(f"  plays down  {name} by {-100 * change:g} %, for this user")
    if not stored.adjustments:
        say("  plays down  nothing; the item leaves the user's lists")
    if given.predicted_score is not None:
        say(f"  predicted   {given.predicted_score:.2f} (0 to 1) in list {given.recommendation_set_id}")
    say(f"Take it back: recsys undo {user_id} {stored.dislike_id}")


def undo(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="The user who made it.")],
    dislike_id: Annotated[
        int | None, typer.Argument(metavar="[DISLIKE_ID]", min=1, help="Its number, as `recsys dislike` printed it.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest one that was not taken back.")] = False,
    as_json: Json = False,
) -> None:
    """Take a dislike back, as `DELETE /api/dislike/{id}` does: its adjustments end, and it trains no more."""
    from recsys.pipeline.context import Context
    from recsys.serving.thumbs_down import newest_dislike

    with Context.open() as context:
        if (dislike_id is None) is not last:
            raise InputError(_which(context.store, user_id))
        number = newest_dislike(context.store, user_id).dislike_id if dislike_id is None else dislike_id
        stored = context.store.feedback.retract_dislike(user_id, number, datetime.now(UTC))
    if as_json:
        print_json_lines([_as_dict(stored)])
        return
    given = stored.dislike
    say(f"Dislike {stored.dislike_id} of {given.movie_title} ({given.item_id}) is taken back.")
    say(f"  no longer played down: {', '.join(stored.adjustments) or 'nothing was'}")


def _which(store: FeedbackStore, user_id: str) -> str:
    newest = [f"{one.dislike_id} ({one.dislike.movie_title})" for one in store.feedback.list_dislikes(user_id, SHOWN)]
    there = f"The newest {count_of(len(newest), 'dislike')} of {user_id}: {', '.join(newest)}." if newest else (
        f"User {user_id} has no dislike that could be taken back."
    )  # fmt: skip
    return f"Expected either the number of a dislike or --last. {there} Nothing was written."


def _as_dict(stored: StoredDislike) -> dict[str, Any]:
    given = stored.dislike
    return {
        "dislike_id": stored.dislike_id, "user_id": given.user_id, "item_id": given.item_id,
        "title": given.movie_title, "reason": given.reason, "adjustments": stored.adjustments,
        "predicted_score": given.predicted_score, "recommendation_set_id": given.recommendation_set_id,
        "created_at": given.created_at, "retracted_at": stored.retracted_at,
    }  # fmt: skip
