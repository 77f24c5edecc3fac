"""`make bench-night`: what a night costs that carries the sums on, beside one that starts from nothing.

A synthetic stream with the skew of the shipped one; 1 % of its users did something since yesterday. Writes
docs/incremental_night.md. The exact comparison of the sums with a rebuild is part of it.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import typer

from benchmarks.accuracy.streams import Stream, read_stream
from benchmarks.night.report import write_report
from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.nearest_items import sparse_item_item_weights
from recsys.training.families.additive.fit import fit
from recsys.training.families.additive.fit_data import FitData
from recsys.training.families.additive.linked.state import LinkedState
from recsys.training.families.additive.linked.state_files import load_state, save_state
from recsys.training.families.additive.solving import solve
from recsys.training.families.registry import additive_family, candidates_of
from recsys.training.recipe.recipe import FitConfig, Trial

ROOT = Path(__file__).resolve().parents[2]
CUT_OFF = datetime(2024, 3, 1, tzinfo=UTC)
DAYS, HALF_LIFE_DAYS = 365, 91.25
DAY_S = 86_400
MIN_COUNT = 3  # the long tail of users and items with fewer events bends the line that the exponent is read from


@dataclass(frozen=True)
class Skew:
    """What is taken from the shipped stream: exponents of Zipf's law, growth of the catalog, shares of the signals."""

    user_exponent: float
    item_exponent: float
    users_per_event: float
    num_items: int
    heaps_exponent: float
    num_events: int
    signals: dict[str, float]
    events_per_active_user: float

    @classmethod
    def of(cls, stream: Stream) -> Skew:
        """Of users and items with at least `MIN_COUNT` events."""
        events = stream.events
        half = events["item_id"].iloc[: len(events) // 2].nunique()
        last = events[events["occurred_at"] > events["occurred_at"].max() - pd.Timedelta(days=1)]
        return cls(
            user_exponent=_exponent(events["user_id"]),
            item_exponent=_exponent(events["item_id"]),
            users_per_event=events["user_id"].nunique() / len(events),
            num_items=events["item_id"].nunique(),
            heaps_exponent=float(np.log2(events["item_id"].nunique() / half)),
            num_events=len(events),
            signals={str(name): share for name, share in events["signal"].value_counts(normalize=True).items()},
            events_per_active_user=len(last) / last["user_id"].nunique(),
        )


def _exponent(column: pd.Series) -> float:
    counts = column.value_counts().to_numpy()
    counts = counts[counts >= MIN_COUNT]
    return float(-np.polyfit(np.log(np.arange(1, len(counts) + 1)), np.log(counts), 1)[0])


def synthetic(skew: Skew, num_events: int, active_share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events (`user_id`, `item_id`, `signal`, `occurred_at`) and items; users and items are drawn independently.

    Who is active in the last night is drawn by how much they do, as on any other day.
    """
    rng = np.random.default_rng(seed)
    num_users = int(skew.users_per_event * num_events)
    num_items = int(skew.num_items * (num_events / skew.num_events) ** skew.heaps_exponent)
    user_shares, item_shares = (
        np.arange(1, number + 1) ** -exponent
        for number, exponent in ((num_users, skew.user_exponent), (num_items, skew.item_exponent))
    )
    user_shares, item_shares = user_shares / user_shares.sum(), item_shares / item_shares.sum()
    active = rng.choice(num_users, int(active_share * num_users), replace=False, p=user_shares)
    tonight = np.repeat(active, 1 + rng.poisson(skew.events_per_active_user - 1.0, len(active)))
    pairs = np.unique(tonight * num_items + rng.choice(num_items, len(tonight), p=item_shares))
    num_new, missing = len(pairs), num_events - len(pairs)
    while missing > 0:
        drawn = rng.choice(num_users, 2 * missing, p=user_shares) * num_items
        drawn += rng.choice(num_items, 2 * missing, p=item_shares)
        pairs = np.concatenate([pairs, rng.permutation(np.setdiff1d(drawn, pairs))[:missing]])
        missing = num_events - len(pairs)
    age_s = np.concatenate([rng.integers(0, DAY_S, num_new), rng.integers(DAY_S, DAYS * DAY_S, len(pairs) - num_new)])
    events = pd.DataFrame({
        "user_id": np.array([f"u{n:07d}" for n in range(num_users)], object)[pairs // num_items],
        "item_id": np.array([f"i{n:06d}" for n in range(num_items)], object)[pairs % num_items],
        "signal": rng.choice(list(skew.signals), len(pairs), p=list(skew.signals.values())),
        "occurred_at": pd.Timestamp(CUT_OFF) - pd.to_timedelta(age_s, unit="s"),
    })  # fmt: skip
    items = pd.DataFrame({"item_id": [f"i{n:06d}" for n in range(num_items)], "title": "", "franchise": None})
    return events, items.assign(
        genres=pd.Series([(f"genre {n % 20}",) for n in range(num_items)], dtype=object),
        cast=pd.Series([()] * num_items, dtype=object),
    )


def examples_of(events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training examples and neutral signals."""
    is_like, has_opinion = events["signal"] == "like", events["signal"] != "neutral"
    examples = events.assign(label=is_like.astype(int), base_weight=np.where(is_like, 1.0, 0.8), reason="")
    return examples[has_opinion], events[~has_opinion]


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, step: Callable[[], Any]) -> Any:
        """Runs the step once."""
        started = time.perf_counter()
        result = step()
        self.seconds[name] = time.perf_counter() - started
        print(f"{name}: {self.seconds[name]:.1f} s", flush=True)
        return result


def measure(events: pd.DataFrame, items: pd.DataFrame, seed: int) -> dict[str, Any]:
    """All numbers of the page."""
    clock, config = Clock(), FitConfig(seed=seed)
    yesterday = CUT_OFF - timedelta(days=1)
    examples, neutral = examples_of(events)
    known = [table[table["occurred_at"] <= yesterday] for table in (examples, neutral)]
    arguments = (items, CUT_OFF, HALF_LIFE_DAYS, config)
    full = clock.time("full fit", lambda: fit(examples, *arguments, neutral=neutral))
    chosen = full.params
    candidate, family = candidates_of(config)[chosen["candidate"]], additive_family(chosen["family"])
    trial, power = family.keep(Trial(candidate, 0.0, 0, {"reg": chosen["reg"]}), chosen), chosen["decay_power"]
    del full
    before = FitData.build(known[0], known[1], items, yesterday, HALF_LIFE_DAYS, config)
    state = LinkedState.rebuild(before.events, before.num_linked, power, config)
    with tempfile.TemporaryDirectory() as folder:
        clock.time("write the state", lambda: save_state(state, Path(folder) / "state"))
        size = sum(path.stat().st_size for path in (Path(folder) / "state").iterdir())
        state = clock.time("read the state", lambda: load_state(Path(folder) / "state"))
    clock.time("night", lambda: fit(examples, *arguments, neutral=neutral, trial=trial, state=state))
    data = FitData.build(examples, neutral, items, CUT_OFF, HALF_LIFE_DAYS, config)
    rebuilt = clock.time("sums rebuilt", lambda: LinkedState.rebuild(data.events, data.num_linked, power, config))
    carried = clock.time("sums carried", lambda: state.advanced(data.events, data.num_linked, config))
    linked = rebuilt.linked_items()
    clock.time("solves", lambda: solve(
        family.item_item(linked.gram, data.events, trial, config), linked, data.events, chosen["transition_reg"], config
    ))  # fmt: skip
    return {
        **clock.seconds,
        "candidate": candidate.name,
        "num_linked": data.num_linked,
        "num_users": data.events.num_users,
        "num_touched": carried.num_touched,
        "touched_share": float(events["user_id"].isin(set(_active(events, yesterday))).mean()),
        "difference": carried.difference(rebuilt),
        "state_mib": size / 2**20,
        "form": "sparse" if config.is_sparse(data.num_linked) else "dense",
        "float32": {reg: _float32_error(_dense_part(linked.gram, config), reg) for reg in config.reg_grid},
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _active(events: pd.DataFrame, since: datetime) -> pd.Series:
    return events.loc[events["occurred_at"] > since, "user_id"]


def _dense_part(gram: Any, config: FitConfig) -> np.ndarray:
    """Of the items with the most likes: those that would have dense weights if there were no more."""
    return gram if isinstance(gram, np.ndarray) else gram[: config.max_dense, : config.max_dense].toarray()


def _float32_error(gram: np.ndarray, reg: float) -> float:
    exact = item_item_weights(gram, reg, "float64")
    return float(np.abs(item_item_weights(gram, reg) - exact).max() / np.abs(exact).max())


def sparse_beside_dense(stream: Stream, num_neighbors: int) -> dict[str, float]:
    """NDCG@10 of B alone on the last tenth of the shipped stream, from likes before it, over items with three likes."""
    events = stream.events[stream.events["signal"] == "like"]
    start = int(len(events) * 0.9)
    support = events.iloc[:start]["item_id"].value_counts()
    ids = support.index[support >= FitConfig().min_support]
    users = pd.factorize(events["user_id"])[0]
    items = pd.Index(ids).get_indexer(events["item_id"])
    past, future = (
        sp.csr_matrix((np.ones(keep.sum()), (users[keep], items[keep])), (users.max() + 1, len(ids)))
        for keep in (np.arange(len(events)) < start, np.arange(len(events)) >= start)
        for keep in (keep & (items >= 0),)
    )
    judged = np.flatnonzero((past.getnnz(axis=1) > 0) & (future.getnnz(axis=1) > 0))
    gram, reg = gram_matrix(past), FitConfig().reg_grid[0]
    matrices = {"dense": item_item_weights(gram, reg), "sparse": sparse_item_item_weights(gram, reg, num_neighbors)}
    found = {name: _ndcg(past[judged], future[judged], weights) for name, weights in matrices.items()}
    return {**found, "num_items": len(ids), "num_users": len(judged), "kept": matrices["sparse"].nnz / gram.size}


def _ndcg(past: sp.csr_matrix, future: sp.csr_matrix, weights: Any) -> float:
    product = past @ weights
    scores = np.where(past.toarray() > 0, -np.inf, product.toarray() if sp.issparse(product) else product)
    hits = np.take_along_axis(future.toarray(), np.argsort(-scores, axis=1)[:, :10], axis=1)
    discounts = 1.0 / np.log2(np.arange(2, 12))
    ideal = np.cumsum(discounts)[np.minimum(future.getnnz(axis=1), 10) - 1]
    return float((hits @ discounts / ideal).mean())


def main(
    num_events: Annotated[int, typer.Option(min=10_000, help="Interactions of the synthetic stream.")] = 1_000_000,
    active_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Users active in the last night.")] = 0.01,
    num_neighbors: Annotated[int, typer.Option(min=1, help="Of the sparse form.")] = 100,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    report: Annotated[Path, typer.Option(help="Where the page goes.")] = ROOT / "docs" / "incremental_night.md",
) -> None:
    """Measure a night that carries the sums on beside one that starts from nothing."""
    started = time.perf_counter()
    stream = read_stream(ROOT / "data" / "movietweetings", seed)
    skew = Skew.of(stream)
    sparse = {"num_neighbors": num_neighbors, **sparse_beside_dense(stream, num_neighbors)}
    numbers = measure(*synthetic(skew, num_events, active_share, seed), seed)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    setting = {"num_events": num_events, "active_share": active_share, "seed": seed, "machine": machine}
    write_report(report, numbers, vars(skew), sparse, {**setting, "total_s": time.perf_counter() - started})
    print(f"Written: {report}")


if __name__ == "__main__":
    typer.run(main)
