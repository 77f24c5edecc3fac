"""What a night did, a line a step, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recsys.cli.output import say, seconds, show, table
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.loop import Night

# What is worth reading of a step's result; `_line` has the three that take more than a format.
LINES = {
    "check_backlog": "{reason}",
    "claim_backlog": "{num_examples} dislikes claimed, up to {as_of:.16} UTC; champion: {champion_version}",
    "build_training_set": "{num_rows} examples, {num_dislikes} are dislikes, {num_holdout} holdout; digest {digest:.12}",
    "validate_training_set": "{num_expectations} data checks: passed",
    "train_challenger": "version {model_version}",
    "settle_backlog": "{num_examples} dislikes {status}",
    "decide_promotion": "{verdict}",
    "refit_challenger": "version {model_version}: version {judged_version} refitted on everything up to {as_of:.16} UTC",
    "promote": "version {to_version} is champion; before it: {from_version}",
    "publish_recommendations": "lists of {num_users} users",
}


def show_night(night: Night) -> None:
    """Prints what a night did, why it ended as it did, and where to look next."""
    listed = table("step", "time", "what came of it", title=f"run {night.run_id}: {night.outcome}", right=["time"])
    for step, result in night.results.items():
        warnings = [f"Warning: {warning}" for warning in result.get("warnings", ())]
        listed.add_row(step, seconds(night.seconds[step]), [_line(night, step, result), *warnings])
    show(listed)
    for reason in night.reasons:
        say(f"- {reason}")
    for way in _ways(night):
        say(way)


def _line(night: Night, step: str, result: dict[str, Any]) -> str:
    if step == "list_candidates":
        return ", ".join(result["candidates"])
    if step == "try_candidate":
        return "NDCG@10 on validation: " + ", ".join(f"{t['candidate']} {t['ndcg_at_10']:.4f}" for t in night.trials)
    if step == "evaluate_challenger":
        ndcg = result["metrics"].get("challenger_ndcg_at_10")
        return "nobody liked anything in the holdout" if ndcg is None else f"NDCG@10 {ndcg:.4f}"
    return LINES[step].format(**{name: "none" if value is None else _counted(value) for name, value in result.items()})


def _counted(value: Any) -> Any:
    """Whole numbers with their thousands apart."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


def _ways(night: Night) -> list[str]:
    """What a person would look at next."""
    ways = []
    if checks := night.results.get("validate_training_set"):
        ways.append(f"Data checks: {Settings.from_environment().locate(checks['data_docs_uri'])}")
    if night.outcome != "skip":
        ways.append(f"The whole verdict: recsys decisions --run-id {night.run_id}")
    if "publish_recommendations" in night.results:
        ways.append("A user's list: recsys recommend USER --contributions")
    return ways
