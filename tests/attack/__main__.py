"""Attacks `recsys serve` and `recsys import` on SQLite and PostgreSQL: `make attack`.

A seeded generator sends hostile requests (headers, bodies, ids, wrong keys, methods, paths, cut connections, what belongs to
others, the same event several times at once, and honest ones between them), imports hostile files, and lets erasures of users
interleave with everything that writes. Prints counts by kind and outcome. Exit code 1: an answer of 5xx, a traceback in the
log, a wrong key accepted, something of another user shown, an event lost or doubled, or anything of an erased user left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from recsys.store import FeedbackStore
from tests.attack import files, interleavings
from tests.attack.requesting import Attack
from tests.attack.tally import Tally
from tests.attack.victim import BACKENDS, attacked, database

# Shares of all attempts.
FILES, SEQUENCES = 0.08, 0.02


def attack(backend: str, count: int, seed: int, tally: Tally, moved: Callable[[int], None]) -> None:
    """So many attempts on one kind of database."""
    num_files, num_sequences = int(count * FILES), int(count * SEQUENCES)
    with tempfile.TemporaryDirectory(prefix="recsys-attack-") as folder, database(backend, Path(folder)) as url:
        with attacked(url, Path(folder)) as victim:
            Attack(victim, seed, tally).run(count - num_files - num_sequences, moved)
        with FeedbackStore.open(url) as store:
            files.attack(store, Path(folder), seed, num_files, tally, moved)
        interleavings.attack(url, Path(folder), seed, num_sequences, tally, moved)


def main() -> None:
    """Reads the arguments, attacks, reports."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__, formatter_class=formatter)
    parser.add_argument("--attempts", type=int, default=12_000, help="over both databases (default 12000)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (default 1)")
    parser.add_argument("--backend", choices=BACKENDS, help="only this one")
    given = parser.parse_args()
    backends = [given.backend] if given.backend else list(BACKENDS)
    began, num_failures = time.monotonic(), 0
    total, times = 0, (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), *times)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for backend in backends:
            tally, count = Tally(), given.attempts // len(backends)
            task = progress.add_task(backend, total=count)
            attack(backend, count, given.seed, tally, lambda done, task=task: progress.advance(task, done))  # type: ignore[misc]
            print(
                f"{backend}: {tally.total:,} attempts, {tally.num_failures:,} failures, seed {given.seed}", flush=True
            )
            print("\n".join([*tally.lines(), *(f"  FAILED {failure}" for failure in tally.failures)]), flush=True)
            num_failures += tally.num_failures
            total += tally.total
    print(f"{total:,} attempts in {time.monotonic() - began:.0f} s, {num_failures:,} failures.")
    sys.exit(1 if num_failures else 0)


if __name__ == "__main__":
    main()
