"""Which versions there are, who was champion when, and the way back to an earlier one."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from recsys import pipeline
from recsys.cli.loop import parse_moment
from recsys.cli.tensorflow_loading import load_for
from recsys.errors import InputError
from recsys.nightly import history, registry_check, rolling_back
from recsys.nightly.workplace import Workplace

out = Console()
models = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@models.callback(invoke_without_command=True)
def list_models(
    context: typer.Context,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Only who was champion on this day, such as 2013-06-14, or at this time."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Every version: when it was made, what the gate said, when it was champion and who let it; or who was on a day.

    Times are UTC.
    """
    if context.invoked_subcommand is not None:
        return
    with Workplace.open() as place:
        if at is not None:
            promotions = place.store.list_promotions()
            found = history.champions_at(promotions, parse_moment(at), is_day=len(at) == len("2013-06-14"))
            _show_champions([history.reign_as_dict(reign) for reign in found], at, as_json)
            return
        rows = [version.as_dict() for version in history.version_histories(place)]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(
        *(Column(name, overflow="fold") for name in ("version", "made", "fit", "verdict", "champion", "aliases"))
    )
    for row in rows:
        table.add_row(
            row["version"], _minute(row["created_at"]) or "deleted", row["fit"], row["verdict"],
            "\n".join(map(_reign, row["champion"])), "\n".join(row["aliases"]),
        )  # fmt: skip
    out.print(table if rows else "No version yet: `recsys run` makes them.")


def _show_champions(found: list[dict[str, Any]], at: str, as_json: bool) -> None:
    for reign in found:
        if as_json:
            print(json.dumps(reign))
        else:
            out.print(
                f"version {reign['version']}: {_reign(reign)}; run {reign['run_id']}: {reign['reason']}", markup=False
            )
    if not found and not as_json:
        out.print(f"No version was champion at {at}.")


def _reign(reign: dict[str, Any]) -> str:
    allowed = f", by {reign['approved_by']}" if reign["approved_by"] else ""
    return f"{_minute(reign['from'])} to {_minute(reign['to']) or 'now'} ({reign['kind']}{allowed})"


def _minute(moment: str | None) -> str:
    return "" if moment is None else moment[:16].replace("T", " ")


@models.command("check")
def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Finish what died half-way, and move aliases to where the audit has them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Whether aliases and versions in the registry are as the audit says. Exit code 1: something is not."""
    with Workplace.open() as place:
        findings = registry_check.check_registry(place, datetime.now(UTC), repairs=repair)
    for finding in findings:
        if as_json:
            print(json.dumps(asdict(finding)))
        else:
            out.print(f"{'repaired: ' if finding.is_repaired else ''}{finding.message}", soft_wrap=True, markup=False)
    if not findings and not as_json:
        out.print("Aliases and champion are as the audit has them.")
    if not all(finding.is_repaired for finding in findings):
        raise typer.Exit(1)


def promote(
    version: Annotated[str, typer.Argument(help="An evaluated challenger; `recsys models` shows them.")],
    reason: Annotated[
        str,
        typer.Option("--accept-thin-evidence", help="Why it is wanted without enough evidence; goes into the audit."),
    ],
    by: Annotated[str | None, typer.Option("--by", help="Who approves it. Default: the user of this machine.")] = None,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="Publish every user's list anew.")] = True,
) -> None:
    """Promote a challenger that too few users could judge, on a person's word: name and reason go into the audit.

    What the gate refuses for any other reason stays refused. Exit code 1: it was refused.
    """
    now, name = datetime.now(UTC), by or _who()
    if not name:
        raise InputError("Expected the name of whoever approves, found none on this machine: give it with --by NAME.")
    run_id = f"accepted__{now.isoformat()}"
    decided = pipeline.decide_promotion(version, run_id, now, accept_thin_evidence=reason)
    for sentence in decided["reasons"]:
        out.print(f"- {sentence}", soft_wrap=True, markup=False)
    if decided["verdict"] != "promote":
        out.print(f"Version {version} is not promoted: {decided['verdict'].replace('_', ' ')}.")
        raise typer.Exit(1)
    load_for("refit_challenger")
    refit = pipeline.refit_challenger(version)
    pipeline.request_approval(refit["model_version"], run_id, now)
    pipeline.record_answer(refit["model_version"], "approve", name, now)
    done = pipeline.promote(refit["model_version"], run_id, now)
    out.print(
        f"Version {done['to_version']} is champion instead of version {done['from_version']}, approved by {name}."
    )
    if publish:
        published = pipeline.publish_recommendations(refit["as_of"], now, done["to_version"])
        out.print(f"Published the lists of {published['num_users']} users.")


def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")],
    to: Annotated[
        str | None, typer.Option("--to", help="A version that was champion before. Default: the previous champion.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; write nothing.")] = False,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="Publish every user's list anew.")] = True,
) -> None:
    """Make an earlier champion champion again, and publish its lists. The loop goes on from there.

    The version that is rolled back from is never promoted again by a run; naming it with --to takes it back.
    """
    now = datetime.now(UTC)
    if dry_run:
        with Workplace.open() as place:
            last, version = rolling_back.plan_rollback(place, to)
        out.print(f"Would roll back from version {last.to_version} to version {version}. Nothing was written.")
        return
    done = pipeline.rollback(f"rollback__{now.isoformat()}", reason, now, to, _who())
    out.print(f"Version {done['to_version']} is champion instead of version {done['from_version']}.")
    if not publish:
        return
    load_for("publish_recommendations")
    published = pipeline.publish_recommendations(now, now, done["to_version"])
    out.print(f"Published the lists of {published['num_users']} users.")


def _who() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return None


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    app.add_typer(models, name="models", help="Every version, and who was champion when.")
    app.command()(promote)
    app.command()(rollback)
