"""`recsys run`: a night, or its rehearsal; and the options that it shares with a replay."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.eligible_options import (
    AllItems,
    Genres,
    Tags,
    WithoutGenres,
    WithoutTags,
    Year,
    eligibility_rule,
)
from recsys.cli.families import Families, require_families
from recsys.cli.options import AsOf, Json, parse_as_of, wall_clock
from recsys.cli.output import count_of, number, print_json_lines, say, show, table
from recsys.cli.progress import progress_bar
from recsys.cli.tensorflow_loading import load_for
from recsys.feedback.triggers import TriggerConfig
from recsys.training.recipe.recipe import FAMILIES, MAX_SEED

if TYPE_CHECKING:
    from datetime import datetime

    from recsys.pipeline.night import Night, NightOptions
from typing import TYPE_CHECKING

from recsys.cli.output import seconds
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.pipeline.night import Night


__all__ = ["AsOf", "parse_as_of", "progress_bar", "run", "wall_clock"]

Threshold = Annotated[int, typer.Option(min=1, help="Number of new dislikes that starts a retraining.")]
HalfLife = Annotated[
    float | None,
    typer.Option(
        "--half-life-days", min=0.01, help="Age at which a weight has halved. Default: a quarter of the stream."
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of all random numbers in the fit.")]
KeepCandidate = Annotated[
    bool,
    typer.Option(
        "--keep-candidate", help="Fit the champion's candidate and ridges again instead of trying all: a cheaper night."
    ),
]
DEFAULTS = TriggerConfig()
SYSTEMS = ("challenger", "champion", "decayed_popularity", "popularity")  # as the names of a rehearsal's metrics begin
Count = Annotated[int, typer.Option(min=1, help="Minimum number of dislikes for this trigger.")]


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
        typer.Option(min=1.01, help="Retrain when the lift of a genre, person or franchise is at least this."),
    ] = DEFAULTS.feature_lift,
    feature_min_count: Count = DEFAULTS.feature_min_count,
    feature_significance: Annotated[
        float, typer.Option(help="... and its p-value, corrected for the number of features, is at most this.")
    ] = DEFAULTS.feature_significance,
    retrain_on_drift: Annotated[
        bool, typer.Option(help="Whether drift, as feedback_monitoring last measured it, asks for one.")
    ] = DEFAULTS.retrain_on_drift,
    as_json: Json = False,
) -> None:
    """One night: check the backlog, train, evaluate, decide, promote, publish. The same steps that Airflow runs."""
    moment = parse_as_of(as_of)
    rule = eligibility_rule(all_items, min_year, max_year, genres, without_genres, tags, without_tags)
    name = run_id or f"cli__{moment.isoformat()}"
    triggers = TriggerConfig(
        threshold, backlog_trigger, error_threshold, error_min_count, error_trigger, feature_lift, feature_min_count,
        feature_significance, feature_trigger, retrain_on_drift,
    )  # fmt: skip
    from recsys.pipeline.night import NightOptions

    require_families(families or ())
    options = NightOptions(threshold, half_life_days, seed, force, triggers, families or FAMILIES, keep_candidate, rule)
    _require_stream(moment)
    if dry_run:
        parts = _dry_run(name, moment, options)
        if as_json:
            print_json_lines(parts)
        else:
            _show_dry_run(*parts)
        return
    night = _run(name, moment, options)
    if as_json:
        print_json_lines([{**asdict(night), "outcome": night.outcome, "reasons": night.reasons}])
    else:
        from recsys.cli.run import show_night

        show_night(night)


def _require_stream(moment: datetime) -> None:
    """The backlog of a day before the stream is 0, which would look like a quiet night."""
    from recsys.pipeline.context import Context
    from recsys.pipeline.retraining.planning import require_stream

    with Context.open() as context:
        require_stream(context, moment)


def _run(name: str, moment: datetime, options: NightOptions) -> Night:
    from recsys.pipeline.night import NIGHT_STEPS, run_night

    with progress_bar() as bar:
        task = bar.add_task("starting", total=len(NIGHT_STEPS))

        def on_step(step: str) -> None:
            bar.update(task, description=step, advance=1)
            load_for(step)

        return run_night(name, moment, wall_clock, options, on_step=on_step)


def _dry_run(name: str, moment: datetime, options: NightOptions) -> list[dict[str, Any]]:
    """What `check_backlog` would decide and, if that is to retrain, what would come of it."""
    from recsys import pipeline

    arguments: dict[str, Any] = {
        "run_id": name, "as_of": moment, "now": wall_clock(), "force_reason": options.force_reason,
    }  # fmt: skip
    checked = pipeline.check_backlog(**arguments, **asdict(options.triggers), record=False)
    if not checked["retrain"]:
        return [checked]
    with progress_bar() as bar:
        bar.add_task("dry run of the night", total=None)
        load_for("dry_run")
        outcome = pipeline.dry_run(
            **arguments, half_life_days=options.half_life_days, seed=options.seed, families=options.families,
            keep_candidate=options.keep_candidate,
            eligible=None if options.eligible is None else options.eligible.as_dict(),
        )  # fmt: skip
    return [checked, outcome]


def _show_dry_run(checked: dict[str, Any], outcome: dict[str, Any] | None = None) -> None:
    say(f"backlog    {count_of(checked['backlog'], 'new dislike')} (threshold {checked['threshold']:,})")
    say(f"triggers   {', '.join(name for name, fired in checked['triggers'].items() if fired) or 'none fired'}")
    say(f"decision   {'retrain' if checked['retrain'] else 'skip'}. {checked['reason']}")
    if outcome is not None:
        rows = count_of(outcome["num_rows"], "example")
        checks = count_of(outcome["num_expectations"], "data check")
        say(f"data       {rows} up to {outcome['fit_through'][:16].replace('T', ' ')} UTC; {checks} passed")
        say(f"verdict    would {outcome['would'].replace('_', ' ')}")
        for reason in outcome["reasons"]:
            say(f"  - {reason}")
        _show_metrics(outcome["metrics"])
    say("Nothing was written: dry run.")


def _show_metrics(metrics: dict[str, float]) -> None:
    """A row a metric, a column a system."""
    by_metric: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        system = next((one for one in SYSTEMS if name.startswith(f"{one}_")), "")
        by_metric.setdefault(name.removeprefix(f"{system}_"), {})[system] = value
    systems = [one for one in (*SYSTEMS, "") if any(one in values for values in by_metric.values())]
    titles = [one.replace("_", " ") or "all" for one in systems]
    listed = table("metric", *titles, right=titles)
    for name, values in by_metric.items():
        listed.add_row(name.replace("_at_", "@").replace("_", " "), *(number(values.get(one)) for one in systems))
    show(listed)


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
