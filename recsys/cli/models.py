"""Which versions there are, who was champion when, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from recsys.cli.options import Json, K, parse_as_of
from recsys.cli.output import DASH, count_of, minute, print_json_lines, say, show, table

models = typer.Typer(add_completion=False)
A_DAY = len("2013-06-14")


@models.callback(invoke_without_command=True)
def list_models(
    ctx: typer.Context,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="Only the version that was champion on this day, such as 2026-11-27, or at this time, by the wall clock.",
        ),
    ] = None,
    k: K = 20,
    as_json: Json = False,
) -> None:
    """Every version: when it was made, what the gate said, when it was champion and who approved it; or who was on a day.

    The newest -k versions. Times are UTC.
    """
    if ctx.invoked_subcommand is not None:
        return
    from recsys.pipeline.champion import version_history
    from recsys.pipeline.context import Context

    moment = None if at is None else parse_as_of(at)
    with Context.open() as context:
        if at is not None and moment is not None:
            found = version_history.champions_at(context.store.audit.list_promotions(), moment, is_day=len(at) == A_DAY)
            _show_champions([version_history.tenure_as_dict(tenure) for tenure in found], at, as_json)
            return
        rows = [version.as_dict() for version in version_history.version_histories(context)]
    if as_json:
        print_json_lines(rows[-k:])
        return
    listed = table("version", "made", "fit", "verdict", "champion", "aliases", right=["version"])
    for row in rows[-k:]:
        listed.add_row(
            row["version"], minute(row["created_at"]) if row["created_at"] else "deleted", row["fit"] or DASH,
            row["verdict"] or DASH, list(map(_tenure, row["champion"])), row["aliases"],
        )  # fmt: skip
    show(listed if rows else "No version yet: `recsys run` makes them.")
    if len(rows) > k:
        say(f"And {count_of(len(rows) - k, 'older version')}: -k {len(rows)} shows all.")


def _show_champions(found: list[dict[str, Any]], at: str, as_json: bool) -> None:
    if as_json:
        print_json_lines(found)
        return
    for one in found:
        say(f"version {one['version']}: {_tenure(one)}; run {one['run_id']}: {one['reason']}")
    if not found:
        say(f"No version was champion at {at}.")


def _tenure(tenure: dict[str, Any]) -> str:
    allowed = f", by {tenure['approved_by']}" if tenure["approved_by"] else ""
    until = minute(tenure["to"]) if tenure["to"] else "now"
    return f"{minute(tenure['from'])} to {until} ({tenure['kind']}{allowed})"


@models.command("check")
def check(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Finish what was interrupted, and move aliases to where the audit has them."),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="Record the digests of files that were made before digests were kept, as they are now."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Whether aliases, versions and files are as they were recorded. Exit code 1: something differs.

    Aliases and versions in the registry are compared with the audit of champions; frozen training sets, models and evidence
    with the digests that the feedback database has of their files.
    """
    from recsys.pipeline.champion import registry_check
    from recsys.pipeline.context import Context

    with Context.open() as context:
        findings = registry_check.check_registry(context, datetime.now(UTC), repairs=repair, adopts=adopt)
    if as_json:
        print_json_lines(map(asdict, findings))
    else:
        for finding in findings:
            prefix = "repaired: " if finding.is_repaired and finding.kind != "no_digest" else ""
            say(f"{prefix}{finding.message}")
        if not findings:
            say("Aliases and champion are as the audit has them, and all files as they were written.")
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
    as_json: Json = False,
) -> None:
    """Promote a challenger with too few users in its holdout, on a person's word: name and reason go into the audit.

    What the gate refuses for any other reason stays refused. Exit code 1: it was refused.
    """
    from recsys import pipeline
    from recsys.cli.tensorflow_loading import load_for
    from recsys.errors import InputError

    now, name = datetime.now(UTC), by or _who()
    if not name:
        raise InputError("Expected the name of whoever approves, found none on this machine: give it with --by NAME.")
    run_id = f"accepted__{now.isoformat()}"
    decided = pipeline.decide_promotion(version, run_id, now, accept_thin_evidence=reason)
    if decided["verdict"] != "promote":
        if as_json:
            print_json_lines([{"verdict": decided["verdict"], "reasons": decided["reasons"]}])
        else:
            _say_all(decided["reasons"])
            say(f"Version {version} is not promoted: {decided['verdict'].replace('_', ' ')}.")
        raise typer.Exit(1)
    load_for("refit_challenger")
    refit = pipeline.refit_challenger(decided["model_version"])
    pipeline.request_approval(refit["model_version"], run_id, datetime.now(UTC))
    pipeline.record_answer(refit["model_version"], "approve", name, datetime.now(UTC))
    done = pipeline.promote(refit["model_version"], run_id, datetime.now(UTC))
    if publish:
        done |= pipeline.publish_recommendations(refit["as_of"], datetime.now(UTC), done["to_version"])
    if as_json:
        print_json_lines([{**done, "approved_by": name, "reasons": decided["reasons"]}])
        return
    _say_all(decided["reasons"])
    say(f"Version {done['to_version']} is champion instead of version {done['from_version']}, approved by {name}.")
    if publish:
        say(f"Published the lists of {count_of(done['num_users'], 'user')}.")


def _say_all(reasons: Iterable[str]) -> None:
    for reason in reasons:
        say(f"- {reason}")


def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")],
    to: Annotated[
        str | None, typer.Option("--to", help="A version that was champion before. Default: the previous champion.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; write nothing.")] = False,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="Publish every user's list anew.")] = True,
    as_json: Json = False,
) -> None:
    """Make an earlier champion champion again, and publish its lists. The loop goes on from there.

    The version that is rolled back from is never promoted again by a run; naming it with --to takes it back.
    """
    from recsys import pipeline
    from recsys.cli.tensorflow_loading import load_for
    from recsys.pipeline.champion.rollback import plan_rollback
    from recsys.pipeline.context import Context

    now = datetime.now(UTC)
    if dry_run:
        with Context.open() as context:
            last, version = plan_rollback(context, to)
        if as_json:
            print_json_lines([{"from_version": last.to_version, "to_version": version, "written": "nothing"}])
        else:
            say(f"Would roll back from version {last.to_version} to version {version}. Nothing was written.")
        return
    done = pipeline.rollback(f"rollback__{now.isoformat()}", reason, now, to, _who())
    if not as_json:
        say(f"Version {done['to_version']} is champion instead of version {done['from_version']}.")
    if publish:
        load_for("publish_recommendations")
        done["published"] = pipeline.publish_recommendations(now, now, done["to_version"])
    if as_json:
        print_json_lines([done])
    elif publish:
        say(f"Published the lists of {count_of(done['published']['num_users'], 'user')}.")


def _who() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return None
