"""How many dislikes a second the API records, and how fast: `make bench-api`.

Three processes beside PostgreSQL: this one, the API (`recsys serve`, one worker), and the load generator. First the
promised rate for a minute, then higher and higher rates until one does not hold. After each, every acknowledged dislike
must be in the database, once. Writes docs/api_load.md and docs/api_load.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import text

from benchmarks.api_load.api_under_test import ROOT, Filled, Server, fill, new_database, serving
from benchmarks.api_load.generator import Plan, Result
from benchmarks.api_load.report import write_report
from recsys.store import FeedbackStore

PROMISED_RATE, PROMISED_S = 300.0, 60.0
MAX_P99_MS = 50.0
STEP = 1.25
MAX_RATE = 5_000.0


@dataclass(frozen=True)
class Measured:
    """One rate that was asked for, and what came.

    Attributes:
        rate: dislikes per second, as scheduled.
        seconds: how long.
        latency_ms: per request in the order of the schedule; infinite without an answer.
        num_errors: answers that were no 201, and missing ones.
        num_acknowledged: dislikes for which a 201 came, each idempotency key once.
        num_stored: rows of those keys in the database.
        lost: acknowledged keys that are not there exactly once with the number that was answered.
        problems: the first errors.
        server_cpu: share of one core that the API used.
        generator_cpu: share of one core that the generator used.
    """

    rate: float
    seconds: float
    latency_ms: np.ndarray = field(repr=False)
    num_errors: int
    num_acknowledged: int
    num_stored: int
    lost: int
    problems: list[str]
    server_cpu: float
    generator_cpu: float

    def quantile(self, share: float) -> float:
        """Latency that this share of the requests did not exceed, in ms."""
        return float(np.quantile(self.latency_ms, share, method="higher"))

    @property
    def holds(self) -> bool:
        """No error, nothing lost, nothing doubled, and 99 % within the limit."""
        is_exact = self.lost == 0 and self.num_stored == self.num_acknowledged
        return self.num_errors == 0 and is_exact and self.quantile(0.99) < MAX_P99_MS


def measure(filled: Filled, server: Server, rate: float, seconds: float, run: str) -> Measured:
    """Asks for a rate and checks what was stored."""
    plan = Plan(
        "127.0.0.1", server.port, filled.token, run, rate, seconds, filled.lists, filled.titles, filled.item_ids
    )
    cpu_before = server.cpu_s()
    generator = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "api_load" / "generator.py")],
        input=json.dumps(asdict(plan)), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result = Result(**json.loads(generator.stdout))
    told = {(user_id, key): dislike_id for user_id, key, dislike_id in result.acknowledged}
    stored = read_stored(filled.url, run)
    measured = Measured(
        rate=rate, seconds=seconds,
        latency_ms=np.array([np.inf if ms is None else ms for ms in result.latency_ms]),
        num_errors=sum(status != 201 for status in result.status),
        num_acknowledged=len(told), num_stored=sum(len(ids) for ids in stored.values()),
        lost=sum(stored.get(key) != [dislike_id] for key, dislike_id in told.items())
        + sum(told[user_id, key] != dislike_id for user_id, key, dislike_id in result.acknowledged),
        problems=result.problems, server_cpu=(server.cpu_s() - cpu_before) / seconds,
        generator_cpu=result.cpu_s / seconds,
    )  # fmt: skip
    print(
        f"{rate:6.0f}/s for {seconds:.0f} s: p50 {measured.quantile(0.5):.1f} ms, p99 {measured.quantile(0.99):.1f} ms, max "
        f"{measured.quantile(1.0):.1f} ms, {measured.num_errors} errors, {measured.num_stored} stored, {measured.lost} wrong, "
        f"API {measured.server_cpu:.0%} of a core, generator {measured.generator_cpu:.0%} of one",
        *measured.problems[:3], sep="\n         ", flush=True,
    )  # fmt: skip
    return measured


def server_version(url: str) -> str:
    """Of PostgreSQL; refuses one that does not wait for the disk, for its numbers would mean nothing."""
    with FeedbackStore.open(url) as store, store.database.reading() as connection:
        shown = {
            name: connection.scalar(text(f"SHOW {name}")) for name in ("server_version", "fsync", "synchronous_commit")
        }
    if (shown["fsync"], shown["synchronous_commit"]) != ("on", "on"):
        sys.exit("Expected a server with fsync and synchronous_commit, got one without: run it by `make bench-api`.")
    return str(shown["server_version"]).split()[0]


def read_stored(url: str, run: str) -> dict[tuple[str, str], list[int]]:
    """The rows of a run's keys: (user_id, key) -> numbers."""
    query = text("SELECT user_id, idempotency_key, dislike_id FROM user_dislikes WHERE idempotency_key LIKE :keys")
    found: dict[tuple[str, str], list[int]] = {}
    with FeedbackStore.open(url) as store, store.database.reading() as connection:
        for row in connection.execute(query, {"keys": f"{run}-%"}):
            found.setdefault((row.user_id, row.idempotency_key), []).append(row.dislike_id)
    return found


def time_syncs(folder: Path, seconds: float = 15.0) -> np.ndarray:
    """What the disk alone takes to sync one page, in ms: every commit waits for it, whatever the programs do."""
    taken: list[float] = []
    ends_at = time.perf_counter() + seconds
    with (folder / "sync").open("wb", buffering=0) as file:
        file.write(bytes(2**20))
        while time.perf_counter() < ends_at:
            os.pwrite(file.fileno(), os.urandom(8192), len(taken) % 100 * 8192)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
            time.sleep(0.006)  # as often as the API commits
    return np.array(taken)


def search_maximum(filled: Filled, server: Server, seconds: float) -> list[Measured]:
    """Higher and higher rates until one does not hold, then two between the last two."""
    measured: list[Measured] = []

    def holds(rate: float) -> bool:
        measured.append(measure(filled, server, rate, seconds, f"search{len(measured)}"))
        return measured[-1].holds

    low, high = PROMISED_RATE, PROMISED_RATE * STEP
    while high < MAX_RATE and holds(high):
        low, high = high, high * STEP
    for _ in range(2):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return measured


def main() -> int:
    """Runs it all; 1 if the promised rate does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=PROMISED_S, help="of the promised rate")
    parser.add_argument("--search-seconds", type=float, default=15.0, help="of each higher rate; 0: none")
    parser.add_argument("--no-report", action="store_true", help="print only")
    given = parser.parse_args()
    with new_database(os.environ["RECSYS_TEST_POSTGRES_URL"]) as url, tempfile.TemporaryDirectory() as home:
        filled = fill(url)
        version = server_version(url)
        sync_ms = time_syncs(Path(home))
        with serving(filled, Path(home)) as server:
            measure(filled, server, 100.0, 5.0, "warmup")
            promised = measure(filled, server, PROMISED_RATE, given.seconds, "promised")
            search = search_maximum(filled, server, given.search_seconds) if given.search_seconds else []
            memory_mib = server.memory_mib()
    if not given.no_report:
        write_report(ROOT / "docs", promised, search, MAX_P99_MS, memory_mib, version, len(filled.lists), sync_ms)
    if not promised.holds:
        print(f"Expected {PROMISED_RATE:.0f}/s with p99 below {MAX_P99_MS:.0f} ms and no error: it did not hold.")
    return 0 if promised.holds else 1


if __name__ == "__main__":
    sys.exit(main())
