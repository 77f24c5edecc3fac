"""docs/benchmark.md and docs/benchmark.png from what was measured."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from benchmarks.accuracy.job import OURS, Job
from recsys.statistics.bootstrap import Interval, paired_difference

mpl.use("Agg")
from matplotlib import pyplot as plt

TEXT = """\
# Beside its peers

Written by `make bench`. Every system sees the same training events, ranks the same candidates (every item with an event in
training, less what the user met there) for the same users, and is evaluated on the same liked and disliked test items.
Each peer is tuned on a validation part of the training events, split by the same protocol, over {trials} settings drawn
from its space (no new trial after {budget:.0f} s), and fitted again on all of them with the best. A user without a like gets
what is popular from every peer that cannot score strangers. Ours is fitted as in the nightly loop and chooses everything
within its fit. Intervals are paired bootstraps over users (95 %); seed {seed}.

Machine: {machine}.{missing}

![NDCG@10 by split](benchmark.png)
"""
METRICS = ("ndcg_at_10", "recall_at_20", "dislike_exposure_at_10")


def write_report(path: Path, measured: list[tuple[Job, Path]], missing: list[str], seed: int) -> None:
    """Writes the page and its picture.

    Args:
        path: of the page.
        measured: jobs with where their results lie.
        missing: peers whose library is not installed.
        seed: of the bootstrap.
    """
    users, numbers = _read(measured)
    first = measured[0][0]
    parts = [
        TEXT.format(
            trials=first.trials, budget=first.budget_s, seed=first.seed, machine=_machine(),
            missing=f" Not installed, not measured: {', '.join(missing)}." if missing else "",
        )
    ]  # fmt: skip
    for (data, protocol), own in users.groupby(["data", "protocol"], sort=False):
        of_data = numbers[(numbers["data"] == data) & (numbers["protocol"] == protocol)]
        parts.append(_section(str(data), str(protocol), own, of_data, seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")
    _plot(users, path.with_suffix(".png"))


def _read(measured: list[tuple[Job, Path]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    frames, rows = [], []
    for job, target in measured:
        about: dict[str, str | int] = {
            "data": Path(job.folder).name,
            "protocol": job.protocol,
            "split": job.split,
            "system": job.system,
        }
        frames.append(pd.read_parquet(target.with_suffix(".parquet")).assign(**about))
        rows.append({**about, **json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))})
    return pd.concat(frames, ignore_index=True), pd.DataFrame(rows)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def compared(users: pd.DataFrame, system: str, metric: str, seed: int) -> Interval | None:
    """Ours relative to one peer, paired by user and split; None where either is missing."""
    table = users.pivot_table(index=["split", "user_id"], columns="system", values=metric)
    if OURS not in table or system not in table:
        return None
    pairs = table[[OURS, system]].dropna()
    return paired_difference(
        pairs[OURS].to_numpy(), pairs[system].to_numpy(), seed=seed, relative=True, num_resamples=2_000
    )


def _section(data: str, protocol: str, users: pd.DataFrame, numbers: pd.DataFrame, seed: int) -> str:
    means = users.groupby("system")[list(METRICS)].mean()
    known = users[users["is_known"]].groupby("system")["ndcg_at_10"].mean()
    order = means["ndcg_at_10"].sort_values(ascending=False).index
    head = "| system | NDCG@10 | known users | Recall@20 | dislike exposure@10 | coverage@10 | ours relative to it |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|"]
    for system in order:
        row, cover = means.loc[system], numbers.loc[numbers["system"] == system, "coverage_at_10"].mean()
        ratio = "" if system == OURS else _told(compared(users, system, "ndcg_at_10", seed))
        name = f"**{system}**" if system == OURS else system
        lines.append(
            f"| {name} | {row['ndcg_at_10']:.4f} | {known[system]:.4f} | {row['recall_at_20']:.4f} | "
            f"{row['dislike_exposure_at_10']:.4f} | {cover:.4f} | {ratio} |"
        )
    how = (
        "the last 20 % of each user"
        if protocol == "user"
        else "rolling windows: train on the first 40, 50 ... 90 % of the events, test on the next 10 %"
    )
    by_split = users.pivot_table(index="system", columns="split", values="ndcg_at_10").loc[order]
    parts = [f"## {data}: {how}", _about(users, numbers), "\n".join(lines)]
    if by_split.shape[1] > 1:
        parts += ["NDCG@10 by window:", _table(by_split)]
    parts += ["Time and memory, summed over the windows:", _costs(numbers, order), _verdict(users, numbers, seed)]
    return "\n\n".join(parts) + "\n"


def _about(users: pd.DataFrame, numbers: pd.DataFrame) -> str:
    tested = users[["split", "user_id"]].drop_duplicates()
    return (
        f"{numbers['num_train'].max():,} training events in the largest split, {numbers['num_items'].max():,} candidates, "
        f"{len(tested):,} users evaluated."
    )


def _told(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.mean:+.1%} ({interval.low:+.1%} to {interval.high:+.1%})"


def _table(frame: pd.DataFrame) -> str:
    names = [f"{10 * int(str(n)) + 40} %" for n in frame.columns]
    lines = [f"| system | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    lines += [f"| {system} | " + " | ".join(f"{v:.4f}" for v in row) + " |" for system, row in frame.iterrows()]
    return "\n".join(lines)


def _costs(numbers: pd.DataFrame, order: pd.Index) -> str:
    lines = [
        "| system | fit s | with tuning s | top-10 users/s | peak MiB | settings of the last split |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for system in order:
        own = numbers[numbers["system"] == system]
        settings = own.iloc[-1]["settings"]
        told = {name: value for name, value in settings.items() if not (name.startswith("head_") and value == 0.0)}
        text = ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in told.items())
        lines.append(
            f"| {system} | {own['fit_s'].sum():.1f} | {own['fit_s'].sum() + own['tune_s'].sum():.1f} | "
            f"{own['users_per_s'].mean():,.0f} | {own['peak_mib'].max():,.0f} | {text} |"
        )
    return "\n".join(lines)


def _verdict(users: pd.DataFrame, numbers: pd.DataFrame, seed: int) -> str:
    """The best peer, EASE's dislike exposure, and the fastest peer of equal accuracy; all from the numbers above."""
    peers = [system for system in users["system"].unique() if system != OURS]
    if OURS not in set(users["system"]) or not peers:
        return ""
    best = users[users["system"] != OURS].groupby("system")["ndcg_at_10"].mean().idxmax()
    best = str(best)
    lines = [f"- Best peer: {best}; ours relative to it: {_told(compared(users, best, 'ndcg_at_10', seed))}."]
    if "EASE" in peers:
        exposure = users.groupby("system")["dislike_exposure_at_10"].mean()
        lines.append(f"- Dislike exposure@10: ours {exposure[OURS]:.4f}, EASE {exposure['EASE']:.4f}.")
    cost = numbers.groupby("system")[["fit_s", "score_s", "tune_s"]].sum()
    equal = []
    for system in peers:
        interval = compared(users, system, "ndcg_at_10", seed)
        if interval is not None and interval.low <= 0.0:
            equal.append(system)
    if equal:
        fastest = min(equal, key=lambda system: cost.loc[system, ["fit_s", "score_s"]].sum())
        ours_s = cost.loc[OURS, ["fit_s", "score_s"]].sum()
        plain, tuned = cost.loc[fastest, ["fit_s", "score_s"]].sum(), cost.loc[fastest].sum()
        lines.append(
            f"- Fastest peer that ours is not significantly above: {fastest}. Fit and score take ours {ours_s / plain:.1f} "
            f"times as long as it with known settings, {ours_s / tuned:.2f} times "
            "as long as it with its tuning (ours always tunes)."
        )
    else:
        lines.append(
            "- Ours is significantly above every peer: there is none of equal accuracy to compare the speed with."
        )
    return "\n".join(lines)


def _plot(users: pd.DataFrame, path: Path) -> None:
    groups = list(users.groupby(["data", "protocol"], sort=False))
    figure, axes = plt.subplots(1, len(groups), figsize=(6.5 * len(groups), 4.5), squeeze=False)
    for axis, ((data, _), own) in zip(axes[0], groups, strict=True):
        table = own.pivot_table(index="split", columns="system", values="ndcg_at_10")
        means = table.mean().sort_values()
        if len(table) == 1:
            colors = ["tab:red" if name == OURS else "tab:gray" for name in means.index]
            axis.barh(means.index, means.to_numpy(), color=colors)
            axis.set_xlabel("NDCG@10")
        else:
            for name in means.index[::-1]:
                wide = 3.0 if name == OURS else 1.2
                axis.plot(np.arange(len(table)) * 10 + 40, table[name], marker="o", linewidth=wide, label=name)
            axis.set_xlabel("trained on the first ... % of the stream")
            axis.set_ylabel("NDCG@10")
            axis.legend(fontsize=8)
        axis.set_title(str(data))
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
