"""One system on one split, in a process of its own: tune, fit, score, measure."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.judging import Train, top_lists, worth
from benchmarks.accuracy.judging import test_users as users_of
from benchmarks.accuracy.ours import fit_ours
from benchmarks.accuracy.peers import PEERS, draws
from benchmarks.accuracy.streams import Stream, read_stream, splits_of, validation_split

OURS = "ours"


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes:
        folder: of the data.
        protocol: `time` or `user`.
        split: number of the split.
        system: `ours`, or one of `PEERS`.
        trials: settings that a peer may try.
        budget_s: no new trial is begun after so many seconds.
        seed: of everything random.
    """

    folder: str
    protocol: str
    split: int
    system: str
    trials: int
    budget_s: float
    seed: int


def run(job: Job, target: Path) -> None:
    """Writes `<target>.parquet` (per user) and then `<target>.json`: with the second, the job is done."""
    stream = read_stream(Path(job.folder), job.seed)
    split = splits_of(stream, job.protocol)[job.split]
    train = Train.of(split)
    started = time.perf_counter()
    settings, tried = (None, 0) if job.system == OURS else _tuned(job, stream)
    tuned = time.perf_counter()
    if job.system == OURS:
        scorer, result = fit_ours(train, stream.items, job.seed)
        settings, tried = result.params, 0
    else:
        scorer = PEERS[job.system][0](train, settings or {}, job.seed)
    fitted = time.perf_counter()
    users = users_of(train)
    lists = top_lists(train, scorer, users)
    scored = time.perf_counter()
    worth(split, lists).to_parquet(target.with_suffix(".parquet"), index=False)
    numbers = {
        "settings": settings,
        "trials": tried,
        "tune_s": tuned - started,
        "fit_s": fitted - tuned,
        "score_s": scored - fitted,
        "users_per_s": len(users) / max(scored - fitted, 1e-9),
        "coverage_at_10": float(lists.loc[lists["rank"] <= 10, "item_id"].nunique() / len(train.item_ids)),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "num_users": len(users),
        "num_items": len(train.item_ids),
        "num_train": len(split.train),
    }
    target.with_suffix(".json").write_text(json.dumps(numbers, indent=2, default=_plain), encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _tuned(job: Job, stream: Stream) -> tuple[dict[str, Any], int]:
    """The settings with the best NDCG@10 on a validation split of the training part."""
    validation = validation_split(splits_of(stream, job.protocol)[job.split], job.protocol)
    train = Train.of(validation)
    users = users_of(train)
    fit, space = PEERS[job.system]
    started, best, tried = time.perf_counter(), None, 0
    for settings in draws(space, job.trials, job.seed):
        if best is not None and time.perf_counter() - started > job.budget_s:
            break
        value = worth(validation, top_lists(train, fit(train, settings, job.seed), users))["ndcg_at_10"].mean()
        tried += 1
        if best is None or value > best[0]:
            best = (value, settings)
    assert best is not None
    return best[1], tried
