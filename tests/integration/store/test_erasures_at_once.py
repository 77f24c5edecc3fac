"""Two users are erased at once who named the same film, which the catalog lacks: it goes with them."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from sqlalchemy import delete

from recsys.records import Dislike
from recsys.store.tables import metadata
from tests.integration.turns import InterleavedStore, Turns

NOW = datetime(2026, 11, 1, tzinfo=UTC)
USERS = ("first user of a test", "second user of a test")
NUM_ORDERS = 12


def erase_both(store: InterleavedStore, seed: int) -> dict[int, Exception]:
    """Both say the same of a film and are erased, in an order that the seed decides."""
    for user in USERS:
        dislike = Dislike(user, NOW, NOW, movie_title="Typed by both", genres=("Typed",), cast=(f"cast of {user}",))
        store.feedback.record_dislikes([dislike])
    assert [item.cast for item in store.catalog.all_items().values()] == [(f"cast of {USERS[0]}",)]
    turns = Turns(random.Random(seed), store.database.is_blocked)
    store.database.turns = turns
    try:
        turns.run([lambda user=user: store.erasures.erase_user(user, "a test", NOW) for user in USERS])  # type: ignore[misc]
    finally:
        store.database.turns = None
    return turns.errors


def test_what_both_typed_goes_with_them(database_url: str) -> None:
    with InterleavedStore.open(database_url) as store:
        store.database.watch()
        for seed in range(NUM_ORDERS):
            assert erase_both(store, seed) == {}
            assert store.catalog.all_items() == {}, f"order {seed}"
            for table in reversed(metadata.sorted_tables):
                if table.name != "user_keys":
                    store.database.write(lambda connection, table=table: connection.execute(delete(table)))  # type: ignore[misc]
