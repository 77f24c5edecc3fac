from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from recsys.model.additive import AdditiveModel, Parts
from recsys.model.recommender import Recommender

NUM_ITEMS, NUM_LINKED, NUM_GENRES = 30, 20, 4


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """A recommender with random parts, every head weight above 0."""
    rng = np.random.default_rng(7)
    model = AdditiveModel(NUM_ITEMS, NUM_LINKED, NUM_GENRES, (1.0, 30.0))
    linked = rng.normal(scale=0.2, size=(3, NUM_LINKED, NUM_LINKED)).astype(np.float32)
    linked[:, np.arange(NUM_LINKED), np.arange(NUM_LINKED)] = 0
    genres = np.zeros((NUM_ITEMS, NUM_GENRES), np.float32)
    genres[np.arange(NUM_ITEMS), rng.integers(NUM_GENRES, size=NUM_ITEMS)] = 1.0
    genres[NUM_ITEMS - 1] = 0.0  # one item without a genre
    parts = Parts(
        rng.random((2, NUM_ITEMS)).astype(np.float32), *linked, genres, genres.mean(axis=0),
        rng.uniform(0.5, 1.0, NUM_ITEMS).astype(np.float32),
    )  # fmt: skip
    model.set_parts(parts, np.array([0.6, 0.4, 0.8, 0.4, 0.3, 0.2, 0.5, 0.7, 1.5], np.float32))
    names = ("Comedy", "Crime", "Drama", "Sci-Fi")
    catalog = pd.DataFrame({
        "item_id": [f"i{n:02d}" for n in range(NUM_ITEMS)],
        "title": [f"Film {n}" for n in range(NUM_ITEMS)],
        "genres": [tuple(names[g] for g in np.flatnonzero(row)) for row in genres],
    })  # fmt: skip
    return Recommender(model, catalog, names, {"half_life_days": 30.0})


@pytest.fixture(scope="session")
def random_histories() -> Callable[..., pd.DataFrame]:
    """Makes histories of `num_users` users with up to `longest` signals each."""

    def make(num_users: int, seed: int, longest: int = 12) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        rows = []
        for user in range(num_users):
            for item in rng.permutation(NUM_ITEMS)[: rng.integers(0, longest + 1)]:
                signal = str(rng.choice(["like", "dislike", "neutral", "seen"], p=[0.5, 0.3, 0.1, 0.1]))
                weight, age_days = float(rng.uniform(0.05, 1.0)), float(rng.integers(0, 9))
                rows.append((f"u{user:05d}", f"i{item:02d}", signal, weight, age_days))
        return pd.DataFrame(rows, columns=["user_id", "item_id", "signal", "weight", "age_days"])

    return make
