"""`make bench-cli`: seconds and memory of every command, in a fresh process, on a copy of the store that `make demo` left.

With `--beside FOLDER`, another checkout answers the same commands in turn. Writes docs/command_line.md.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from recsys.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 1.0  # a person does not wait for an answer that comes sooner
LEFT_OUT = "`run` and `replay` (nights; see incremental_night.md), `serve`, `rollback` and `import` of a whole stream"
ITEMS = "item_id,title\nbench-item,An item of the benchmark\n"
TEXT = """\
# How long commands take

Written by `make bench-cli`. Each command in a fresh process on a copy of the store that `make demo` left, best of {repeats}
after one that is not counted; MB is the largest resident memory. Left out: {left_out}.

Machine: {machine}.{beside}

{table}

{verdict}
"""


@dataclass(frozen=True)
class Cost:
    """What a command took. `seconds`: wall clock, the best of all tries; `megabytes`: the largest resident memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure(checkout: Path, home: Path, words: list[str]) -> Cost | None:
    """Runs a command once; None where this checkout has no such command, or it fails."""
    settings = Settings.under(home)
    environment = {**os.environ, **settings.as_environment(), "COLUMNS": "120"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as an installed package is
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", *words], cwd=checkout, env=environment, stdin=subprocess.DEVNULL,
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


def ask(home: Path, *words: str) -> list[dict[str, object]]:
    """The JSON lines of a command of this checkout."""
    environment = {**os.environ, **Settings.under(home).as_environment()}
    command = [sys.executable, "-m", "recsys", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def commands(home: Path) -> list[list[str]]:
    """Every command that ends by itself in less than a night, with arguments that this store answers."""
    user = next(
        one for one in ask(home, "users", "-k", "50") if ask(home, "recommend", str(one["user_id"]))[0]["user_id"]
    )
    user_id = str(user["user_id"])
    item_id = str(ask(home, "recommend", user_id, "-k", "1")[0]["item_id"])
    verdict = ask(home, "decisions", "--verdict", "promote", "-k", "1")[0]
    seen = str(verdict["as_of"])
    items = home / "items.csv"
    items.write_text(ITEMS, encoding="utf-8")
    none = ["--threshold", "1000000000"]
    return [
        ["--help"], ["--version"], ["run", "--help"], ["status"], ["users"], ["items"], ["items", "--title", "alien"],
        ["recommend", user_id], ["recommend", user_id, "--contributions"], ["recommend", user_id, "--counterfactuals"],
        ["dislike", user_id, item_id, "--reason", "wrong_genre"], ["undo", user_id, "--last"],
        ["decisions"], ["decisions", "show", str(verdict["decision_id"])],
        ["models"], ["models", "--at", seen[:10]], ["models", "check"], ["rollback", "--reason", "bench", "--dry-run"],
        ["patterns"], ["patterns", "--user", user_id], ["feedback-metrics"], ["drift", "--as-of", seen], ["drift"],
        ["run", "--dry-run", *none], ["run", *none], ["step", "watch_loop", "--arguments", json.dumps({"as_of": seen})],
        ["db", "upgrade"], ["import", "items", str(items)], ["brigading", "list"], ["erasures"],
        ["erase-user", "nobody", "--requested-by", "bench", "--yes"],
        ["api-key", "create", "--name", "bench", "--scope", "metrics:read"], ["api-key", "list"],
    ]  # fmt: skip


def table(measured: dict[str, dict[str, Cost | None]], home: Path) -> str:
    """Rows of commands, a pair of columns a checkout."""
    names = list(next(iter(measured.values())))
    head = "".join(f" {name}, s | CPU s | MB |" for name in names)
    lines = [f"| command |{head}", "|---|" + "---:|---:|---:|" * len(names)]
    for command, costs in measured.items():
        cells = "".join(
            " - | - | - |"
            if cost is None
            else f" {cost.seconds:.2f} | {cost.cpu_seconds:.2f} | {cost.megabytes:,.0f} |"
            for cost in costs.values()
        )
        lines.append(f"| `recsys {command.replace(str(home) + '/', '')}` |{cells}")
    return "\n".join(lines)


def verdict(measured: dict[str, dict[str, Cost | None]]) -> str:
    """How many commands are quick enough."""
    now = [costs["now"] for costs in measured.values()]
    quick = sum(cost is not None and cost.seconds <= LIMIT_S for cost in now)
    return f"{quick} of {len(now)} take at most {LIMIT_S:g} s."


def main(
    beside: Annotated[Path | None, typer.Option(help="Another checkout, to measure in turn with this one.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="The store to copy. Default: RECSYS_HOME, what `make demo` left.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Counted tries of each command.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="Only commands that begin with this word; may be repeated.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where to write.")] = ROOT / "docs" / "command_line.md",
) -> None:
    """Measures every command and writes the table."""
    source = home or Settings.from_environment().home
    checkouts = ({"before": beside.resolve()} if beside else {}) | {"now": ROOT}
    measured: dict[str, dict[str, Cost | None]] = {}
    with tempfile.TemporaryDirectory(prefix="recsys-bench-cli-") as folder:
        copy = Path(folder) / "home"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("airflow", "replay"))
        if measure(ROOT, copy, ["home", "repair"]) is None:  # MLflow's paths are those of the folder it was copied from
            raise SystemExit(f"Expected `recsys home repair` to make the copy of {source} usable, but it failed.")
        for words in (words for words in commands(copy) if not only or words[0] in only):
            tries: dict[str, list[Cost | None]] = {name: [] for name in checkouts}
            for number in range(repeats + 1):
                for name, checkout in checkouts.items():
                    cost = measure(checkout, copy, words)
                    if number > 0:
                        tries[name].append(cost)
            shown = " ".join(f"'{word}'" if set(word) & set(' {"') else word for word in words)
            measured[shown] = {name: best(costs) for name, costs in tries.items()}
            print(
                shown,
                {name: None if cost is None else round(cost.seconds, 2) for name, cost in measured[shown].items()},
            )
    report.write_text(
        TEXT.format(
            repeats=repeats, left_out=LEFT_OUT, table=table(measured, copy), verdict=verdict(measured),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            beside=" *before* is another checkout, measured in turn." if beside else "",
        ),
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
