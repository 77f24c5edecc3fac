"""Brigading: many users who dislike one item within a short time, out of all proportion to those who like it.

A burst is flagged, not silently trained: its dislikes stay in their users' own lists and histories, but neither count
toward a retraining nor enter a training set until a person has looked at them. A film that many people honestly dislike
on its first evening is not flagged as long as opinions on it are about as mixed as elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class BrigadingConfig:
    """When a burst is flagged.

    Attributes:
        window_hours: dislikes of one item within so many hours are looked at together.
        min_users: fewer distinct users are never flagged.
        max_p_value: flagged if so many dislikes among the item's opinions in the window are less likely than this, given
            the expected share of dislikes; small, since every item is looked at every night.
        max_usual_share: the expected share is taken to be at most this, so that a stream of hardly anything but dislikes
            can still show a burst.
    """

    window_hours: float = 6.0
    min_users: int = 10
    max_p_value: float = 1e-6
    max_usual_share: float = 0.5


@dataclass(frozen=True)
class Opinion:
    """One user's opinion on an item. `dislike_id` is None for anything but a dislike."""

    user_id: str
    item_id: str
    recorded_at: datetime
    dislike_id: int | None = None


@dataclass(frozen=True)
class Burst:
    """Dislikes of one item that look like brigading.

    Attributes:
        item_id: the item.
        starts_at: first of them.
        ends_at: last of them.
        dislike_ids: all dislikes of the item from first to last.
        num_users: distinct users among them.
        num_opinions: opinions on the item in the same time.
        p_value: how likely so many dislikes would be if opinions were as mixed as elsewhere.
    """

    item_id: str
    starts_at: datetime
    ends_at: datetime
    dislike_ids: tuple[int, ...]
    num_users: int
    num_opinions: int
    p_value: float


def find_bursts(opinions: Iterable[Opinion], usual_dislike_share: float, config: BrigadingConfig) -> list[Burst]:
    """All bursts, by item and time; none of them overlap.

    Args:
        opinions: on the items to look at, in any order.
        usual_dislike_share: of all opinions on all items, 0 to 1.
        config: see there.
    """
    by_item: dict[str, list[Opinion]] = {}
    for opinion in opinions:
        by_item.setdefault(opinion.item_id, []).append(opinion)
    share = min(usual_dislike_share, config.max_usual_share)
    bursts = []
    for item_id in sorted(by_item):
        own = sorted(by_item[item_id], key=lambda o: (o.recorded_at, o.dislike_id or 0, o.user_id))
        for first, last in _merged(_suspicious_windows(own, share, config)):
            bursts.append(_burst(own[first : last + 1], share))
    return bursts


def _suspicious_windows(own: Sequence[Opinion], share: float, config: BrigadingConfig) -> list[tuple[int, int]]:
    """Positions of first and last dislike of every window that is flagged."""
    length = timedelta(hours=config.window_hours)
    users: Counter[str] = Counter()
    inside: deque[int] = deque()  # positions of the dislikes in the window
    found = []
    for position, opinion in enumerate(own):
        if opinion.dislike_id is None:
            continue
        inside.append(position)
        users[opinion.user_id] += 1
        while own[inside[0]].recorded_at < opinion.recorded_at - length:
            gone = own[inside.popleft()].user_id
            users[gone] -= 1
            if not users[gone]:
                del users[gone]
        others = position - inside[0] + 1 - len(inside)
        if len(users) >= config.min_users and _p_value(len(users), others, share) <= config.max_p_value:
            found.append((inside[0], position))
    return found


def _p_value(num_users: int, num_others: int, share: float) -> float:
    from scipy.stats import binomtest  # loading SciPy takes a second

    return float(binomtest(num_users, num_users + num_others, share, alternative="greater").pvalue)


def _merged(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for window_first, last in windows:  # ordered by their ends
        first = window_first
        while merged and merged[-1][1] >= first:
            first = min(first, merged.pop()[0])
        merged.append((first, last))
    return merged


def _burst(own: Sequence[Opinion], share: float) -> Burst:
    dislikes = [opinion for opinion in own if opinion.dislike_id is not None]
    num_users = len({opinion.user_id for opinion in dislikes})
    return Burst(
        item_id=own[0].item_id,
        starts_at=own[0].recorded_at,
        ends_at=own[-1].recorded_at,
        dislike_ids=tuple(int(o.dislike_id) for o in dislikes if o.dislike_id is not None),
        num_users=num_users,
        num_opinions=len(own),
        p_value=_p_value(num_users, len(own) - len(dislikes), share),
    )
