"""Data folders as streams of signals, read by the product's own readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsys.errors import InputError
from recsys.ingest.movielens import read_movielens
from recsys.ingest.movietweetings import read_movietweetings
from recsys.ingest.parsed import Parsed

SITTING_SHARE = 0.5  # users who did everything within a day, from which on a stream is split by user


@dataclass(frozen=True)
class Stream:
    """A data set.

    Attributes:
        name: of the folder.
        events: `user_id`, `item_id`, `signal` (like, neutral, dislike), `occurred_at`; the newest per user and item, in
            order of time; those with the same time in random order, which only `seed` decides.
        items: `item_id`, `title`, `genres`, `cast`, `franchise`.
    """

    name: str
    events: pd.DataFrame
    items: pd.DataFrame

    @property
    def protocol(self) -> str:
        """`user` where most users did everything in one sitting, else `time`."""
        times = self.events.groupby("user_id")["occurred_at"]
        sizes = times.size()
        lasted = (times.max() - times.min())[sizes > 1]
        return "user" if (lasted < pd.Timedelta(days=1)).mean() > SITTING_SHARE else "time"


def read_stream(folder: Path, seed: int) -> Stream:
    """Reads a MovieLens or MovieTweetings folder, whichever it is.

    Raises:
        InputError: if it is neither, or has bad rows.
    """
    parsed = _parsed(folder)
    parsed.require_good()
    events = parsed.feedback[["user_id", "item_id", "signal", "occurred_at"]]
    events = events.assign(signal=events["signal"].replace({"seen": "neutral"}))
    events = events.sample(frac=1.0, random_state=seed).sort_values("occurred_at", kind="stable")
    events = events.drop_duplicates(["user_id", "item_id"], keep="last", ignore_index=True)
    items = pd.DataFrame(
        [(i.item_id, i.title, i.genres, i.cast, i.franchise) for i in parsed.items.values()],
        columns=["item_id", "title", "genres", "cast", "franchise"],
    )
    return Stream(folder.resolve().name, events, items)


def _parsed(folder: Path) -> Parsed:
    if not folder.is_dir():
        raise InputError(f"Expected a data folder, found none at {folder}: name one with ratings and movies.")
    if (folder / "ratings.csv").exists():
        return read_movielens(folder)
    # Both come as `::` files; MovieLens has at most five stars.
    parsed = read_movielens(folder)
    return read_movietweetings(folder) if parsed.num_bad > len(parsed.feedback) * 0.1 else parsed


@dataclass(frozen=True)
class Split:
    """What is known, and what is to be predicted.

    Attributes:
        name: such as `40-50 %`.
        train: events.
        test: events of the same columns.
        cut_off: the newest event of `train`.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame

    @property
    def cut_off(self) -> pd.Timestamp:
        """When everything in `train` is known."""
        return pd.Timestamp(self.train["occurred_at"].max())


def splits_of(stream: Stream, protocol: str) -> list[Split]:
    """Rolling windows: train on the first 40, 50 ... 90 %, test on the next 10 %. By user: the last 20 % of each."""
    events = stream.events
    if protocol == "user":
        return [by_user(events, "last 20 % of each user")]
    ends = [int(len(events) * tenth / 10) for tenth in range(4, 11)]
    return [
        Split(f"{10 * n}-{10 * n + 10} %", events.iloc[:start], events.iloc[start:end])
        for n, start, end in zip(range(4, 10), ends, ends[1:], strict=False)
    ]


def by_user(events: pd.DataFrame, name: str, share: float = 0.2) -> Split:
    """The newest `share` of each user with at least five events."""
    place = events.groupby("user_id").cumcount()
    size = events.groupby("user_id")["user_id"].transform("size")
    is_test = (place >= np.floor(size * (1.0 - share))) & (size >= 5)
    return Split(name, events[~is_test], events[is_test])


def validation_split(split: Split, protocol: str) -> Split:
    """A split of the training part by the same protocol, to tune on; by time: the last part as long as the test's."""
    if protocol == "user":
        return by_user(split.train, "validation")
    start = len(split.train) - len(split.test)
    return Split("validation", split.train.iloc[:start], split.train.iloc[start:])
