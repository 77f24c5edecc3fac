"""A few hundred attempts of `make attack`, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack import interleavings
from tests.attack.tally import Tally
from tests.attack.victim import database

SEED = 15
NUM_REQUESTS, NUM_FILES, NUM_SEQUENCES = 150, 20, 3
KINDS = {
    "headers", "bodies", "ids", "tokens", "methods", "paths", "cut", "honest", "of others", "race of honest", "file .csv",
    "file .parquet", "interleaving",
}  # fmt: skip


def ignore(done: int) -> None:
    """No progress bar."""


@pytest.mark.postgres
@pytest.mark.usefixtures("postgres_server")
def test_two_erasures_at_once_leave_nothing_that_both_typed(tmp_path: Path) -> None:
    """Both named one film that the catalog lacks: each saw the other's dislike, and left the film with its cast."""
    tally = Tally()
    with database("postgresql", tmp_path) as url:
        interleavings.attack(url, tmp_path, 2, 103, tally, ignore, first=101)  # as `make attack` found it
    assert tally.failures == []
    assert tally.counts.total() == 2
