"""Drift of what comes in: items, genres, kinds of signals, reasons of dislikes, and how much each user does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from recsys.evaluation.drift.verdict import (
    Array,
    Drift,
    DriftConfig,
    Shift,
    decide_drift,
    number_drift,
    share_distance,
    too_few,
    unknown_usual,
)

REASONS_SHARE = 0.1  # of `min_events`: dislikes with a reason that are needed
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """A time (`start`, `end`] of the stream, on `recorded_at`."""

    start: datetime
    end: datetime


def cut_windows(first: datetime, cut_off: datetime, as_of: datetime, config: DriftConfig) -> list[Window]:
    """Windows of one length to compare, oldest first; the last is that of the newest days.

    The earlier ones are in the later half of what the champion knows: what they are compared with is then at least half of
    what the newest days are compared with. On a young stream they are shorter, so that there are enough of them.

    Args:
        first: begin of the stream.
        cut_off: what the champion knows ends here.
        as_of: end of the newest days, after `cut_off`.
        config: how many days and windows. Of the newest days only those count that the champion does not know.
    """
    length = min(timedelta(days=config.days), as_of - cut_off, (cut_off - first) / 2 / (config.min_windows + 1))
    if length <= timedelta():
        return [Window(as_of, as_of)]
    count = min(config.max_windows, int((cut_off - first) / 2 / length + 1e-9))  # times have whole microseconds
    past = [Window(cut_off - (n + 1) * length, cut_off - n * length) for n in reversed(range(count))]
    return [*past, Window(as_of - length, as_of)]


class DriftStream:
    """Events as numbers, sorted by time.

    Args:
        events: one row per event: `user_id`, `item_id`, `signal`, `reason` (of a dislike, else empty), `recorded_at`.
        items: catalog: `item_id`, `title`, `genres`. Items without genres count as one genre of their own.
    """

    def __init__(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        ordered = events.sort_values("recorded_at", kind="stable", ignore_index=True)
        self.recorded_at = ordered["recorded_at"]
        self.users, self.user_ids = pd.factorize(ordered["user_id"])
        self.item_codes, self.item_ids = pd.factorize(ordered["item_id"])
        self._signals, self.signal_names = pd.factorize(ordered["signal"])
        self._reasons, self.reason_names = pd.factorize(ordered["reason"].where(ordered["reason"] != ""))
        self._items = items.set_index("item_id").reindex(self.item_ids)

    def rows(self, window: Window) -> Rows:
        """Positions of the events in a window."""
        return np.arange(self._before(window.start), self._before(window.end))

    def rows_through(self, moment: datetime) -> Rows:
        """Positions of the events up to a time, inclusive."""
        return np.arange(self._before(moment))

    def _before(self, moment: datetime) -> int:
        return int(self.recorded_at.searchsorted(pd.Timestamp(moment), side="right"))

    @cached_property
    def _genres(self) -> tuple[sp.csr_matrix, list[str]]:
        known = [list(names) if isinstance(names, Collection) else [] for names in self._items["genres"]]
        long = pd.Series([names or ["(no genre)"] for names in known]).explode()
        codes, names = pd.factorize(long)
        shape = (len(self.item_ids), len(names))
        return sp.csr_matrix((np.ones(len(long)), (long.index, codes)), shape=shape), list(names)

    def _codes(self, mix: str) -> tuple[Rows, int]:
        """Category of each event, -1 without, and how many there are."""
        return {
            "items": (self.item_codes, len(self.item_ids)),
            "genres": (self.item_codes, len(self.item_ids)),
            "signals": (self._signals, len(self.signal_names)),
            "reasons": (self._reasons, len(self.reason_names)),
        }[mix]

    def having(self, mix: str, rows: Rows) -> Rows:
        """Those of the rows that have a category of the mix."""
        return rows[self._codes(mix)[0][rows] >= 0]

    def counts(self, mix: str, rows: Rows) -> Array:
        """Events per category of a mix: `items`, `genres`, `signals` or `reasons`; `(num_categories,)`."""
        codes, num_names = self._codes(mix)
        counts = np.bincount(codes[self.having(mix, rows)], minlength=num_names).astype(float)
        return np.asarray(counts @ self._genres[0]) if mix == "genres" else counts

    def names(self, mix: str) -> list[str]:
        """The categories of a mix, as a person calls them."""
        if mix == "items":
            titles = self._items["title"].reset_index(drop=True)
            return list(titles.fillna(pd.Series(self.item_ids)))
        return {"genres": self._genres[1], "signals": list(self.signal_names), "reasons": list(self.reason_names)}[mix]

    def events_per_user(self, rows: Rows) -> Array:
        """Events of each user who has any among the rows; `(num_users,)`."""
        return np.unique(self.users[rows], return_counts=True)[1].astype(float)

    def active_users(self, window: Window, limit: int, rng: np.random.Generator) -> list[str]:
        """Who did something in a window, or a sample of so many of them."""
        own = np.unique(self.users[self.rows(window)])
        chosen = rng.choice(own, limit, replace=False) if len(own) > limit else own
        return [str(user) for user in self.user_ids[np.sort(chosen)]]

    def thinned(self, rows: Rows, like: Rows, rng: np.random.Generator) -> Rows:
        """As many users, and then events, as `like` has, where there are more."""
        own, wanted = np.unique(self.users[rows]), len(np.unique(self.users[like]))
        if len(own) > wanted:
            rows = rows[np.isin(self.users[rows], rng.choice(own, wanted, replace=False))]
        return rng.choice(rows, len(like), replace=False) if len(rows) > len(like) else rows


def input_drifts(stream: DriftStream, windows: Sequence[Window], cut_off: datetime, config: DriftConfig) -> list[Drift]:
    """Drift of every input.

    Args:
        stream: all events.
        windows: as `cut_windows` gives them.
        cut_off: what the champion knows ends here.
        config: what counts as drift.
    """
    newest = stream.rows(windows[-1])
    num_users = len(np.unique(stream.users[newest]))
    needed: list[tuple[str, int]] = [
        ("items", config.min_events), ("genres", config.min_events), ("signals", config.min_events),
        ("reasons", max(1, round(REASONS_SHARE * config.min_events))),
    ]  # fmt: skip
    if num_users < config.min_users:
        return [too_few(name, "users", num_users, config.min_users) for name in (*dict(needed), "events_per_user")]
    mixes = [_mix_drift(stream, name, windows, cut_off, least, config) for name, least in needed]
    numbers = [stream.events_per_user(stream.rows(window)) for window in windows]
    return [*mixes, number_drift("events_per_user", numbers, config)]


def _mix_drift(
    stream: DriftStream, mix: str, windows: Sequence[Window], cut_off: datetime, least: int, config: DriftConfig
) -> Drift:
    newest, known = (stream.having(mix, rows) for rows in (stream.rows(windows[-1]), stream.rows_through(cut_off)))
    if len(newest) < least:
        return too_few(mix, "dislikes" if mix == "reasons" else "events", len(newest), least)
    if not len(known):
        return unknown_usual(mix, config)
    rng, reference_distances = np.random.default_rng(config.seed), []
    for window in windows[:-1]:
        before = stream.having(mix, stream.rows_through(window.start))
        own = stream.thinned(stream.having(mix, stream.rows(window)), newest, rng)
        if min(len(before), len(own)) >= least:
            reference_distances.append(share_distance(stream.counts(mix, before), stream.counts(mix, own)))
    one, other = stream.counts(mix, known), stream.counts(mix, newest)
    return decide_drift(
        mix, share_distance(one, other), reference_distances, config, _shifts(stream.names(mix), one, other)
    )


def _shifts(names: Sequence[str], before: Array, now: Array) -> list[Shift]:
    """Categories whose share changed most, largest change first."""
    one, other = before / before.sum(), now / now.sum()
    order = np.argsort(-np.abs(other - one), kind="stable")[:10]
    return [Shift(str(names[place]), float(one[place]), float(other[place])) for place in order]
