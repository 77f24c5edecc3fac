"""`make bench`: our model beside its peers, on the same splits, candidates, users and metrics.

Every pair of a system and a split runs in a process of its own and leaves its numbers under var/bench: a run that was
interrupted goes on where it stopped (--fresh starts over). In the end it writes docs/benchmark.md and docs/benchmark.png.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.accuracy.job import OURS, Job, run
from benchmarks.accuracy.peers import PEERS, is_installed
from benchmarks.accuracy.report import write_report
from benchmarks.accuracy.streams import Stream, read_stream, splits_of
from recsys.errors import InputError
from recsys.training.recipe.code import code_digest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data" / "movietweetings"
RESULTS = ROOT / "var" / "bench"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
app = typer.Typer(add_completion=False)


@app.command()
def bench(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, MovieLens or MovieTweetings; FOLDER:time or FOLDER:user says how to split."),
    ] = None,
    only: Annotated[str, typer.Option(help=f"Systems by name, with commas: {OURS}, {', '.join(PEERS)}.")] = "",
    trials: Annotated[int, typer.Option(min=1, help="Settings that each peer may try on validation.")] = 12,
    budget: Annotated[float, typer.Option(min=1.0, help="Seconds after which a peer begins no new trial.")] = 90.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure anew what earlier runs left.")] = False,
    report: Annotated[Path, typer.Option(help="Where the page goes; the picture goes beside it.")] = ROOT
    / "docs"
    / "benchmark.md",
) -> None:
    """Measure accuracy and speed beside peers; without DATA on the shipped stream."""
    names = [name.strip() for name in only.split(",") if name.strip()] or [OURS, *PEERS]
    unknown = sorted(set(names) - {OURS, *PEERS})
    if unknown:
        raise typer.BadParameter(f"Expected systems from {OURS}, {', '.join(PEERS)}; got {', '.join(unknown)}.")
    missing = [name for name in names if not is_installed(name)]
    jobs = [
        job
        for text in data or [str(SHIPPED)]
        for job in _jobs(text, [name for name in names if name not in missing], trials, budget, seed)
    ]
    if fresh:
        shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    measured = _measure(jobs, RESULTS)
    write_report(report, measured, missing, seed)
    print(f"Written: {report} and {report.with_suffix('.png')}")


def stream_at(text: str, seed: int) -> tuple[Path, Stream, str]:
    """Reads FOLDER, FOLDER:time or FOLDER:user: the folder, its stream, and the protocol to split it by.

    Raises:
        typer.BadParameter: if there is no such protocol, or no stream in the folder.
    """
    folder, _, protocol = text.partition(":")
    if protocol not in ("", "time", "user"):
        raise typer.BadParameter(f"Expected FOLDER, FOLDER:time or FOLDER:user, got {text}.")
    try:
        stream = read_stream(Path(folder), seed)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error
    return Path(folder).resolve(), stream, protocol or stream.protocol


def _jobs(text: str, names: list[str], trials: int, budget: float, seed: int) -> list[Job]:
    folder, stream, protocol = stream_at(text, seed)
    return [
        Job(str(folder), protocol, number, name, trials, budget, seed)
        for name in names
        for number in range(len(splits_of(stream, protocol)))
    ]


def _measure(jobs: list[Job], results: Path) -> list[tuple[Job, Path]]:
    """Runs what is not there yet, one after another: two at once would disturb each other's times."""
    columns = (
        TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    done = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(jobs))
        for job in jobs:
            progress.update(bar, description=f"{Path(job.folder).name}, {job.split + 1}: {job.system}")
            target = results / _name(job)
            if not target.with_suffix(".json").exists():
                _in_own_process(job, target)
            done.append((job, target))
            progress.advance(bar)
    return done


def _name(job: Job) -> str:
    """Ours is measured anew when its code has changed."""
    text = json.dumps(asdict(job), sort_keys=True)
    if job.system == OURS:
        text += code_digest()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{Path(job.folder).name}-{job.protocol}-{job.split}-{job.system.replace(' ', '_')}-{digest}"


def _in_own_process(job: Job, target: Path) -> None:
    environment = {**os.environ, **dict.fromkeys(THREADS, "2"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.accuracy", "one", json.dumps(asdict(job)), str(target)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{job.system} on split {job.split + 1} of {job.folder} failed:\n{ended.stderr[-3000:]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        run(Job(**json.loads(sys.argv[2])), Path(sys.argv[3]))
    else:
        app()
