"""`make null-test`: how often the gate is fooled by noise, and how often it sees a challenger that got worse.

Holdouts are drawn from per-user results of fits that are equal but for their seed. For each user of each holdout a coin says
which of two fits is the champion and which the challenger, so the truth is known: no difference. A worse challenger is made
from the same lists, and so is one that shows more of what is disliked (`shown_dislikes`). Writes docs/gate_null_test.md;
ends with an error if a bound is broken. `--only` looks at some of the cells, with any seed, and writes no page.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.gate_null import shown_dislikes
from benchmarks.gate_null.population import FloatArray, Population, name_of, real_population, synthetic_population
from recsys.cli.tensorflow_loading import load_for
from recsys.evaluation.gate.config import GateConfig
from recsys.evaluation.gate.decide import decide
from recsys.evaluation.gate.evidence import Evidence

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data" / "movietweetings"
EQUAL, LEVELS, HALF = 0.0, (0.0, 0.02, 0.05, 0.10, 0.20), 0.50  # half: only where the fewest users evaluate a refresh
SIZES = (30, 100, 300, 1_000, 3_000, 10_000)
NUM_WORSE = {30: 200, 100: 200, 300: 200, 1_000: 200, 3_000: 100, 10_000: 50}
# Of 200 equal ones, one run in ten would show more than 5 % that are called better in some cell, by chance alone.
NUM_EQUAL = {30: 1_000, 100: 1_000, 300: 1_000, 1_000: 1_000, 3_000: 400, 10_000: 400}
FALSE_BETTER = (1.0 - GateConfig.confidence) / 2.0  # what the gate's interval promises of equal ones
MAX_FALSE_BETTER, WORSENED, MIN_REFUSED, MIN_USERS = 0.05, 0.05, 0.95, 1_000
BEGIN, END = datetime(2013, 6, 1, tzinfo=UTC), datetime(2013, 6, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Setting:
    """One cell of the simulation: challengers worse by `share`, on holdouts of `size` users."""

    population: int
    share: float
    size: int
    num_challengers: int
    seed: int

    def title(self, population: str) -> str:
        """What `--only` looks for."""
        truth = "equal" if self.share == EQUAL else f"worse by {self.share:.0%}"
        return f"{population}, {self.size:,} users, {truth}"


@dataclass(frozen=True)
class Tables:
    """Metrics of a population's systems as they are, and worsened; `(num_users, 3)` each."""

    population: Population
    champions: list[FloatArray]
    challengers: dict[float, list[FloatArray]]

    @classmethod
    def of(cls, population: Population, shares: Sequence[float], seed: int) -> Tables:
        """Worsens the population by each share."""
        systems = range(len(population.hits))
        as_it_is = [population.metrics(system) for system in systems]
        worse = {share: population.worsened(share, seed) for share in shares if share > 0}
        challengers = {share: [own.metrics(system) for system in systems] for share, own in worse.items()}
        return cls(population, as_it_is, {EQUAL: as_it_is, **challengers})


def draw_holdout(tables: Tables, share: float, size: int, seed: int) -> Evidence:
    """A holdout of `size` users with a champion and a challenger that is worse by `share`, in truth.

    Two of the systems, and for each user a coin that says which of them is the champion.
    """
    rng = np.random.default_rng(seed)
    one, other = rng.choice(len(tables.champions), 2, replace=False)
    users = rng.integers(0, len(tables.population.num_liked), size)
    coin = rng.random(size) < 0.5
    worse, exposure = tables.challengers[share], tables.population.exposure
    frames = []
    for system, table, first in (("champion", tables.champions, coin), ("challenger", worse, ~coin)):
        metrics = np.where(first[:, None], table[one][users], table[other][users])
        shown = np.where(first, exposure[users, one], exposure[users, other])
        frame = pd.DataFrame(metrics, columns=["ndcg_at_10", "recall_at_20", "mrr"])
        frame = frame.assign(system=system, user_id=[f"{n:06d}" for n in range(size)], dislike_exposure_at_10=shown)
        frames.append(frame.assign(num_liked=tables.population.num_liked[users], num_disliked=(~np.isnan(shown)) * 1))
    slices = tables.population.slices.iloc[users].reset_index(drop=True)
    slices.insert(0, "user_id", frames[0]["user_id"])
    return Evidence(
        "null-test", "refresh", END, BEGIN, "1", "2", pd.concat(frames, ignore_index=True), seed, slices=slices
    )


def simulate(tables: Tables, setting: Setting, config: GateConfig) -> dict[str, float]:
    """Shares of the challengers that the gate promoted, called better, and refused for what."""
    found = []
    for number in range(setting.num_challengers):
        seed = setting.seed + number
        verdict = decide(draw_holdout(tables, setting.share, setting.size, seed), config)
        guards = [m for m in verdict.numbers["metrics"].values() if m["role"] == "guards" and m["outcome"] == "worse"]
        found.append({
            "promoted": verdict.verdict == "promote",
            "refused": verdict.verdict != "promote",
            "called_better": verdict.claim == "better",
            "called_worse": verdict.claim == "worse",
            "by_a_guard": bool(guards),
            "by_a_slice": any(one["outcome"] == "worse" for one in verdict.numbers["slices"]),
        })  # fmt: skip
    return {str(name): float(value) for name, value in pd.DataFrame(found).mean().items()}


def broken_bounds(results: pd.DataFrame) -> list[str]:
    """What the gate promised and did not keep, in words.

    Args:
        results: `population`, `share`, `size`, `called_better`, `refused`, one row per setting.
    """
    broken = []
    for row in results.to_dict("records"):
        where = f"{row['population']}, {row['size']:,} users"
        if row["share"] == EQUAL and row["called_better"] > MAX_FALSE_BETTER:
            broken.append(
                f"{where}: {row['called_better']:.1%} of equal challengers called better, allowed {MAX_FALSE_BETTER:.0%}"
            )
        if row["share"] == WORSENED and row["size"] >= MIN_USERS and row["refused"] < MIN_REFUSED:
            broken.append(
                f"{where}: {row['refused']:.1%} worse by {WORSENED:.0%} refused, at least {MIN_REFUSED:.0%} must be"
            )
    return broken


def settings_of(num_populations: int, seed: int, smaller: int = 1) -> list[Setting]:
    """Every size and level of the first population; 1,000 users, equal and 5 % worse, of the others."""
    cells = [(0, share, size) for size in SIZES for share in LEVELS] + [(0, HALF, SIZES[0])]
    cells += [(number, share, MIN_USERS) for number in range(1, num_populations) for share in (EQUAL, WORSENED)]
    num = {True: NUM_EQUAL, False: NUM_WORSE}
    return [
        Setting(population, share, size, max(1, num[share == EQUAL][size] // smaller), seed + 1_000_000 * n)
        for n, (population, share, size) in enumerate(cells)
    ]


TABLES: dict[int, Tables] = {}  # of a worker


def _prepare(tables: dict[int, Tables]) -> None:
    TABLES.update(tables)


def _run(setting: Setting) -> dict[str, float]:
    return simulate(TABLES[setting.population], setting, GateConfig())


def run_all(tables: dict[int, Tables], settings: Sequence[Setting]) -> pd.DataFrame:
    """Every setting, on all processors; one row each."""
    largest_first = sorted(settings, key=lambda s: -s.size * s.num_challengers)
    context = multiprocessing.get_context("spawn")  # TensorFlow ran in this process: a fork of it may hang
    with ProcessPoolExecutor(os.cpu_count(), context, _prepare, (tables,)) as pool:
        rates_of = list(pool.map(_run, largest_first))
    rows = [
        {"population": tables[s.population].population.name, "share": s.share, "size": s.size, "num": s.num_challengers,
         **rates}
        for s, rates in zip(largest_first, rates_of, strict=True)
    ]  # fmt: skip
    found = pd.DataFrame(rows)
    return found.sort_values(["size", "share"], kind="stable", ignore_index=True) if rows else found


def _run_case(case: shown_dislikes.Case) -> dict[str, float]:
    config = GateConfig(num_resamples=shown_dislikes.NUM_RESAMPLES)
    return shown_dislikes.simulate(TABLES[case.population].population, case, config)


def run_cases(tables: dict[int, Tables], cases: Sequence[shown_dislikes.Case]) -> pd.DataFrame:
    """Every case of the exposure rule, on all processors; one row each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _prepare, (tables,)) as pool:
        found = list(pool.map(_run_case, cases))
    return pd.DataFrame([
        {"population": tables[case.population].population.name, "more": case.more, "size": case.size,
         "nights": case.nights, "num": case.num, **rates}
        for case, rates in zip(cases, found, strict=True)
    ])  # fmt: skip


def sources_of(data: Path, seed: int) -> list[tuple[str, Callable[[], Population]]]:
    """What holdouts are drawn from: names, and what makes each; the real ones are fits of some minutes."""
    return [
        (name_of(data, 0.9), lambda: real_population(data, num_systems=3, kept=0.9, seed=seed)),
        (name_of(data, 0.5), lambda: real_population(data, num_systems=2, kept=0.5, seed=seed)),
        ("synthetic", lambda: synthetic_population(5_000, seed)),
    ]


def null_test(
    data: Annotated[Path, typer.Option(help="Folder, MovieLens or MovieTweetings, split by time.")] = SHIPPED,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    smaller: Annotated[int, typer.Option(min=1, help="Only one in so many of the challengers.")] = 1,
    only: Annotated[
        str,
        typer.Option(help="Only cells whose title holds these words, such as '1,000 users, equal'; writes no page."),
    ] = "",
    report: Annotated[Path, typer.Option(help="Where the page goes; the picture goes beside it.")] = ROOT
    / "docs"
    / "gate_null_test.md",
) -> None:
    """Measure how often the gate is fooled by noise; fails if a bound is broken."""
    from benchmarks.gate_null.report import write_report

    started = time.perf_counter()
    load_for("train_challenger")  # TensorFlow, without its greeting
    sources = sources_of(data, seed)
    names = [name for name, _ in sources]
    settings = [one for one in settings_of(len(sources), seed, smaller) if only in one.title(names[one.population])]
    cases = [
        one for one in shown_dislikes.cases_of(len(sources), seed, smaller) if only in one.title(names[one.population])
    ]
    if not settings and not cases:
        raise typer.BadParameter(
            f"Expected words of a cell's title, such as '{names[0]}, 1,000 users, equal', got {only!r}."
        )
    wanted = sorted({one.population for one in settings} | {one.population for one in cases})
    tables = {number: Tables.of(sources[number][1](), (*LEVELS, HALF), seed) for number in wanted}
    results, shown = run_all(tables, settings), run_cases(tables, cases)
    broken = [*broken_bounds(results), *shown_dislikes.broken_promises(shown)]
    if only:
        print(*(found.to_string(index=False) for found in (results, shown) if len(found)), sep="\n")
    else:
        write_report(report, list(tables.values()), results, shown, broken, seed, time.perf_counter() - started)
        print(f"Written: {report} and {report.with_suffix('.png')}")
    if broken:
        raise SystemExit("Expected the bounds to hold, but:\n- " + "\n- ".join(broken))


if __name__ == "__main__":
    typer.run(null_test)
