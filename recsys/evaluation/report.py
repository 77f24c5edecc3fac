"""Tables and pictures of an evaluation, for the registry's pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from recsys.evaluation.bootstrap import mean_interval
from recsys.evaluation.evidence import Evidence
from recsys.evaluation.gate import Verdict
from recsys.evaluation.ranking_metrics import METRICS

TITLES = {
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
    "mrr": "MRR",
    "dislike_exposure_at_10": "dislike exposure@10",
}


def systems_table(evidence: Evidence) -> str:
    """Markdown table of systems and metrics, with the blank line before it that MLflow's pages need."""
    header = ["system", *TITLES.values(), "coverage@10", "users"]
    lines = ["", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for system in evidence.systems:
        users = evidence.users(system)
        means = users[list(METRICS)].mean()
        cells = ["-" if pd.isna(means[name]) else f"{means[name]:.4f}" for name in TITLES]
        share = evidence.coverage.get(system)
        cells += ["-" if share is None else f"{share:.4f}", str(int(users["ndcg_at_10"].notna().sum()))]
        lines.append(f"| {system.replace('_', ' ')} | {' | '.join(cells)} |")
    num_disliking = int(evidence.users("challenger")["dislike_exposure_at_10"].notna().sum())
    note = f"Means over users with a liked holdout item; dislike exposure over the {num_disliking} with a disliked one."
    return "\n".join([*lines, "", note, ""])


def verdict_markdown(verdict: Verdict, evidence: Evidence) -> str:
    """The verdict with its reasons and the comparison, as markdown."""
    holdout = f"{evidence.fit_through:%Y-%m-%d %H:%M} to {evidence.as_of:%Y-%m-%d %H:%M} UTC"
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    kind = evidence.kind.replace("_", " ")
    return (
        f"**Verdict: {verdict.verdict.replace('_', ' ')}** ({kind}, holdout {holdout})\n\n{reasons}\n"
        + systems_table(evidence)
    )


def plot_systems(evidence: Evidence, path: Path) -> None:
    """Bars of each metric per system, with bootstrap intervals over users."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    systems = evidence.systems
    for axes, name in zip(figure.subplots(1, len(METRICS)), METRICS, strict=True):
        for position, system in enumerate(systems):
            values = evidence.users(system)[name].dropna().to_numpy(np.float64)
            interval = mean_interval(values, seed=evidence.seed)
            if np.isfinite(interval.mean):
                error = [[interval.mean - interval.low], [interval.high - interval.mean]]
                axes.bar(position, interval.mean, yerr=error, capsize=4)
        axes.set_title(TITLES[name])
        axes.set_xticks(range(len(systems)), [s.replace("_", "\n") for s in systems], fontsize=8)
    figure.savefig(path, dpi=110)


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
