"""A seeded stream that is small enough for a night in seconds, and large enough for a first champion."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

FIRST_DAY = datetime(2024, 3, 1, tzinfo=UTC)
NUM_DAYS = 14
NUM_USERS, NUM_ITEMS, SIGNALS_PER_USER = 1000, 50, 9


def write_stream(folder: Path, seed: int = 5) -> tuple[Path, Path]:
    """Writes items.csv and interactions.csv; two groups of users each like their own half of the films."""
    rng = np.random.default_rng(seed)
    items, interactions = folder / "items.csv", folder / "interactions.csv"
    with items.open("w", newline="", encoding="utf-8") as file:
        rows = ((f"f{n:02d}", f"Film {n}", "Even" if n % 2 == 0 else "Odd") for n in range(NUM_ITEMS))
        csv.writer(file).writerows([("item_id", "title", "genres"), *rows])
    seconds = NUM_DAYS * 86_400
    with interactions.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "item_id", "occurred_at", "label"))
        for user in range(NUM_USERS):
            for item in rng.permutation(NUM_ITEMS)[:SIGNALS_PER_USER]:
                is_liked = (item % 2 == user % 2) == (rng.random() < 0.9)
                if is_liked or rng.random() < 0.3:
                    moment = FIRST_DAY + timedelta(seconds=int(rng.integers(1, seconds)))
                    writer.writerow((f"u{user:03d}", f"f{item:02d}", moment.isoformat(), "like" if is_liked else "dislike"))
    return items, interactions
