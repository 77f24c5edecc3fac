"""What was decided, and whether it would be decided again."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.loop import parse_moment
from recsys.nightly import replaying
from recsys.nightly.workplace import Workplace
from recsys.records import Decision

out = Console()
decisions = typer.Typer()


@decisions.callback(invoke_without_command=True)
def list_decisions(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only of this run.")] = None,
    verdict: Annotated[
        str | None,
        typer.Option(help="Only with this verdict: skip, retrain, promote, reject, insufficient_evidence ..."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only recorded from this day or time on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all numbers.")] = False,
) -> None:
    """Why each night skipped, trained, promoted or refused."""
    if context.invoked_subcommand is not None:
        return
    start = None if since is None else parse_moment(since)
    with Workplace.open() as place:
        rows = place.store.list_decisions(limit=limit, run_id=run_id, verdict=verdict, since=start)
    if as_json:
        for row in rows:
            print(json.dumps(_as_dict(row)))
        return
    table = Table("id", "run", "step", "verdict", "reasons")
    for row in rows:
        table.add_row(str(row.decision_id), row.run_id, row.step, row.verdict, "\n".join(row.reasons))
    out.print(table)


@decisions.command("show")
def show(
    decision_id: Annotated[int, typer.Argument(help="Its number; `recsys decisions` shows it.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as one JSON object.")] = False,
) -> None:
    """One decision in full. A verdict of the gate is judged again from its stored evidence and thresholds.

    Exit code 1: the evidence is gone, or it does not lead to the same verdict, reasons and numbers any more.
    """
    with Workplace.open() as place:
        decision = place.store.get_decision(decision_id)
        again = replaying.replay(place, decision)
    if as_json:
        replayed = None if again is None else {
            "is_same": again.is_same, "verdict": again.verdict, "differences": list(again.differences),
        }  # fmt: skip
        print(json.dumps({**_as_dict(decision), "replay": replayed}))
    else:
        _show(decision, again)
    if again is not None and not again.is_same:
        raise typer.Exit(1)


def _show(decision: Decision, again: replaying.Replay | None) -> None:
    out.print(f"Decision {decision.decision_id}: {decision.step} of run {decision.run_id}", soft_wrap=True)
    out.print(f"  verdict   {decision.verdict}")
    out.print(f"  as of     {decision.as_of:%Y-%m-%d %H:%M} UTC, recorded {decision.recorded_at:%Y-%m-%d %H:%M} UTC")
    for reason in decision.reasons:
        out.print(f"  - {reason}", soft_wrap=True, markup=False)
    out.print_json(data=decision.numbers)
    if again is None:
        out.print("Only verdicts of the gate can be judged again.")
    elif again.is_same:
        out.print(f"Judged again from the stored evidence: {again.verdict}, the same verdict, reasons and numbers.")
    else:
        out.print("Judged again from the stored evidence: [bold]not the same[/bold].")
        for difference in again.differences:
            out.print(f"  - {difference}", soft_wrap=True, markup=False)


def _as_dict(row: Decision) -> dict[str, Any]:
    return {
        "decision_id": row.decision_id, "run_id": row.run_id, "step": row.step, "verdict": row.verdict,
        "reasons": list(row.reasons), "as_of": row.as_of.isoformat(), "recorded_at": row.recorded_at.isoformat(),
        "numbers": row.numbers,
    }  # fmt: skip


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    app.add_typer(decisions, name="decisions", help="Why each night skipped, trained, promoted or refused.")
