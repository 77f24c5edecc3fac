"""Recommenders and histories made up at random: every term of the model and every signal has its part."""

import numpy as np
import pandas as pd

from recsys.feedback.reasons import base_weight
from recsys.model.additive import AdditiveModel, Parts
from recsys.model.linked_weights import Associations
from recsys.model.recommender import Recommender
from recsys.records import DislikeReason

NUM_ITEMS, NUM_LINKED, NUM_GENRES = 30, 20, 4
REASONS = [str(reason) for reason in DislikeReason if base_weight(reason) > 0]
SIGNALS = ["like", "dislike", "neutral", "seen"]


def make_recommender() -> Recommender:
    """A recommender with random parts, every head weight above 0."""
    rng = np.random.default_rng(7)
    model = AdditiveModel(NUM_ITEMS, NUM_LINKED, NUM_GENRES, (1.0, 30.0))
    matrices = rng.normal(scale=0.2, size=(3, NUM_LINKED, NUM_LINKED)).astype(np.float32)
    matrices[:, np.arange(NUM_LINKED), np.arange(NUM_LINKED)] = 0
    typical = rng.normal(scale=0.1, size=(3, NUM_LINKED)).astype(np.float32)
    unsure = rng.random((3, NUM_ITEMS)).astype(np.float32)
    linked = [Associations(*parts) for parts in zip(matrices, typical, unsure, strict=True)]
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


def make_histories(num_users: int, seed: int, longest: int = 12) -> pd.DataFrame:
    """Histories of `num_users` users with up to `longest` signals each, without reasons."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest + 1, num_users)
    users = np.repeat(np.arange(num_users), lengths)
    order = rng.random((num_users, NUM_ITEMS)).argsort(axis=1)
    items = order[np.arange(NUM_ITEMS) < lengths[:, None]]
    return pd.DataFrame({
        "user_id": [f"u{user:05d}" for user in users],
        "item_id": [f"i{item:02d}" for item in items],
        "signal": rng.choice(SIGNALS, len(users), p=[0.5, 0.3, 0.1, 0.1]),
        "weight": rng.uniform(0.05, 1.0, len(users)),
        "age_days": rng.integers(0, 9, len(users)).astype(float),
    })  # fmt: skip


def make_fitting_histories(recommender: Recommender, num_users: int, seed: int) -> pd.DataFrame:
    """Histories that the recommender has learned from: users like what it puts first, and each one genre of that."""
    rng = np.random.default_rng(seed)
    users = [f"u{n:05d}" for n in range(num_users)]
    order = np.argsort(-recommender.score(make_histories(0, seed), users[:1])[0])
    rows = []
    for user in users:
        met = rng.permutation(NUM_ITEMS)[:8]
        places = np.argsort(order)[met]
        for item, place in zip(met, places, strict=True):
            rows.append((user, f"i{item:02d}", "like" if place < NUM_ITEMS * 0.4 else rng.choice(["dislike", "seen"])))
    histories = pd.DataFrame(rows, columns=["user_id", "item_id", "signal"])
    ages = rng.integers(0, 9, len(histories)).astype(float)
    return histories.assign(weight=rng.uniform(0.05, 0.8, len(histories)), age_days=ages)


def with_reasons(histories: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same, with a random reason for each dislike."""
    rng = np.random.default_rng(seed)
    reasons = np.where(histories["signal"] == "dislike", rng.choice(REASONS, len(histories)), "")
    return histories.assign(reason=reasons, weight=histories["weight"] * 0.4)
