"""Erasures that interleave with reading, writing, publishing, importing and measuring, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recsys.errors import ErasedError
from tests.attack.tally import Tally
from tests.integration.test_erasure_interleavings import FILMS, run_sequence
from tests.integration.turns import InterleavedStore

SEQUENCES_PER_SEED = 100_000  # so that two seeds share none


def attack(url: str, folder: Path, seed: int, count: int, tally: Tally, moved: Callable[[int], None]) -> None:
    """So many sequences; after each, nothing of an erased user is left, and what was acknowledged to others is there.

    Args:
        url: of a database; its rows are deleted.
        folder: for files.
        seed: of all sequences.
        count: how many.
        tally: where the outcomes go.
        moved: called after each.
    """
    with InterleavedStore.open(url) as store:
        store.database.watch()
        store.catalog.upsert_items(FILMS)
        for number in range(seed * SEQUENCES_PER_SEED, seed * SEQUENCES_PER_SEED + count):
            try:
                world = run_sequence(store, folder, number)
            except AssertionError as error:
                tally.add("interleaving", "failed")
                tally.fail(f"interleaving {number}: {error} {error.__cause__ or ''}"[:500])
            else:
                met = any(isinstance(one, ErasedError) for one in world.refused)
                tally.add("interleaving", "met an erasure" if met else "did not meet")
            moved(1)
