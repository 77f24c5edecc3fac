"""How long a dislike takes while everybody's lists are published, on SQLite: `python benchmarks/publishing_wait.py`.

Three processes on one file: the API (`recsys serve`), one that publishes lists of as many users as asked for, computed as
slowly as a model computes them, and this one, which records one dislike after the other. Prints what they took, and how
large the file is after each publishing: of one version with the same lists, then of others.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from api_under_test import Filled, serving

from recsys.records import Item, Promotion, RecommendationEntry, RecommendationSet
from recsys.store import FeedbackStore, migrate
from recsys.store.api_keys import Scope, create_key

NUM_ITEMS, LIST_LENGTH, NUM_TERMS = 2_000, 20, 6
SECONDS_PER_LIST = 0.002
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def lists(num_users: int, version: str, as_of: datetime) -> Iterator[RecommendationSet]:
    """Lists as large as the model's, the same for the same version."""
    random_ = random.Random(version)
    for user in range(num_users):
        until = time.perf_counter() + SECONDS_PER_LIST
        entries = []
        for rank, item in enumerate(random_.sample(range(NUM_ITEMS), LIST_LENGTH), start=1):
            terms = {f"like:{random_.randrange(10**7)}": random_.random() / 100 for _ in range(NUM_TERMS)}
            score = sum(terms.values())
            entries.append(RecommendationEntry(rank, f"i{item}", score, "Popular right now", terms, score))
        while time.perf_counter() < until:
            pass
        yield RecommendationSet(f"u{user}", version, as_of, as_of, tuple(entries))


def publish(url: str, num_users: int, version: str, as_of: datetime) -> None:
    """Publishes lists, in a process of its own."""
    with FeedbackStore.open(url) as store:
        store.replace_recommendation_sets(version, as_of, lists(num_users, version, as_of))


def make_champion(url: str, version: str) -> None:
    """Writes the audit's row."""
    with FeedbackStore.open(url) as store:
        last = store.last_promotion()
        sequence = 1 if last is None else last.sequence + 1
        promotion = Promotion(sequence, f"run-{sequence}", None, version, "benchmark", AS_OF, is_complete=False)
        store.begin_promotion(promotion)
        store.finish_promotion(AS_OF, lambda rows: None)


def delays(port: int, token: str, publisher: multiprocessing.process.BaseProcess) -> list[float]:
    """Milliseconds of each dislike that was recorded until the publisher has ended."""
    found = []
    while publisher.is_alive():
        user = f"u{random.randrange(1_000_000)}"
        body = json.dumps({"item_id": f"i{len(found) % NUM_ITEMS}", "movie_title": "Film", "reason": "wrong_genre"})
        headers = {"Authorization": f"Bearer {token}", "X-User-ID": user, "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/dislike", body.encode(), headers)
        start = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60):
            found.append(1_000 * (time.perf_counter() - start))
        time.sleep(0.02)
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=11_000, help="with a list")
    num_users = parser.parse_args().users
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feedback.db"
        url = f"sqlite:///{path}"
        migrate(url)
        with FeedbackStore.open(url) as store:
            store.upsert_items([Item(f"i{n}", f"Film {n}", ("Drama",)) for n in range(NUM_ITEMS)])
            _, token = store.write(lambda c: create_key(c, "load", [Scope.ACT_FOR_USERS], datetime.now(UTC)))
        with serving(Filled(url, token, [], [], []), Path(folder)) as server:
            for place, version in enumerate(("1", "1", "1", "2", "3", "4")):
                make_champion(url, version)
                start, as_of = time.perf_counter(), AS_OF + timedelta(days=place)
                with FeedbackStore.open(url) as store:
                    if hasattr(store, "withdraw_lists"):  # as `publish_recommendations` does
                        store.withdraw_lists((version, str(int(version) - 1)), AS_OF)
                        store.delete_unseen_lists()
                publisher = multiprocessing.get_context("spawn").Process(
                    target=publish, args=(url, num_users, version, as_of)
                )
                publisher.start()
                took = delays(server.port, token, publisher)
                p50, p99, worst = np.percentile(took, [50, 99, 100])
                print(
                    f"version {version}: published in {time.perf_counter() - start:.0f} s; {len(took)} dislikes took "
                    f"{p50:.0f} ms (median), {p99:.0f} ms (p99), {worst:.0f} ms (longest); "
                    f"file {path.stat().st_size / 1e6:.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
