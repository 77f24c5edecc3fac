"""Commands that tell what users dislike, and whether the loop makes it better."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.loop import AsOf, parse_moment
from recsys.feedback.improvement import get_feedback_improvement_metrics
from recsys.feedback.patterns import get_dislike_pattern_analysis
from recsys.nightly.workplace import Workplace

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
        f"recent     {trend['total_dislikes']} in the last {trend['days']} days, {trend['before']['total_dislikes']} in the "
        f"{trend['days']} before; mean predicted score {_number(trend['avg_predicted_score'])}"
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


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def register(app: typer.Typer) -> None:
    """Hangs the commands on the main application."""
    for command in (patterns, feedback_metrics):
        app.command()(command)
