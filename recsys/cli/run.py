"""`recsys run`: a night, or its rehearsal."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import AsOf, Json, parse_as_of, wall_clock
from recsys.cli.output import count_of, number, print_json_lines, say, seconds, show, table
from recsys.cli.progress import progress_bar
from recsys.cli.setting_options import takes_settings
from recsys.cli.tensorflow_loading import load_for
from recsys.config.run import FAMILIES, RunConfig
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.pipeline.night import Night

SYSTEMS = ("challenger", "champion", "decayed_popularity", "popularity")  # as the names of a rehearsal's metrics begin


@takes_settings(choices={"families": FAMILIES})
def run(
    as_of: AsOf = None,
    *,
    config: RunConfig,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compute everything, write nothing.")] = False,
    run_id: Annotated[str | None, typer.Option(help="Resume or name a run. Default: from the cut-off.")] = None,
    as_json: Json = False,
) -> None:
    """One night: check the backlog, train, evaluate, decide, promote, publish. The same steps that Airflow runs."""
    moment = parse_as_of(as_of)
    name = run_id or f"cli__{moment.isoformat()}"
    _require_stream(moment)
    if dry_run:
        parts = _dry_run(name, moment, config)
        if as_json:
            print_json_lines(parts)
        else:
            _show_dry_run(*parts)
        return
    night = _run(name, moment, config)
    if as_json:
        print_json_lines([{**asdict(night), "outcome": night.outcome, "reasons": night.reasons}])
    else:
        show_night(night)


def _require_stream(moment: datetime) -> None:
    """The backlog of a day before the stream is 0, which would look like a quiet night."""
    from recsys.pipeline.context import Context
    from recsys.pipeline.retraining.planning import require_stream

    with Context.open() as context:
        require_stream(context, moment)


def _run(name: str, moment: datetime, config: RunConfig) -> Night:
    from recsys.pipeline.night import NIGHT_STEPS, run_night

    with progress_bar() as bar:
        task = bar.add_task("starting", total=len(NIGHT_STEPS))

        def on_step(step: str) -> None:
            bar.update(task, description=step, advance=1)
            load_for(step)

        return run_night(name, moment, wall_clock, config, on_step=on_step)


def _dry_run(name: str, moment: datetime, config: RunConfig) -> list[dict[str, Any]]:
    """What `check_backlog` would decide and, if that is to retrain, what would come of it."""
    from recsys import pipeline

    now = wall_clock()
    checked = pipeline.check_backlog(name, moment, now, config, record=False)
    if not checked["retrain"]:
        return [checked]
    with progress_bar() as bar:
        bar.add_task("dry run of the night", total=None)
        load_for("dry_run")
        return [checked, pipeline.dry_run(name, moment, now, config)]


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
