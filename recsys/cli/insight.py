"""Commands that tell what users dislike, whether the loop makes it better, and whether what comes in has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.loop import AsOf, parse_moment, progress_bar
from recsys.cli.tensorflow_loading import load_for
from recsys.errors import InputError
from recsys.feedback.improvement import get_feedback_improvement_metrics
from recsys.feedback.patterns import get_dislike_pattern_analysis
from recsys.nightly import drifting
from recsys.nightly.workplace import Workplace
from recsys.pipeline.monitoring import DRIFT_DAYS

out = Console()
Json = Annotated[bool, typer.Option("--json", help="All numbers, as one JSON object.")]
SHOWN_FEATURES = 8  # of each kind


def patterns(
    user: Annotated[str | None, typer.Option("--user", help="Of this user. Default: over all users.")] = None,
    as_json: Json = False,
    as_of: AsOf = None,
) -> None:
    """What users dislike: reasons, recent trend, and what they dislike more often than they meet it."""
    with Workplace.open() as place:
        analysis = get_dislike_pattern_analysis(place.store, user, as_of=parse_moment(as_of))
    if as_json:
        out.print_json(data=analysis)
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in analysis["reason_distribution"].items())
    trend = analysis["recent_trend"]
    out.print(f"dislikes   {analysis['total_dislikes']}: {reasons or 'none'}")
    out.print(
        f"recent     {trend['total_dislikes']} in the last {trend['days']} days with feedback, "
        f"{trend['before']['total_dislikes']} in the {trend['days']} before; mean predicted score "
        f"{_number(trend['avg_predicted_score'])}"
    )
    table = Table("", "feature", "dislikes", "share", f"of {analysis['compared_with']}", "lift", "p", "severity")
    for kind in ("genres", "cast", "franchises"):
        for row in analysis[kind][:SHOWN_FEATURES]:
            table.add_row(
                kind, row["name"], str(row["dislikes"]), _share(row["share"]), _share(row["met_share"]),
                _number(row["lift"]), "-" if row["p_value"] is None else f"{row['p_value']:.1g}", row["severity"] or "",
            )  # fmt: skip
    out.print(table)


def feedback_metrics(as_json: Json = False, as_of: AsOf = None) -> None:
    """Whether the loop makes it better: errors, dislike rate per version, waiting times, convergence, efficiency."""
    with Workplace.open() as place:
        metrics = get_feedback_improvement_metrics(place.store, parse_moment(as_of))
    if as_json:
        out.print_json(data=metrics)
        return
    table = Table("metric", "value", show_header=False)
    for name, value in metrics.items():
        if not isinstance(value, dict | list):
            table.add_row(name, _number(value))
    for group in ("time_to_champion", "loop_efficiency"):
        for name, value in metrics[group].items():
            table.add_row(f"{group}: {name}", _number(value))
    for group in ("error_trend", "adjustment_convergence"):
        table.add_row(f"{group}: slope_per_week", _number(metrics[group]["slope_per_week"]))
    out.print(table)
    rates = Table("version", "shown", "dislikes", "dislike rate", "prediction error", title="What was served")
    for row in metrics["dislike_rates"]:
        rates.add_row(
            row["model_version"], str(row["shown_items"]), str(row["dislikes"]), _share(row["dislike_rate"]),
            _number(row["avg_prediction_error"]),
        )  # fmt: skip
    out.print(rates)


def drift(
    as_of: AsOf = None,
    days: Annotated[
        float, typer.Option(min=0.01, help="Of the newest days so many, as far as the champion has not seen them.")
    ] = DRIFT_DAYS,
    report: Annotated[
        Path | None, typer.Option(help="Write the report here: one HTML file with its picture in it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How far the newest days are from what the champion learned from, and whether that is more than usual here.

    Distances are between 0 (the same) and 1 (nothing in common). *usual* are those of earlier windows of the same length, each
    compared with what came before it: on a stream of new releases every week differs. Above *limit* it is drift.
    `feedback_monitoring` does the same every day, keeps the report with the champion in MLflow and alerts; this only looks.
    To let drift start a retraining: `recsys run --retrain-on-drift`, or the switch in the form of `feedback_retraining`.
    """
    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(f"Expected a folder for the report, found none at {report.absolute().parent}: make it first.")
    with progress_bar() as bar:
        bar.add_task("loading TensorFlow", total=None)
        load_for("measure_drift")
        bar.update(bar.task_ids[0], description="comparing the newest days")
        with Workplace.open() as place:
            found = drifting.measure(place, parse_moment(as_of), drifting.drift_config(days))
    if report is not None:
        report.write_text(drifting.report_of(found), encoding="utf-8")
    if as_json:
        out.print_json(data=found.as_dict())
    else:
        _show_drift(found)


def _show_drift(found: drifting.DriftMeasurement) -> None:
    if not found.drifts or found.start is None:
        out.print(*found.reasons, sep="\n")
        return
    title = f"Champion {found.champion}: {found.start:%Y-%m-%d %H:%M} to {found.as_of:%Y-%m-%d %H:%M} UTC"
    table = Table("quantity", "distance", "usual", "limit", "verdict", "largest changes", title=title)
    for one in found.drifts:
        usual = f"{min(one.usual):.3f} to {max(one.usual):.3f}" if one.usual else "-"
        shifts = "\n".join(f"{shift.name}: {shift.before:.3g} -> {shift.now:.3g}" for shift in one.shifts)
        table.add_row(
            drifting.title_of(one), _distance(one.distance), usual, _distance(one.limit),
            one.verdict.replace("_", " "), shifts or one.reason.partition(": ")[2],
        )  # fmt: skip
    out.print(table)
    out.print("Nothing has drifted." if found.verdict != drifting.DRIFT else "\n".join(found.alerts))


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    for command in (patterns, feedback_metrics, drift):
        app.command()(command)
