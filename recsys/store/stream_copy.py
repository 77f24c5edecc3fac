"""Copies a stored stream into another feedback database, as it was before any run: for replays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, insert, select

from recsys.store.database_errors import database_errors, parse_url
from recsys.store.engine import make_engine, reading, writing
from recsys.store.schema import require_schema
from recsys.store.tables import interactions, items, negative_training_examples, user_dislikes, user_exclusions

ROWS_PER_INSERT = 5_000
# What runs and lists left on a row is not part of the stream.
FRESH: dict[Table, dict[str, Any]] = {
    items: {},
    interactions: {},
    user_dislikes: {"recommendation_set_id": None},
    user_exclusions: {},
    negative_training_examples: {"batch_id": None, "used_in_training": False},
}


def copy_stream(source_url: str, target_url: str) -> int:
    """Copies items, interactions, dislikes, exclusions and negative examples, the whole backlog unclaimed; returns the rows.

    The target must be migrated and empty; all of it is written in one transaction.
    """
    source, target = make_engine(parse_url(source_url)), make_engine(parse_url(target_url))
    copied = 0
    try:
        require_schema(source)
        require_schema(target)
        with database_errors(source.url), reading(source) as old, database_errors(target.url), writing(target) as new:
            for table, fresh in FRESH.items():
                rows = old.execution_options(yield_per=ROWS_PER_INSERT).execute(select(table)).mappings()
                for part in rows.partitions(ROWS_PER_INSERT):
                    new.execute(insert(table), [{**row, **fresh} for row in part])
                    copied += len(part)
    finally:
        source.dispose()
        target.dispose()
    return copied
