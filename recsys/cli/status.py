"""Commands that look, and those that keep the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import count_of, minute, print_json_lines, say, show, table, titled
from recsys.config.triggers import TriggerConfig

if TYPE_CHECKING:
    from recsys.records import Batch, Decision, Item, RecommendationEntry, RecommendationSet

db = typer.Typer(add_completion=False, no_args_is_help=True, help="The feedback database.")


@db.callback()
def database() -> None:
    """The feedback database."""


@db.command("upgrade")
def upgrade(as_json: Json = False) -> None:
    """Create the database, or bring its tables up to date. Safe to run again."""
    from recsys.settings import Settings
    from recsys.store.schema import migrate

    migrate(Settings.from_environment().database_url)
    if as_json:
        print_json_lines([{"is_up_to_date": True}])
    else:
        say("Feedback database is up to date.")


def status(as_json: Json = False) -> None:
    """Backlog, who holds claimed dislikes, champion and the last decision."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        backlog = context.store.backlog.count_backlog(datetime.now(UTC))
        holder = context.store.backlog.find_open_batch()
        promotion = context.store.audit.last_promotion()
        decisions = context.store.audit.list_decisions(limit=1)
        shifts = context.store.stream.list_stream_shifts()
        home = context.settings.home
    last = decisions[0] if decisions else None
    champion = None if promotion is None else promotion.to_version
    if as_json:
        print_json_lines([{
            "backlog": backlog, "threshold": TriggerConfig.threshold, "claimed": _claimed(holder),
            "champion": champion, "last_decision": None if last is None else _decided(last), "home": home,
            "stream_shifts": [asdict(shift) for shift in shifts],
        }])  # fmt: skip
        return
    say(f"backlog    {count_of(backlog, 'new dislike')} (threshold {TriggerConfig.threshold})")
    if holder is not None:
        held = count_of(holder.num_examples, "dislike")
        say(f"claimed    {held} by run {holder.batch_id}, since {minute(holder.claimed_at)} UTC")
    say(f"champion   {'none' if champion is None else f'version {champion}'}")
    if last is not None:
        say(f"last       {last.run_id} {last.step}: {last.verdict}. {' '.join(last.reasons)}")
    for shift in shifts:
        say(f"stream     {shift.source} {shift.file_name}: all times moved by {shift.shift_days:+,} days")
    say(f"home       {home}")


def _claimed(holder: Batch | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {"run_id": holder.batch_id, "num_dislikes": holder.num_examples, "claimed_at": holder.claimed_at}


def _decided(last: Decision) -> dict[str, Any]:
    return {
        "decision_id": last.decision_id, "run_id": last.run_id, "step": last.step, "verdict": last.verdict,
        "reasons": last.reasons,
    }  # fmt: skip


def recommend(
    user_id: Annotated[str, typer.Argument(help="A user's id; one without a list gets the list for newcomers.")],
    k: K = 10,
    contributions: Annotated[
        bool, typer.Option("--contributions", help="Show every signed term of each score.")
    ] = False,
    counterfactuals: Annotated[
        bool,
        typer.Option(
            "--counterfactuals",
            help="Show where each item would rank without those of the user's items that count most for it. Loads the model.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """A user's list with reasons, as the API would give it now; that it was shown here is not recorded.

    A score is the sum of its contributions: --contributions shows which of the user's likes and dislikes raised (+) or
    lowered (-) it, and by how much. --counterfactuals scores every item again without one of the user's items: "Without
    Alien it would be rank 34".
    """
    from recsys.cli.explained import contribution_rows, counterfactual_sentences, titles_of_reasons
    from recsys.pipeline.context import Context
    from recsys.serving.lists import current_list

    with Context.open() as context:
        found = current_list(context.store, user_id, datetime.now(UTC), k)
        shown = found.entries[:k]
        items = context.store.catalog.get_items(entry.item_id for entry in shown)
        titles = titles_of_reasons(context, shown)
        without = counterfactual_sentences(context, found, k) if counterfactuals else {}
        champion = context.store.audit.last_promotion()
        has_own = context.store.lists.get_recommendations(user_id) is not None
    if as_json:
        print_json_lines(_as_dict(found, entry, items, without) for entry in shown)
        return
    whose = f"user {user_id}" if has_own else f"newcomers (user {user_id} has no list of their own)"
    listed = table("#", "item", "score", "reason", title=f"For {whose}, model version {found.model_version}")
    for entry in shown:
        reason = [entry.reason]
        if contributions:
            reason += contribution_rows(entry.contributions, titles)
        if entry.item_id in without:
            reason.append(without[entry.item_id])
        listed.add_row(str(entry.rank), titled(entry.item_id, items), f"{entry.score:.4f}", reason)
    show(listed)
    if champion is not None and champion.to_version != found.model_version:
        say(f"Version {champion.to_version} is champion; its lists are not published yet.")


def _as_dict(
    found: RecommendationSet, entry: RecommendationEntry, items: dict[str, Item], without: dict[str, str]
) -> dict[str, Any]:
    return {
        "user_id": found.user_id, "model_version": found.model_version, "as_of": found.as_of, "rank": entry.rank,
        "item_id": entry.item_id, "title": items[entry.item_id].title if entry.item_id in items else None,
        "score": entry.score, "predicted_score": entry.predicted_score, "reason": entry.reason,
        "contributions": entry.contributions, "counterfactuals": without.get(entry.item_id),
    }  # fmt: skip


def release(
    batch_id: Annotated[
        str, typer.Argument(help="The run that holds the backlog; `recsys run` names it when it is refused.")
    ],
    as_json: Json = False,
) -> None:
    """Give back the backlog that a dead run still holds; after six hours the next run takes it over by itself."""
    from recsys.pipeline.context import Context

    with Context.open() as context:
        batch = context.store.backlog.release_batch(batch_id, datetime.now(UTC))
    if as_json:
        print_json_lines([{"run_id": batch.batch_id, "status": batch.status, "num_dislikes": batch.num_examples}])
    else:
        say(f"Batch {batch.batch_id} is {batch.status}.")
