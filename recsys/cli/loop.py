"""Commands that run the loop."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsys import pipeline, process
from recsys.cli.eligible_options import (
    AllItems,
    Genres,
    Tags,
    WithoutGenres,
    WithoutTags,
    Year,
    eligibility_rule,
)
from recsys.cli.shown_night import show_night
from recsys.cli.tensorflow_loading import load_for
from recsys.errors import InputError, RecsysError
from recsys.feedback.triggers import TriggerConfig
from recsys.loop import NIGHT_STEPS, NightOptions, run_night
from recsys.nightly.planning import MAX_SEED, require_stream
from recsys.nightly.workplace import Workplace
from recsys.settings import Settings
from recsys.simulation import replay as replays
from recsys.simulation import replay_report
from recsys.training.recipe import FAMILIES

out = Console()
err = Console(stderr=True)

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Cut-off on when events were recorded: 2013-06-14 or 2013-06-14T02:00:00Z. Default: now."
    ),
]
Threshold = Annotated[int, typer.Option(min=1, help="Retrain from so many new dislikes on.")]
HalfLife = Annotated[
    float | None,
    typer.Option(
        "--half-life-days", min=0.01, help="Age at which a weight has halved. Default: a quarter of the stream."
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random in the fit.")]
Families = Annotated[
    list[str] | None,
    typer.Option("--family", help=f"Try only candidates of this family: {', '.join(FAMILIES)}. May be given twice."),
]
KeepCandidate = Annotated[
    bool,
    typer.Option(
        "--keep-candidate", help="Fit the champion's candidate and ridges again instead of trying all: a cheaper night."
    ),
]
DEFAULTS = TriggerConfig()
Count = Annotated[int, typer.Option(min=1, help="So many dislikes must be there for it.")]


def parse_moment(text: str | None) -> datetime:
    """An aware datetime from a day or ISO 8601 text; UTC where no zone is given; now for None.

    Raises:
        InputError: if the text is neither.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"Expected a day such as 2013-06-14 or a time such as 2013-06-14T02:00:00+00:00, got {text!r}."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wall_clock() -> datetime:
    """What the records of this machine's doings carry, whatever the cut-off of the run."""
    return datetime.now(UTC)


def run(
    as_of: AsOf = None,
    force: Annotated[str | None, typer.Option("--force", help="Retrain whatever the backlog, for this reason.")] = None,
    threshold: Threshold = 20,
    half_life_days: HalfLife = None,
    seed: Seed = 0,
    families: Families = None,
    keep_candidate: KeepCandidate = False,
    min_year: Year = None,
    max_year: Year = None,
    genres: Genres = None,
    without_genres: WithoutGenres = None,
    tags: Tags = None,
    without_tags: WithoutTags = None,
    all_items: AllItems = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute everything, write nothing.")] = False,
    run_id: Annotated[str | None, typer.Option(help="Resume or name a run. Default: from the cut-off.")] = None,
    backlog_trigger: Annotated[bool, typer.Option(help="Whether --threshold asks for a retraining.")] = True,
    error_trigger: Annotated[bool, typer.Option(help="Whether wrong predictions ask for one.")] = True,
    error_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Retrain above this mean prediction error of the new dislikes.")
    ] = DEFAULTS.error_threshold,
    error_min_count: Count = DEFAULTS.error_min_count,
    feature_trigger: Annotated[bool, typer.Option(help="Whether a feature that stands out asks for one.")] = True,
    feature_lift: Annotated[
        float,
        typer.Option(
            min=1.01, help="Retrain when a genre, person or franchise is disliked so many times more than met."
        ),
    ] = DEFAULTS.feature_lift,
    feature_min_count: Count = DEFAULTS.feature_min_count,
    feature_significance: Annotated[
        float, typer.Option(help="... and the chance of that by accident is at most this, corrected.")
    ] = DEFAULTS.feature_significance,
    retrain_on_drift: Annotated[
        bool, typer.Option(help="Whether drift, as feedback_monitoring last measured it, asks for one.")
    ] = DEFAULTS.retrain_on_drift,
) -> None:
    """One night: check the backlog, train, evaluate, judge, promote, publish. The same steps that Airflow runs."""
    moment = parse_moment(as_of)
    rule = eligibility_rule(all_items, min_year, max_year, genres, without_genres, tags, without_tags)
    name = run_id or f"cli__{moment.isoformat()}"
    triggers = TriggerConfig(
        threshold, backlog_trigger, error_threshold, error_min_count, error_trigger, feature_lift, feature_min_count,
        feature_significance, feature_trigger, retrain_on_drift,
    )  # fmt: skip
    with Workplace.open() as place:  # the backlog of a day before the stream is 0, which would look like a quiet night
        require_stream(place, moment)
    if dry_run:
        arguments: dict[str, Any] = {"run_id": name, "as_of": moment, "now": wall_clock(), "force_reason": force}
        checked = pipeline.check_backlog(**arguments, **asdict(triggers), record=False)
        out.print_json(data=checked)
        if not checked["retrain"]:
            return
        load_for("dry_run")
        outcome = pipeline.dry_run(
            **arguments, half_life_days=half_life_days, seed=seed, families=families or FAMILIES,
            keep_candidate=keep_candidate, eligible=None if rule is None else rule.as_dict(),
        )  # fmt: skip
        out.print_json(data=outcome)
        return
    with progress_bar() as bar:
        task = bar.add_task("starting", total=len(NIGHT_STEPS))

        def on_step(step: str) -> None:
            bar.update(task, description=step, advance=1)
            load_for(step)

        options = NightOptions(
            threshold, half_life_days, seed, force, triggers, families or FAMILIES, keep_candidate, rule
        )
        night = run_night(name, moment, wall_clock, options, on_step=on_step)
    show_night(night)


def progress_bar() -> Progress:
    """A progress bar on stderr; silent where stderr is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<26}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def step(
    name: Annotated[str, typer.Argument(help="A step; see `recsys.pipeline`.")],
    arguments: Annotated[str, typer.Option(help="Its arguments as a JSON object.")] = "{}",
    result: Annotated[Path | None, typer.Option(help="Write the outcome here as JSON instead of printing it.")] = None,
) -> None:
    """One step in this process: what Airflow's tasks start, and what a container would run."""
    try:
        given = step_arguments(name, arguments)
        load_for(name)
        value = pipeline.STEPS[name](**given)
    except RecsysError as error:
        if result is not None:
            process.write_result(result, error=error)
        raise
    if result is not None:
        process.write_result(result, value=value)
    else:
        out.print_json(data=value, default=str)


def step_arguments(name: str, text: str) -> dict[str, Any]:
    """Arguments of a step from JSON, checked against its signature.

    Raises:
        InputError: if there is no such step, the text is no JSON object, or a name or a type does not fit.
    """
    if name not in pipeline.STEPS:
        raise InputError(f"Expected one of the steps {', '.join(sorted(pipeline.STEPS))}, got {name!r}.")
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"Expected --arguments to be a JSON object, got {text!r} ({error}).") from error
    if not isinstance(given, dict):
        raise InputError(f"Expected --arguments to be a JSON object, such as {{}}, got {text!r}.")
    signature, hints = inspect.signature(pipeline.STEPS[name]), get_type_hints(pipeline.STEPS[name])
    expected = ", ".join(str(parameter).replace("'", "") for parameter in signature.parameters.values())
    try:
        signature.bind(**given)
    except TypeError as error:
        raise InputError(f"Expected the --arguments {expected} of {name}, but: {error}.") from error
    for key, value in given.items():
        try:
            TypeAdapter(hints[key]).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise InputError(f"Expected the --arguments {expected} of {name}, got {value!r} as {key}.") from error
    return given


def replay(
    first: Annotated[str, typer.Option("--from", help="First night, such as 2013-06-01: it makes the first champion.")],
    last: Annotated[str, typer.Option("--to", help="Last night; its champion is scored on the day after.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="One JSON object a night goes here.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Markdown of the totals; the plot goes beside it. Default: in the replay's folder."),
    ] = None,
    threshold: Threshold = 20,
    half_life_days: HalfLife = None,
    seed: Seed = 0,
    families: Families = None,
    keep_candidate: KeepCandidate = False,
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Write every user's list each night, too.")
    ] = True,
) -> None:
    """Run the loop night after night over the stored stream, and score each champion on the next day.

    It works on a copy of the stream with an MLflow store of its own, in `replay/` of RECSYS_HOME: the champion that serves
    is not touched. A replay starts afresh each time.
    """
    nights_at = replays.nights_between(parse_moment(first), parse_moment(last))
    source = Settings.from_environment()
    scratch = Settings.under(source.home / "replay" / f"{nights_at[0]:%Y%m%d}_{nights_at[-1]:%Y%m%d}")
    replays.check_stream(source, nights_at)
    for file in (json_file, report):
        if file is not None:  # a folder that cannot be made is found out now, not after the first night
            file.absolute().parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(scratch.home, ignore_errors=True)
    with progress_bar() as bar:
        task = bar.add_task("copying the stream", total=len(nights_at))
        replays.start_from(source, scratch)
        scratch.use()
        nights = []
        options = NightOptions(
            threshold, half_life_days, seed, families=families or FAMILIES, keep_candidate=keep_candidate
        )

        def on_step(name: str, step: str) -> None:
            bar.update(task, description=f"{name} {step}")
            load_for(step)

        for night in replays.replay(
            nights_at[0], nights_at[-1], options, clock=wall_clock, publishes=publish, on_step=on_step
        ):
            nights.append(night)
            bar.advance(task)
            _show_replayed(night)
            if json_file is not None:
                lines = "".join(json.dumps(n.as_dict()) + "\n" for n in nights)
                json_file.write_text(lines, encoding="utf-8")
    _show_totals(nights, seed)
    chosen = "".join(f" --family {name}" for name in families or ()) + " --keep-candidate" * keep_candidate
    written = replay_report.write_report(nights, report or scratch.home / "replay.md", seed, chosen)
    out.print(f"Report with plot: {written}")


def _show_replayed(night: replays.ReplayedNight) -> None:
    scores = "  ".join(f"{system} {night.systems[system]['ndcg_at_10'] or 0:.4f}" for system in replays.SYSTEMS)
    seconds = sum(night.seconds.values())
    out.print(
        f"{night.as_of[:10]}  {night.outcome:<8} backlog {night.backlog:>4}  next day: {scores}  ({seconds:.0f} s)",
        soft_wrap=True,
    )


def _show_totals(nights: list[replays.ReplayedNight], seed: int) -> None:
    table = Table(
        "system", "NDCG@10", "Recall@20", "dislike exposure@10", "coverage@10", "champion beside it", title="All nights"
    )
    ahead = replay_report.leads(nights, seed)
    for system, metrics in replay_report.totals(nights).items():
        lead = replay_report.lead_in_words(ahead.get(system))
        table.add_row(system, *(f"{value:.4f}" for value in metrics.values()), lead)
    out.print(table)


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    for command in (run, step, replay):
        app.command()(command)
