"""docs/api_load.md and docs/api_load.png from what was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from benchmarks.api_load.load_test import Measured

mpl.use("Agg")
from matplotlib import pyplot as plt

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
TEXT = """\
# How many dislikes a second

Written by `make bench-api`. The API (`recsys serve`, one worker) and PostgreSQL run on one machine together with the
load generator, a process of its own. Requests come at fixed times whatever the server does (open loop), over kept-alive
connections, with one API key that speaks for {num_users} users, every request with an idempotency key, one in a hundred of them
a repeat. The database holds the shipped MovieTweetings stream and a list of 20 films for each of these users; six in ten
dislikes name their list. A latency counts from the time at which the request was due to the last byte of its answer,
which is sent after the commit. PostgreSQL runs with its defaults: a commit is on the disk.

Machine: {machine}.
Its disk alone took {sync} to sync one page, in 15 s before the load: no answer can be faster.

After each run, every acknowledged dislike was looked for in the database: *wrong* are those that were not there exactly
once under the number that the answer gave.

## The promised rate: {promised_rate:.0f} dislikes a second for {promised_s:.0f} s

{promised}

Every number must hold: p99 below {max_p99_ms:.0f} ms, no error, nothing wrong. **{verdict}** The API process used
{server_cpu:.0%} of one core and {memory_mib:.0f} MiB, the generator {generator_cpu:.0%} of another.

![Latency over time, and by rate](api_load.png)

## The maximum

{search_text}

{search}

One worker is one Python process: `recsys serve --workers N` adds more where there are more cores.
"""


def write_report(
    folder: Path, promised: Measured, search: list[Measured], max_p99_ms: float, memory_mib: float, server: str,
    num_users: int, sync_ms: np.ndarray,
) -> None:  # fmt: skip
    """Writes the page and its picture.

    Args:
        folder: of the page.
        promised: the promised rate.
        search: the rates that were tried beyond.
        max_p99_ms: the limit.
        memory_mib: of the API process at the end.
        server: the database's version.
        num_users: that the generator spoke for.
        sync_ms: what the disk alone took to sync a page.
    """
    best = max((one for one in search if one.holds), key=lambda one: one.rate, default=promised)
    asked = max((len(one.latency_ms) / one.rate for one in search), default=0.0)
    search_text = (
        f"Rates of {asked:.0f} s each. The highest that held (p99 below {max_p99_ms:.0f} ms, no error, nothing wrong): "
        f"**{best.rate:.0f} dislikes a second**."
    )
    page = TEXT.format(
        sync=", ".join(f"{name} {np.quantile(sync_ms, share):.1f} ms" for name, share in QUANTILES.items()),
        num_users=f"{num_users:,}", machine=_machine(server), promised_rate=promised.rate, promised_s=promised.seconds,
        promised=_table([promised]), verdict="They hold." if promised.holds else "They do not hold.",
        max_p99_ms=max_p99_ms, server_cpu=promised.server_cpu, generator_cpu=promised.generator_cpu,
        memory_mib=memory_mib, search_text=search_text if search else "Not looked for.",
        search=_table(sorted([promised, *search], key=lambda one: one.rate)) if search else "",
    )  # fmt: skip
    (folder / "api_load.md").write_text(page, encoding="utf-8")
    _draw(folder / "api_load.png", promised, search, max_p99_ms)


def _machine(server: str) -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, PostgreSQL {server}"


def _table(measured: list[Measured]) -> str:
    names = [
        "dislikes/s",
        *(f"{name} ms" for name in QUANTILES),
        "errors",
        "acknowledged",
        "stored",
        "wrong",
        "API CPU",
    ]
    lines = ["| " + " | ".join(names) + " |", "|" + "---:|" * len(names)]
    for one in measured:
        cells = [f"{one.rate:.0f}", *(f"{one.quantile(share):.1f}" for share in QUANTILES.values())]
        counts = (one.num_errors, one.num_acknowledged, one.num_stored, one.lost)
        cells += [f"{count:,}" for count in counts] + [f"{one.server_cpu:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _draw(path: Path, promised: Measured, search: list[Measured], max_p99_ms: float) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    second = (np.arange(len(promised.latency_ms)) / promised.rate).astype(int)
    per_second = [promised.latency_ms[second == number] for number in range(second.max() + 1)]
    for name, share in QUANTILES.items():
        if name != "p95":
            axes[0].plot([np.quantile(own, share) for own in per_second], label=name)
    axes[0].set(title=f"{promised.rate:.0f} dislikes/s", xlabel="second", ylabel="latency (ms)")
    by_rate = sorted([promised, *search], key=lambda one: one.rate)
    for name in ("p50", "p99"):
        values = [one.quantile(QUANTILES[name]) for one in by_rate]
        axes[1].plot([one.rate for one in by_rate], values, marker="o", label=name)
    axes[1].set(title="By rate", xlabel="dislikes/s", ylabel="latency (ms)")
    for axis in axes:
        axis.axhline(max_p99_ms, color="gray", linestyle="--", linewidth=1, label=f"limit of p99: {max_p99_ms:.0f} ms")
        axis.set_ylim(bottom=0)
        axis.legend()
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
