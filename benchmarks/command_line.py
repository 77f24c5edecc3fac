"""`make bench-cli`: seconds and memory of every command, in a fresh process, on a copy of the store that `make demo` left.

With `--beside FOLDER`, another checkout, perhaps an older one, answers the same commands in turn, from a store of its own.
Writes docs/command_line.md.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import two_nights
from benchmarks.two_nights import Subject
from recsys.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 1.0  # a person does not wait for an answer that comes sooner
LEFT_OUT = "`run` and `replay` (nights; see incremental_night.md), `serve`, `rollback` and `import` of a whole stream"
ITEMS = "item_id,title\nbench-item,An item of the benchmark\n"
TEXT = """\
# How long commands take

Written by `make bench-cli`. Each command in a fresh process on a store of {store}.
Best of {repeats} after one that is not counted; MB is the largest resident memory. Left out: {left_out}.

Machine: {machine}.{beside}

{table}

{verdict}
"""
DEMO = "the demo, a copy of what `make demo` left"
BESIDE = """

*before* is {commit}. For each command the two take turns, try by try, each on a store that its own commands made. `-`: it
has no such command. *before / now* is how many times longer it took there, by the wall clock."""


@dataclass(frozen=True)
class Checkout:
    """Code that is measured, the store that it answers from, and what it is asked about."""

    code: Path
    home: Path
    subject: Subject


@dataclass(frozen=True)
class Cost:
    """What a command took. `seconds`: wall clock, the best of all tries; `megabytes`: the largest resident memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure(code: Path, home: Path, words: list[str]) -> Cost | None:
    """Runs a command once; None where this checkout has no such command, or it fails."""
    environment = two_nights.environment_of(code, home)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", *words], cwd=code, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return None
    per_mb = 1024**2 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / per_mb)


def best(costs: list[Cost | None]) -> Cost | None:
    """The quickest try; memory is the largest of all."""
    done = [cost for cost in costs if cost is not None]
    if not done:
        return None
    quickest = min(done, key=lambda cost: cost.seconds)
    return Cost(quickest.seconds, quickest.cpu_seconds, max(cost.megabytes for cost in done))


def commands(checkout: Checkout) -> list[list[str]]:
    """Every command that ends by itself in less than a night, with arguments that this store answers."""
    about = checkout.subject
    items = checkout.home / "items.csv"
    items.write_text(ITEMS, encoding="utf-8")
    none = ["--threshold", "1000000", "--no-error-trigger", "--no-feature-trigger"]
    watched = json.dumps({"as_of": about.as_of})
    return [
        ["--help"], ["--version"], ["run", "--help"], ["status"], ["users"], ["items"], ["items", "--title", "alien"],
        ["recommend", about.user_id], ["recommend", about.user_id, "--contributions"],
        ["recommend", about.user_id, "--counterfactuals"],
        ["dislike", about.user_id, about.item_id, "--reason", "wrong_genre"], ["undo", about.user_id, "--last"],
        ["decisions"], ["decisions", "show", str(about.decision_id)],
        ["models"], ["models", "--at", about.recorded_on], ["models", "check"], ["rollback", "--reason", "bench", "--dry-run"],
        ["patterns"], ["patterns", "--user", about.user_id], ["feedback-metrics"],
        ["drift", "--as-of", about.as_of], ["drift"],
        ["run", "--dry-run", *none], ["run", *none], ["step", "watch_loop", "--arguments", watched],
        ["db", "upgrade"], ["import", "items", str(items)], ["brigading", "list"], ["erasures"],
        ["erase-user", "nobody", "--requested-by", "bench", "--yes"],
        ["api-key", "create", "--name", "bench", "--scope", "metrics:read"], ["api-key", "list"],
    ]  # fmt: skip


def table(measured: dict[str, dict[str, Cost | None]]) -> str:
    """Rows of commands; three columns a checkout, and how many times longer the other one takes."""
    names = list(next(iter(measured.values())))
    head = "".join(f" {name}, s | CPU s | MB |" for name in names) + (" before / now |" if len(names) > 1 else "")
    lines = [f"| command |{head}", "|---|" + "---:|" * (head.count("|"))]
    for command, costs in measured.items():
        cells = "".join(
            " - | - | - |"
            if cost is None
            else f" {cost.seconds:.2f} | {cost.cpu_seconds:.2f} | {cost.megabytes:,.0f} |"
            for cost in costs.values()
        )
        ratio = times_longer(costs)
        last = "" if len(names) == 1 else " - |" if ratio is None else f" {ratio:.1f} |"
        lines.append(f"| `recsys {command}` |{cells}{last}")
    return "\n".join(lines)


def times_longer(costs: dict[str, Cost | None]) -> float | None:
    """Seconds before by seconds now; None unless both have the command."""
    before, now = costs.get("before"), costs["now"]
    return None if before is None or now is None else before.seconds / now.seconds


def verdict(measured: dict[str, dict[str, Cost | None]]) -> str:
    """How many commands are quick enough, and how that was before."""
    said = []
    for name in next(iter(measured.values())):
        own = [cost for costs in measured.values() if (cost := costs[name]) is not None]
        quick = sum(cost.seconds <= LIMIT_S for cost in own)
        said.append(f"{name.capitalize()}, {quick} of {len(own)} take at most {LIMIT_S:g} s.")
    ratios = [ratio for costs in measured.values() if (ratio := times_longer(costs)) is not None]
    if ratios:
        said.append(
            f"Of the {len(ratios)} that both have, the median took {np.median(ratios):.1f} times as long before as now: "
            f"{min(ratios):.1f} to {max(ratios):.1f} times."
        )
    return " ".join(said)


def commit_of(code: Path) -> str:
    """What a reader calls a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=code, capture_output=True, text=True, check=False
    )
    return f"commit {found.stdout.strip()}" if found.returncode == 0 else f"the code in {code.name}"


@contextmanager
def copied(home: Path) -> Iterator[Path]:
    """A copy that commands may write to, and which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recsys-bench-cli-") as folder:
        copy = Path(folder) / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("airflow", "replay"))
        if measure(ROOT, copy, ["home", "repair"]) is None:  # MLflow's paths are those of the folder it was copied from
            raise SystemExit(f"Expected `recsys home repair` to make the copy of {home} usable, but it failed.")
        yield copy


def measure_all(
    checkouts: dict[str, Checkout], repeats: int, only: list[str] | None
) -> dict[str, dict[str, Cost | None]]:
    """What each command takes, by checkout; the checkouts take turns."""
    measured: dict[str, dict[str, Cost | None]] = {}
    for own in zip(*map(commands, checkouts.values()), strict=True):
        words = own[-1]  # as this checkout is asked; another one may be asked about another user
        if only and words[0] not in only:
            continue
        tries: dict[str, list[Cost | None]] = {name: [] for name in checkouts}
        for number in range(repeats + 1):
            for (name, checkout), asked in zip(checkouts.items(), own, strict=True):
                cost = measure(checkout.code, checkout.home, asked)
                if number > 0:
                    tries[name].append(cost)
        line = " ".join(f"'{word}'" if set(word) & set(' {"') else word for word in words)
        line = line.replace(f"{checkouts['now'].home}/", "")
        measured[line] = {name: best(costs) for name, costs in tries.items()}
        print(line, {name: cost and round(cost.seconds, 2) for name, cost in measured[line].items()}, flush=True)
    return measured


def main(
    beside: Annotated[Path | None, typer.Option(help="Another checkout, to measure in turn with this one.")] = None,
    beside_home: Annotated[
        Path | None,
        typer.Option(
            help="The store of --beside. Its own commands make it, unless it is there (a minute or two). Used as it is, "
            "since an older store names its files by their full paths: commands write to it."
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            help="The store to copy. Default: RECSYS_HOME, what `make demo` left. With --beside it is made, unless it is "
            "there, as that of the other checkout is: compare like with like."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Counted tries of each command.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="Only commands that begin with this word; may be repeated.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where to write.")] = ROOT / "docs" / "command_line.md",
) -> None:
    """Measures every command and writes the table."""
    if (beside is None) != (beside_home is None):
        raise typer.BadParameter("Expected --beside and --beside-home together: another checkout needs its own store.")
    source = (home or Settings.from_environment().home).resolve()
    checkouts: dict[str, Checkout] = {}
    if beside is not None and beside_home is not None:
        two_nights.build(ROOT, source)
        two_nights.build(beside.resolve(), beside_home.resolve())
    with copied(source) as copy:
        now = Checkout(ROOT, copy, two_nights.subject_of(copy))
        if beside is not None and beside_home is not None:
            other = beside_home.resolve()
            subject = two_nights.subject_of(other, now.subject.user_id)
            checkouts["before"] = Checkout(beside.resolve(), other, subject)
        measured = measure_all({**checkouts, "now": now}, repeats, only)
    report.write_text(
        TEXT.format(
            repeats=repeats, left_out=LEFT_OUT, table=table(measured), verdict=verdict(measured),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            store=f"two nights:\n{two_nights.SAID}" if two_nights.is_one(source) else DEMO,
            beside=BESIDE.format(commit=commit_of(beside)) if beside else "",
        ),
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
