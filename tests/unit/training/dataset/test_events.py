"""What training knows of a user is what scoring will know of them, and the head sees the scores that the model gives."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from recsys.feedback.adjustments import ItemFeatures
from recsys.model.additive import AdditiveModel, Parts
from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.model.histories import HistoryMatrices
from recsys.model.linked_weights import Associations
from recsys.training.dataset.events import Events, NeutralEvents
from recsys.training.head.examples import ValidationSplit, collect_examples
from recsys.training.recipe.recipe import HeadConfig

NUM_USERS, NUM_ITEMS, NUM_LINKED = 25, 40, 30
FEATURES = FeatureVocabulary.build([ItemFeatures(("Drama",) if n % 3 else ("Action",)) for n in range(NUM_ITEMS)])


@pytest.fixture(scope="module")
def stream() -> pd.DataFrame:
    """One row per pair: signal, age; a dislike has a reason that adjusts genres."""
    rng = np.random.default_rng(3)
    pairs = rng.permutation(NUM_USERS * NUM_ITEMS)[:350]
    signal = rng.choice(["like", "dislike", "neutral"], len(pairs), p=[0.5, 0.3, 0.2])
    return pd.DataFrame({
        "user": pairs // NUM_ITEMS, "item": pairs % NUM_ITEMS, "signal": signal,
        "age_days": rng.integers(0, 40, len(pairs)).astype(float),
        "reason": np.where(signal == "dislike", "dont_like_genre", ""),
    })  # fmt: skip


def to_events(stream: pd.DataFrame) -> Events:
    opinions, neutral = stream[stream["signal"] != "neutral"], stream[stream["signal"] == "neutral"]
    return Events(
        users=opinions["user"].to_numpy(), items=opinions["item"].to_numpy(),
        is_like=(opinions["signal"] == "like").to_numpy(), age_days=opinions["age_days"].to_numpy(),
        base_weight=np.where(opinions["signal"] == "like", 1.0, 0.8), reasons=opinions["reason"].to_numpy(object),
        half_life_days=20.0, as_of=datetime(2024, 3, 1, tzinfo=UTC), max_user_share=1.0,
        user_ids=np.array([f"{user:02d}" for user in range(NUM_USERS)], object),
        item_ids=np.array([str(item) for item in range(NUM_ITEMS)], object),
        neutral=NeutralEvents(
            neutral["user"].to_numpy(), neutral["item"].to_numpy(), neutral["age_days"].to_numpy()
        ),
    )  # fmt: skip


def to_histories(stream: pd.DataFrame) -> HistoryMatrices:
    base = np.select([stream["signal"] == "like", stream["signal"] == "dislike"], [1.0, 0.8], 1.0)
    weight = np.where(stream["signal"] == "neutral", 1.0, base * 0.5 ** (stream["age_days"] / 20.0))
    table = pd.DataFrame({
        "user_id": [f"{user:02d}" for user in stream["user"]], "item_id": [str(item) for item in stream["item"]],
        "signal": stream["signal"], "weight": weight, "reason": stream["reason"], "age_days": stream["age_days"],
    })  # fmt: skip
    users = [f"{user:02d}" for user in range(NUM_USERS)]
    return HistoryMatrices.build(table, [str(item) for item in range(NUM_ITEMS)], FEATURES, users)


def test_training_and_scoring_know_the_same(stream: pd.DataFrame) -> None:
    events, histories = to_events(stream), to_histories(stream)
    for name, matrix in events.histories().items():
        np.testing.assert_allclose(matrix.toarray(), getattr(histories, name).toarray(), rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(events.met().toarray() > 0, histories.seen.toarray() > 0)


def test_the_head_weighs_the_scores_that_the_model_will_give(stream: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    matrices = rng.normal(scale=0.2, size=(3, NUM_LINKED, NUM_LINKED)).astype(np.float32)
    typical = rng.normal(scale=0.1, size=(3, NUM_LINKED)).astype(np.float32)
    unsure = rng.random((3, NUM_ITEMS)).astype(np.float32)
    linked = [Associations(*parts) for parts in zip(matrices, typical, unsure, strict=True)]
    genres = np.eye(2, dtype=np.float32)[rng.integers(2, size=NUM_ITEMS)]
    parts = Parts(
        rng.uniform(1.0, 2.0, (2, NUM_ITEMS)).astype(np.float32), *linked, genres, genres.mean(axis=0),
        rng.uniform(0.4, 1.0, NUM_ITEMS).astype(np.float32),
    )  # fmt: skip
    model = AdditiveModel(NUM_ITEMS, NUM_LINKED, 2, (1.0, 9.0))
    head = np.array([0.6, 0.4, 0.1, 0.1, 0.05, 0.05, 0.1, 0.1, 1.5], np.float32)  # small: scores stay above 0
    model.set_parts(parts, head)
    future = (stream[stream["signal"] != "neutral"]["age_days"] < 10).to_numpy()
    past = stream[(stream["age_days"] >= 10) | (stream["signal"] == "neutral")]
    config = HeadConfig(candidates_per_term=NUM_ITEMS)
    split = ValidationSplit(to_events(past), future, np.ones(NUM_ITEMS, bool))
    examples = collect_examples(to_events(stream), [split], lambda known: model, FEATURES, config)
    users = np.unique(stream[(stream["signal"] == "like") & (stream["age_days"] < 10)]["user"])
    scores = np.asarray(model(to_histories(past).inputs(FEATURES)))
    known = to_events(past).met().toarray() > 0
    assert len(examples.num_liked) == len(users)
    assert (scores > 0).all()
    for row, user in enumerate(users):
        unseen = np.sort(scores[user][~known[user]])
        found = examples.scores(head)[row][examples.labels[row] > -2]
        np.testing.assert_allclose(np.sort(found), unseen, rtol=1e-4)
