"""The verdict in words, and pictures of an evaluation, for the registry's pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.evaluation.gate.decide import Verdict
from recsys.evaluation.gate.evidence import Evidence
from recsys.evaluation.reporting.tables import ACCURACY, OF_LISTS, OF_SYSTEMS, TITLES, comparison_tables
from recsys.foreign_text import in_markdown
from recsys.statistics.bootstrap import Interval, mean_interval

# Fixed places: a layout that looks for them draws the picture twice, which takes longer than all numbers in it.
PLACES = {"left": 0.04, "right": 0.99, "top": 0.96, "bottom": 0.06, "hspace": 0.35, "wspace": 0.3}


def verdict_markdown(verdict: Verdict, evidence: Evidence) -> str:
    """The verdict with its reasons and the comparison, as markdown."""
    holdout = f"{evidence.fit_through:%Y-%m-%d %H:%M} to {evidence.as_of:%Y-%m-%d %H:%M} UTC"
    reasons = "\n".join(f"- {in_markdown(reason)}" for reason in verdict.reasons)
    kind = evidence.kind.replace("_", " ")
    return (
        f"**Verdict: {verdict.verdict.replace('_', ' ')}** ({kind}, holdout {holdout})\n\n{reasons}\n"
        + comparison_tables(evidence)
    )


def plot_systems(evidence: Evidence, path: Path) -> None:
    """Bars of each metric per system; those of users with bootstrap intervals over them."""
    figure = Figure(figsize=(17, 10))
    groups = (ACCURACY, OF_LISTS, OF_SYSTEMS)
    axes_of = figure.subplots(len(groups), max(map(len, groups)), gridspec_kw=PLACES)
    for row, names in zip(axes_of, groups, strict=True):
        for axes, name in zip(row, names, strict=False):
            _plot_metric(axes, evidence, name)
        for axes in row[len(names) :]:
            axes.remove()
    figure.savefig(path, dpi=90)


def _plot_metric(axes: Axes, evidence: Evidence, name: str) -> None:
    for position, system in enumerate(evidence.systems):
        interval = _interval(evidence, system, name)
        if np.isfinite(interval.mean):
            error = [[interval.mean - interval.low], [interval.high - interval.mean]]
            axes.bar(position, interval.mean, yerr=error, capsize=4)
    axes.set_title(TITLES[name])
    labels = [system.replace("_", "\n") for system in evidence.systems]
    axes.set_xticks(range(len(labels)), labels, fontsize=8)


def _interval(evidence: Evidence, system: str, name: str) -> Interval:
    """Mean and interval of a metric; NaN where it was not measured, no width where no user has it alone."""
    if name in OF_SYSTEMS:
        value = evidence.per_system.get(system, {}).get(name, float("nan"))
        return Interval(value, value, value)
    users = evidence.users(system)
    values = users[name].dropna().to_numpy(np.float64) if name in users else np.zeros(0)
    return mean_interval(values, seed=evidence.seed)


def plot_training_set_age(
    age_days: npt.NDArray[np.float64],
    sample_weights: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int8],
    path: Path,
) -> None:
    """Sample weight by age, and how many examples there are of each age."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    counts, weights = figure.subplots(2, 1, sharex=True)
    for label, name in ((1, "likes"), (0, "dislikes")):
        chosen = labels == label
        counts.hist(age_days[chosen], bins=60, histtype="step", label=name)
        weights.plot(age_days[chosen], sample_weights[chosen], ".", markersize=2, label=name)
    counts.set(ylabel="examples")
    weights.set(xlabel="age in days", ylabel="sample weight", ylim=(0, 1.05))
    counts.legend()
    figure.savefig(path, dpi=110)
