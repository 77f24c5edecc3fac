"""What was decided, and whether it would be decided again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Json, parse_as_of
from recsys.cli.output import DASH, minute, number, paragraph, print_json_lines, say
from recsys.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from recsys.pipeline.promotion.verdict_audit import Reaudit
    from recsys.records import Decision

# Step -> the verdicts that it may come to.
VERDICTS = {
    "check_backlog": ("skip", "retrain"),
    "decide_promotion": ("promote", "reject", "insufficient_evidence"),
    "await_approval": ("pending", "approve", "reject"),
    "measure_drift": ("drift", "stable", "not_enough"),
}
KNOWN = tuple(dict.fromkeys(verdict for verdicts in VERDICTS.values() for verdict in verdicts))

decisions = typer.Typer(add_completion=False)


@decisions.callback(invoke_without_command=True)
def list_decisions(
    ctx: typer.Context,
    k: Annotated[int, typer.Option("-k", "--limit", min=1, max=1000, help="How many to show at most.")] = 20,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only of this run.")] = None,
    verdict: Annotated[str | None, typer.Option(help=f"Only with this verdict: {', '.join(KNOWN)}.")] = None,
    since: Annotated[str | None, typer.Option(help="Only recorded from this day or time on.")] = None,
    as_json: Json = False,
) -> None:
    """Why each night skipped, trained, promoted or refused, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    if verdict is not None and verdict not in KNOWN:
        raise InputError(f"Expected --verdict to be one of {', '.join(KNOWN)}, got {verdict!r}: nothing was looked up.")
    start = None if since is None else parse_as_of(since)
    from recsys.pipeline.context import Context

    with Context.open() as context:
        rows = context.store.audit.list_decisions(limit=k, run_id=run_id, verdict=verdict, since=start)
    if as_json:
        print_json_lines(_as_dict(row) for row in rows)
        return
    for row in rows:
        say(f"{row.decision_id}  {row.verdict}: {row.step} of run {row.run_id}, recorded {minute(row.recorded_at)} UTC")
        for reason in row.reasons:
            paragraph(reason)
    if not rows:
        say("No decision of that kind is on record.")


@decisions.command("show")
def show(
    decision_id: Annotated[int, typer.Argument(help="Its number; `recsys decisions` shows it.")],
    as_json: Json = False,
) -> None:
    """One decision in full. A verdict of the gate is evaluated again from its stored evidence and thresholds.

    Exit code 1: the evidence is gone, or it does not lead to the same verdict, reasons and numbers any more.
    """
    from recsys.pipeline.context import Context
    from recsys.pipeline.promotion import verdict_audit

    with Context.open() as context:
        decision = context.store.audit.get_decision(decision_id)
        again = verdict_audit.reaudit(context, decision)
    if as_json:
        replayed = None if again is None else {
            "is_same": again.is_same, "verdict": again.verdict, "differences": list(again.differences),
        }  # fmt: skip
        print_json_lines([{**_as_dict(decision), "reaudit": replayed}])
    else:
        _show(decision, again)
    if again is not None and not again.is_same:
        raise typer.Exit(1)


def _show(decision: Decision, again: Reaudit | None) -> None:
    say(f"Decision {decision.decision_id}: {decision.step} of run {decision.run_id}")
    say(f"  verdict   {decision.verdict}")
    say(f"  as of     {minute(decision.as_of)} UTC, recorded {minute(decision.recorded_at)} UTC")
    for reason in decision.reasons:
        say(f"  - {reason}")
    numbers = list(_flat(decision.numbers))
    width = max((len(name) for name, _ in numbers), default=0)
    for name, value in numbers:
        say(f"  {name:<{width}}  {value}")
    if again is None:
        say("Only verdicts of the gate can be evaluated again.")
    elif again.is_same:
        say(f"Evaluated again from the stored evidence: {again.verdict}, the same verdict, reasons and numbers.")
    else:
        say("Evaluated again from the stored evidence: not the same.")
        for difference in again.differences:
            say(f"  - {difference}")


def _flat(numbers: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Numbers in numbers as `triggers.backlog.threshold`, one row each."""
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield from _flat({str(context): one for context, one in enumerate(value, start=1)}, f"{above}{name}.")
        else:
            shown = ", ".join(map(number, value)) or DASH if isinstance(value, list) else number(value)
            yield f"{above}{name}", shown


def _as_dict(row: Decision) -> dict[str, Any]:
    return {
        "decision_id": row.decision_id, "run_id": row.run_id, "step": row.step, "verdict": row.verdict,
        "reasons": list(row.reasons), "as_of": row.as_of, "recorded_at": row.recorded_at, "numbers": row.numbers,
    }  # fmt: skip
