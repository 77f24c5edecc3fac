"""Writes what a reader checked, batch by batch, each one transaction.

Items come before the feedback that names them. Dislikes are recorded as those of the API are, with their negative examples,
and are not stored as interactions too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

import pandas as pd

from recsys.feedback.handler import save_dislikes
from recsys.ingest.erased import ErasedMeanwhile
from recsys.ingest.parsed import DISLIKE, LIKE, Parsed
from recsys.records import Dislike, DislikeReason, Interaction, Item
from recsys.store import FeedbackStore

Watch = Callable[[int, int], None]  # (rows done, rows in all), after each batch


@dataclass(frozen=True)
class Written:
    """How many rows a write added or changed, and how many it left out since their users were erased meanwhile."""

    num_items: int = 0
    num_feedback: int = 0
    num_of_erased: int = 0
    erased: frozenset[str] = frozenset()


def placeholders_of(parsed: Parsed, store: FeedbackStore) -> list[Item]:
    """Items that feedback names and nobody knows: neither the files nor the catalog."""
    named = pd.unique(parsed.feedback["item_id"]).tolist()
    unknown = [item_id for item_id in named if item_id not in parsed.items]
    known = store.catalog.all_items() if unknown else {}
    return [Item(item_id=item_id, title=item_id, is_placeholder=True) for item_id in unknown if item_id not in known]


def write(
    parsed: Parsed,
    placeholders: Sequence[Item],
    store: FeedbackStore,
    imported_at: datetime,
    rows_per_batch: int,
    watch: Watch | None = None,
) -> Written:
    """Writes items, then feedback in the order in which it was recorded; calls `watch` after each batch.

    `imported_at` goes to the rows, and to the history of what may be recommended.
    """
    items = [*_changed_items(parsed, store.catalog.all_items()), *placeholders]
    total = len(items) + len(parsed.feedback)
    done = num_items = num_feedback = 0
    for batch in _batches(items, rows_per_batch):
        num_items += store.catalog.upsert_items(batch, imported_at)
        done += len(batch)
        _tell(watch, done, total)
    kept = ErasedMeanwhile()
    for start in range(0, len(parsed.feedback), rows_per_batch):
        rows = parsed.feedback.iloc[start : start + rows_per_batch]
        num_feedback += kept.write(partial(_save_interactions, store), list(_interactions(rows, imported_at)))
        recorded = kept.write(partial(save_dislikes, store.feedback), list(_dislikes(rows, parsed.source, imported_at)))
        num_feedback += sum(dislike.is_new for dislike in recorded)
        done += len(rows)
        _tell(watch, done, total)
    return Written(num_items, num_feedback, kept.num_rows, kept.user_ids)


def _save_interactions(store: FeedbackStore, rows: list[Interaction]) -> int:
    # A placeholder that was there a moment ago may have gone with an erased user.
    return store.feedback.insert_interactions(rows, makes_placeholders=True)


def _changed_items(parsed: Parsed, catalog: dict[str, Item]) -> Iterator[Item]:
    """Items to write. What a file leaves empty keeps its stored value: casts imported from elsewhere survive."""
    for item_id, item in parsed.items.items():
        stored = catalog.get(item_id)
        if stored is None:
            yield item
            continue
        merged = replace(
            item,
            genres=item.genres or stored.genres,
            cast=item.cast or stored.cast,
            franchise=item.franchise or stored.franchise,
            release_year=item.release_year or stored.release_year,
            tmdb_id=item.tmdb_id or stored.tmdb_id,
            imdb_id=item.imdb_id or stored.imdb_id,
            tags=item.tags or stored.tags,
            available_from=item.available_from or stored.available_from,
            available_until=item.available_until or stored.available_until,
            is_hidden=item.is_hidden if item_id in parsed.says_hidden else stored.is_hidden,
        )
        if merged != stored:
            yield merged


def _interactions(rows: pd.DataFrame, imported_at: datetime) -> Iterator[Interaction]:
    rows = rows[rows["signal"] != DISLIKE]
    for user_id, item_id, kind, occurred_at, recorded_at, signal, value in zip(
        rows["user_id"].tolist(),
        rows["item_id"].tolist(),
        rows["kind"].tolist(),
        rows["occurred_at"].array.to_pydatetime(),
        rows["recorded_at"].array.to_pydatetime(),
        rows["signal"].tolist(),
        rows["value"].tolist(),
        strict=True,
    ):
        known_value = None if pd.isna(value) else value
        yield Interaction(
            user_id, item_id, kind, occurred_at, recorded_at, signal == LIKE, known_value, imported_at
        )  # fmt: skip


def _dislikes(rows: pd.DataFrame, source: str, imported_at: datetime) -> Iterator[Dislike]:
    rows = rows[rows["signal"] == DISLIKE]
    keys = _idempotency_keys(rows, source)
    created = rows["occurred_at"].array.to_pydatetime()
    recorded = rows["recorded_at"].array.to_pydatetime()
    users, items, reasons = (rows[name].tolist() for name in ("user_id", "item_id", "reason"))
    for position, key in enumerate(keys):
        reason = reasons[position]
        yield Dislike(
            user_id=users[position],
            item_id=items[position],
            created_at=created[position],
            recorded_at=recorded[position],
            reason=DislikeReason.UNSPECIFIED if pd.isna(reason) else DislikeReason(reason),
            idempotency_key=key,
            imported_at=imported_at,
        )


def _idempotency_keys(rows: pd.DataFrame, source: str) -> list[str]:
    """`source:user:item:unix_seconds`, the same for the same row in every import."""
    seconds, rest = divmod(rows["occurred_at"].astype("int64"), 1_000_000)
    times = [f"{whole}.{part:06d}" if part else f"{whole}" for whole, part in zip(seconds, rest, strict=True)]
    # A colon inside an id must not make two rows look like one.
    users, items = (rows[name].str.replace("%", "%25").str.replace(":", "%3A") for name in ("user_id", "item_id"))
    return [f"{source}:{user}:{item}:{at}" for user, item, at in zip(users, items, times, strict=True)]


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _tell(watch: Watch | None, done: int, total: int) -> None:
    if watch is not None:
        watch(done, total)
