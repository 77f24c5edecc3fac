"""Commands that say what users dislike, whether the loop makes it better, and whether what comes in has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from recsys.cli.options import AsOf, Json, K, parse_as_of
from recsys.cli.output import DASH, count_of, minute, number, percent, print_json_lines, say, show, table
from recsys.config.monitoring import MonitoringConfig
from recsys.errors import InputError

if TYPE_CHECKING:
    from recsys.pipeline.monitoring.drift import DriftMeasurement

SHARES = ("_rate", "_share", "change")  # how names of shares end; shown as percentages
SHARED = {"items", "genres", "signals", "reasons"}  # quantities of drift whose changes are shares
UNITS = {"_hours": "h", "_weeks": "weeks", "_days": "days"}  # how names end -> unit of the value


def patterns(
    user: Annotated[str | None, Option("--user", help="Of this user. Default: all users.")] = None,
    k: K = 8,
    as_json: Json = False,
    as_of: AsOf = None,
) -> None:
    """What users dislike: reasons, recent trend, and what they dislike more often than they meet it.

    -k counts for each kind: genres, cast, franchises. Severity is *none* where the difference may be chance.
    """
    moment = parse_as_of(as_of)
    from recsys.feedback.patterns import get_dislike_pattern_analysis
    from recsys.pipeline.context import Context

    with Context.open() as context:
        analysis = get_dislike_pattern_analysis(context.store.insights, user, as_of=moment)
    if as_json:
        print_json_lines([analysis])
        return
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in analysis["reason_distribution"].items())
    trend = analysis["recent_trend"]
    score = trend["avg_predicted_score"]
    say(f"dislikes   {analysis['total_dislikes']:,}: {reasons or 'none'}")
    say(
        f"recent     {trend['total_dislikes']:,} in the last {trend['days']} days with feedback, "
        f"{trend['before']['total_dislikes']:,} in the {trend['days']} days before; "
        + ("no predicted score is known" if score is None else f"mean predicted score {score:.2f} (0 to 1)")
    )
    met = f"share of {analysis['compared_with']}"
    listed = table("", "feature", "dislikes", "share", met, "lift", "p", "severity", right=["dislikes", "share", met])
    for kind in ("genres", "cast", "franchises"):
        for row in analysis[kind][:k]:
            listed.add_row(
                kind, row["name"], number(row["dislikes"]), percent(row["share"]), percent(row["met_share"]),
                number(row["lift"]), DASH if row["p_value"] is None else f"{row['p_value']:.1g}",
                row["severity"] or "none",
            )  # fmt: skip
    show(listed)


def feedback_metrics(as_json: Json = False, as_of: AsOf = None) -> None:
    """Whether the loop improves recommendations: errors, dislike rate per version, waiting times, convergence, efficiency."""
    moment = parse_as_of(as_of)
    from recsys.feedback.improvement import get_feedback_improvement_metrics
    from recsys.pipeline.context import Context

    with Context.open() as context:
        metrics = get_feedback_improvement_metrics(context.store.insights, moment)
    if as_json:
        print_json_lines([metrics])
        return
    listed = table("metric", "value", right=["value"])
    for name, value in metrics.items():
        if not isinstance(value, dict | list):
            listed.add_row(*_measured(name, value))
    for group in ("time_to_champion", "loop_efficiency"):
        for name, value in metrics[group].items():
            if not isinstance(value, dict | list):
                listed.add_row(*_measured(name, value, f"{group}: "))
    for group in ("error_trend", "adjustment_convergence"):
        listed.add_row(*_measured("slope_per_week", metrics[group]["slope_per_week"], f"{group}: "))
    show(listed)
    columns = ("version", "shown", "dislikes", "dislike rate", "prediction error")
    rates = table(*columns, title="What was served", right=columns)
    for row in metrics["dislike_rates"]:
        rates.add_row(
            row["model_version"], number(row["shown_items"]), number(row["dislikes"]), percent(row["dislike_rate"]),
            number(row["avg_prediction_error"]),
        )  # fmt: skip
    show(rates)


def _measured(name: str, value: Any, group: str = "") -> tuple[str, str]:
    """A metric's name in words, and its value with the unit that the name says."""
    words = (group + name).replace("_", " ")
    if value is None:
        return words, DASH
    if name.endswith("as_of"):
        return words, f"{minute(value)} UTC"
    if name.endswith(SHARES):
        return words, percent(value)
    for end, unit in UNITS.items():
        if name.endswith(end):
            return words.removesuffix(end.replace("_", " ")), f"{value:,.1f} {unit}"
    return words, number(value)


def drift(
    as_of: AsOf = None,
    days: Annotated[
        float,
        Option(min=0.01, help="Number of newest days to compare, as far as the champion has not seen them."),
    ] = MonitoringConfig.drift_days,
    report: Annotated[Path | None, Option(help="Write the report here: one HTML file with its picture in it.")] = None,
    as_json: Json = False,
) -> None:
    """How far the newest days are from what the champion learned from, and whether that is more than among earlier weeks.

    Distances are between 0 (the same) and 1 (nothing in common). *reference* are those of earlier windows of the same
    length, each compared with what came before it: on a stream of new releases every week differs. Above
    *threshold* it is drift. `feedback_monitoring` does the same every day, keeps the report with the champion in
    MLflow and alerts; this only looks. To let drift start a retraining: `recsys run --retrain-on-drift`, or the switch in the
    form of `feedback_retraining`.
    """
    moment = parse_as_of(as_of)
    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(f"Expected a folder for the report, found none at {report.absolute().parent}: make it first.")
    found = _measure_drift(moment, days)
    if report is not None:
        from recsys.pipeline.monitoring.drift import report_of

        report.write_text(report_of(found), encoding="utf-8")
    if as_json:
        print_json_lines([found.as_dict()])
    else:
        _show_drift(found)


def _measure_drift(moment: Any, days: float) -> DriftMeasurement:
    """Loads TensorFlow, and the champion, only where there is something to compare."""
    from recsys.pipeline.context import Context
    from recsys.pipeline.monitoring import drift

    with Context.open() as context:
        newest = drift.newest_days(context, moment)
        if isinstance(newest, drift.DriftMeasurement):
            return newest
        from recsys.cli.progress import progress_bar
        from recsys.cli.tensorflow_loading import load_for

        config = drift.drift_config(days)
        with progress_bar() as bar:
            bar.add_task("loading TensorFlow", total=None)
            load_for("measure_drift")
            bar.update(bar.task_ids[0], description="comparing the newest days")
            return drift.compare(context, newest, config)


def _show_drift(found: DriftMeasurement) -> None:
    from recsys.pipeline.monitoring.drift import DRIFT, title_of

    if not found.drifts or found.start is None:
        for reason in found.reasons:
            say(reason)
        return
    title = f"Champion {found.champion}: {minute(found.start)} to {minute(found.as_of)} UTC"
    columns = ("quantity", "distance", "reference", "threshold", "verdict", "largest changes")
    listed = table(*columns, title=title, right=["distance", "threshold"])
    for one in found.drifts:
        earlier = (
            f"{min(one.reference_distances):.3f} to {max(one.reference_distances):.3f}"
            if one.reference_distances
            else DASH
        )
        shown = percent if one.name in SHARED else number
        shifts = [f"{shift.name}: {shown(shift.before)} -> {shown(shift.now)}" for shift in one.shifts]
        listed.add_row(
            title_of(one), _distance(one.distance), earlier, _distance(one.limit), one.verdict.replace("_", " "),
            shifts or one.reason.partition(": ")[2],
        )  # fmt: skip
    show(listed)
    if found.verdict == DRIFT:
        for alert in found.alerts:
            say(alert)
    else:
        say(f"Nothing has drifted: {count_of(len(found.drifts), 'quantity', 'quantities')} compared.")


def _distance(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"
