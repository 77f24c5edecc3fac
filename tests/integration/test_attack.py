"""A few hundred attempts of `make attack`, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys.store import FeedbackStore
from tests.attack import files, interleavings
from tests.attack.requesting import Attack
from tests.attack.tally import Tally
from tests.attack.victim import BACKENDS, attacked, database

SEED = 15
NUM_REQUESTS, NUM_FILES, NUM_SEQUENCES = 150, 20, 3
KINDS = {
    "headers", "bodies", "ids", "tokens", "methods", "paths", "cut", "honest", "of others", "race of honest", "file .csv",
    "file .parquet", "interleaving",
}  # fmt: skip


def ignore(done: int) -> None:
    """No progress bar."""


@pytest.mark.parametrize(
    "attacked_backend", [pytest.param(one, marks=[pytest.mark.postgres] * (one != "sqlite")) for one in BACKENDS]
)
def test_nothing_that_is_tried_gets_through(
    attacked_backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if attacked_backend != "sqlite":
        request.getfixturevalue("postgres_server")
    tally = Tally()
    with database(attacked_backend, tmp_path) as url:
        with attacked(url, tmp_path) as victim:
            Attack(victim, SEED, tally).run(NUM_REQUESTS, ignore)
        with FeedbackStore.open(url) as store:
            files.attack(store, tmp_path, SEED, NUM_FILES, tally, ignore)
        interleavings.attack(url, tmp_path, SEED, NUM_SEQUENCES, tally, ignore)
    assert tally.failures == []
    assert tally.total >= NUM_REQUESTS + NUM_FILES + NUM_SEQUENCES
    assert {kind for kind, _ in tally.counts} >= KINDS
    assert tally.counts["honest", "2xx"] > 5
    assert tally.counts["tokens", "4xx"] > 5
    assert not [outcome for _, outcome in tally.counts if outcome == "5xx"]
