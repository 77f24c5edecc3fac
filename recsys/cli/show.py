"""Commands that look, and those that keep the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, K
from recsys.cli.output import count_of, minute, out, print_json_lines, say, table, titled
from recsys.feedback.triggers import FEEDBACK_ACCUMULATION_THRESHOLD

if TYPE_CHECKING:
    from recsys.nightly.workplace import Workplace
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
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        backlog = place.store.count_backlog(datetime.now(UTC))
        holder = place.store.find_open_batch()
        promotion = place.store.last_promotion()
        decisions = place.store.list_decisions(limit=1)
        shifts = place.store.list_stream_shifts()
        home = place.settings.home
    last = decisions[0] if decisions else None
    champion = None if promotion is None else promotion.to_version
    if as_json:
        print_json_lines([{
            "backlog": backlog, "threshold": FEEDBACK_ACCUMULATION_THRESHOLD, "claimed": _claimed(holder),
            "champion": champion, "last_decision": None if last is None else _decided(last), "home": home,
            "stream_shifts": [asdict(shift) for shift in shifts],
        }])  # fmt: skip
        return
    say(f"backlog    {count_of(backlog, 'new dislike')} (threshold {FEEDBACK_ACCUMULATION_THRESHOLD})")
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
    """The champion's list for a user, with reasons: what of it may be recommended now.

    A score is the sum of its contributions: --contributions shows which of the user's likes and dislikes raised (+) or
    lowered (-) it, and by how much. --counterfactuals scores every item again without one of the user's items: "Without
    Alien it would be rank 34".
    """
    from recsys.errors import NotFoundError
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        lists = place.store.served_lists(user_id)
        found = None if lists is None else lists.own or lists.strangers
        if found is None:
            raise NotFoundError(
                "Expected published recommendations, found none: run `recsys run` until a version is promoted."
            )
        shown = found.entries[:k]
        items = place.store.items(entry.item_id for entry in shown)
        without = _counterfactuals(place, found, k) if counterfactuals else {}
        champion = place.store.last_promotion()
    if as_json:
        print_json_lines(_as_dict(found, entry, items, without) for entry in shown)
        return
    whose = f"user {user_id}" if found.user_id else f"newcomers (user {user_id} has no list of their own)"
    listed = table("#", "item", "score", "reason", title=f"For {whose}, model version {found.model_version}")
    for entry in shown:
        reason = entry.reason
        if contributions:
            reason += "\n" + "\n".join(f"{value:+.6f}  {name}" for name, value in entry.contributions.items())
        if entry.item_id in without:
            reason += "\n" + without[entry.item_id]
        listed.add_row(str(entry.rank), titled(entry.item_id, items), f"{entry.score:.4f}", reason)
    out.print(listed)
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


def _counterfactuals(place: Workplace, given: RecommendationSet, k: int) -> dict[str, str]:
    """Item id -> what its rank would be without others, in words, from the version and the histories of the list."""
    if given.user_id is None:
        return {}
    from recsys.cli.tensorflow_loading import load_for

    load_for("counterfactuals")
    from recsys.model.counterfactual import counterfactual_sentence, counterfactuals
    from recsys.serving.publishing import eligible_as_of

    recommender = eligible_as_of(place.store, place.recommender(given.model_version), given.as_of)
    histories = place.store.read_histories(given.as_of, float(recommender.recipe["half_life_days"]), [given.user_id])
    shown = [entry.item_id for entry in given.entries[:k]]
    found = counterfactuals(recommender, histories, given.user_id, shown)
    return {
        str(item_id): counterfactual_sentence(zip(own["title"], own["rank"], strict=True))
        for item_id, own in found.groupby("item_id")
    }


def release(
    batch_id: Annotated[
        str, typer.Argument(help="The run that holds the backlog; `recsys run` names it when it is refused.")
    ],
    as_json: Json = False,
) -> None:
    """Give back the backlog that a dead run still holds; after six hours the next run takes it over by itself."""
    from recsys.nightly.workplace import Workplace

    with Workplace.open() as place:
        batch = place.store.release_batch(batch_id, datetime.now(UTC))
    if as_json:
        print_json_lines([{"run_id": batch.batch_id, "status": batch.status, "num_dislikes": batch.num_examples}])
    else:
        say(f"Batch {batch.batch_id} is {batch.status}.")
