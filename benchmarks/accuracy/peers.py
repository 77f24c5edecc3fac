"""The systems that one could pick instead, each with the settings that it is tuned over.

A user without a like in train gets what is popular from every peer that cannot score strangers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from benchmarks.accuracy.judging import Scorer, Train

FloatArray = npt.NDArray[np.float32]
Settings = Mapping[str, Any]
Fit = Callable[[Train, Settings, int], Scorer]
FOR_EVER_DAYS = 36_500.0


def _inputs(train: Train, settings: Settings) -> sp.csr_matrix:
    """Likes as 1, and neutral signals with the weight that is being tuned; decayed where a half-life is."""
    values = np.where(train.signal == 1, 1.0, 0.0) + settings.get("neutral", 0.0) * (train.signal == 0)
    return train.matrix(values * 0.5 ** (train.age_days / settings.get("half_life_days", FOR_EVER_DAYS)))


def _with_strangers(train: Train, personal: Callable[[npt.NDArray[np.int64]], FloatArray]) -> Scorer:
    popular = train.popularity(FOR_EVER_DAYS).astype(np.float32)
    has_likes = np.bincount(train.users, train.signal == 1, minlength=len(train.user_ids)) > 0

    def score(users: npt.NDArray[np.int64]) -> FloatArray:
        return np.where(has_likes[users][:, None], personal(users), popular[None])

    return score


def popularity(train: Train, settings: Settings, seed: int) -> Scorer:
    """Likes, decayed with a half-life."""
    del seed
    counts = train.popularity(settings["half_life_days"]).astype(np.float32)
    return lambda users: np.broadcast_to(counts, (len(users), len(counts)))


def ease(train: Train, settings: Settings, seed: int) -> Scorer:
    """Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019."""
    del seed
    inputs, known = _inputs(train, settings), _inputs(train, {**settings, "half_life_days": FOR_EVER_DAYS})
    chosen = np.flatnonzero(np.bincount(train.items, train.signal >= 0, minlength=len(train.item_ids)) >= 3)
    gram = (inputs[:, chosen].T @ inputs[:, chosen]).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += settings["reg"] * gram.diagonal().mean()
    precision = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, overwrite_a=True), np.eye(len(gram)))
    weights = (-precision / precision.diagonal()).astype(np.float32)
    np.fill_diagonal(weights, 0.0)

    def score(users: npt.NDArray[np.int64]) -> FloatArray:
        scores = np.full((len(users), len(train.item_ids)), -1e6, np.float32)
        scores[:, chosen] = known[users][:, chosen] @ weights
        return scores

    return _with_strangers(train, score)


def item_knn(train: Train, settings: Settings, seed: int) -> Scorer:
    """Item-item neighbours of the library implicit."""
    del seed
    from implicit import nearest_neighbours

    model = getattr(nearest_neighbours, settings["kind"])(K=settings["k"], num_threads=2)
    inputs = _inputs(train, settings)
    model.fit(inputs, show_progress=False)
    return _with_strangers(train, lambda users: np.asarray((inputs[users] @ model.similarity).toarray(), np.float32))


def als(train: Train, settings: Settings, seed: int) -> Scorer:
    """Implicit ALS: Hu, Koren, Volinsky, ICDM 2008, as the library implicit has it."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=settings["factors"], regularization=settings["reg"], alpha=settings["alpha"], iterations=15,
        num_threads=2, random_state=seed,
    )  # fmt: skip
    model.fit(_inputs(train, settings), show_progress=False)
    return _with_strangers(train, lambda users: model.user_factors[users] @ model.item_factors.T)


def bpr(train: Train, settings: Settings, seed: int) -> Scorer:
    """BPR: Rendle et al., UAI 2009, as the library implicit has it."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=settings["factors"], learning_rate=settings["learning_rate"], regularization=settings["reg"],
        iterations=settings["epochs"], num_threads=2, random_state=seed,
    )  # fmt: skip
    model.fit(_inputs(train, {**settings, "half_life_days": FOR_EVER_DAYS}), show_progress=False)
    return _with_strangers(train, lambda users: model.user_factors[users] @ model.item_factors.T)


def lightfm_warp(train: Train, settings: Settings, seed: int) -> Scorer:
    """WARP as the library LightFM has it."""
    from lightfm import LightFM

    model = LightFM(
        loss="warp", no_components=settings["factors"], learning_rate=settings["learning_rate"],
        item_alpha=settings["reg"], user_alpha=settings["reg"], random_state=seed,
    )  # fmt: skip
    model.fit(_inputs(train, settings), epochs=settings["epochs"], num_threads=2)
    users_bias, users_factors = model.get_user_representations()
    items_bias, items_factors = model.get_item_representations()
    del users_bias  # the same for all items of a user
    return _with_strangers(train, lambda users: users_factors[users] @ items_factors.T + items_bias)


def two_tower(train: Train, settings: Settings, seed: int) -> Scorer:
    """A retrieval model of Keras and keras-rs: two embeddings, in-batch softmax corrected for how often items come."""
    import keras
    import keras_rs

    keras.utils.set_random_seed(seed)
    likes = train.signal == 1
    users, items = train.users[likes], train.items[likes]
    share = np.maximum(np.bincount(items, minlength=len(train.item_ids)) / max(len(items), 1), 1e-9)
    # Mean squared norms of the rows of a batch: an L2 of the whole table would pull rows that do not take part.
    penalty = settings["reg"]
    user_tower = keras.layers.Embedding(len(train.user_ids), settings["factors"])
    item_tower = keras.layers.Embedding(len(train.item_ids), settings["factors"])
    correct, mask = keras_rs.layers.SamplingProbabilityCorrection(), keras_rs.layers.RemoveAccidentalHits()

    class TwoTower(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.towers = [user_tower, item_tower]

        def call(self, inputs: dict[str, Any]) -> Any:
            user, item = user_tower(inputs["user"]), item_tower(inputs["item"])  # (batch_size, factors)
            self.add_loss(penalty * keras.ops.mean(keras.ops.sum(user**2 + item**2, axis=-1)))
            logits = keras.ops.matmul(user, keras.ops.transpose(item))  # (batch_size, batch_size)
            labels = keras.ops.eye(keras.ops.shape(logits)[0])
            logits = correct(logits, inputs["share"])
            return mask(logits, labels, inputs["item"])

    model = TwoTower()
    model.compile(
        optimizer=keras.optimizers.Adam(settings["learning_rate"]),
        loss=lambda own, logits: keras.losses.categorical_crossentropy(
            keras.ops.eye(keras.ops.shape(logits)[0]), logits, from_logits=True
        ),
    )
    inputs = {"user": users.astype(np.int32), "item": items.astype(np.int32), "share": share[items].astype(np.float32)}
    model.fit(inputs, np.zeros(len(users)), batch_size=1024, epochs=settings["epochs"], verbose=0)
    of_users, of_items = (keras.ops.convert_to_numpy(tower.embeddings) for tower in model.towers)
    return _with_strangers(train, lambda chosen: of_users[chosen] @ of_items.T)


NEUTRAL = (0.0, 0.5)
DECAY = (FOR_EVER_DAYS, 180.0, 30.0)
PEERS: dict[str, tuple[Fit, dict[str, tuple[Any, ...]]]] = {
    "popularity": (popularity, {"half_life_days": (FOR_EVER_DAYS,)}),
    "decayed popularity": (
        popularity,
        {"half_life_days": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 180.0, 730.0, FOR_EVER_DAYS)},
    ),
    "item-kNN": (
        item_knn,
        {
            "kind": ("CosineRecommender", "BM25Recommender", "TFIDFRecommender"),
            "k": (20, 50, 100, 200, 500),
            "neutral": NEUTRAL,
            "half_life_days": DECAY,
        },
    ),
    "ALS": (
        als,
        {
            "factors": (16, 32, 64, 128),
            "reg": (0.01, 0.1, 1.0, 10.0),
            "alpha": (1.0, 5.0, 20.0, 40.0),
            "neutral": NEUTRAL,
            "half_life_days": DECAY,
        },
    ),
    "BPR": (
        bpr,
        {
            "factors": (16, 32, 64, 128),
            "learning_rate": (0.01, 0.03, 0.1),
            "reg": (0.001, 0.01, 0.05),
            "epochs": (50, 100, 200),
            "neutral": NEUTRAL,
        },
    ),
    "LightFM WARP": (
        lightfm_warp,
        {
            "factors": (16, 32, 64),
            "learning_rate": (0.02, 0.05),
            "reg": (0.0, 1e-5, 1e-4),
            "epochs": (10, 20, 40),
            "neutral": NEUTRAL,
        },
    ),
    "EASE": (ease, {"reg": (1.0, 3.0, 8.0, 15.0, 30.0, 60.0), "neutral": NEUTRAL, "half_life_days": DECAY}),
    "two-tower": (
        two_tower,
        {
            "factors": (16, 32, 64),
            "learning_rate": (0.003, 0.01),
            "reg": (1e-3, 1e-2, 1e-1),
            "epochs": (10, 20, 40),
        },
    ),
}
NEEDS = {
    "item-kNN": "implicit",
    "ALS": "implicit",
    "BPR": "implicit",
    "LightFM WARP": "lightfm",
    "two-tower": "keras_rs",
}


def is_installed(peer: str) -> bool:
    """Whether the library that a peer needs can be imported."""
    return peer not in NEEDS or importlib.util.find_spec(NEEDS[peer]) is not None


def draws(space: Mapping[str, tuple[Any, ...]], trials: int, seed: int) -> list[dict[str, Any]]:
    """At most `trials` different settings, drawn evenly; all of them where there are no more."""
    sizes = [len(values) for values in space.values()]
    number = int(np.prod(sizes))
    chosen = np.random.default_rng(seed).choice(number, size=min(trials, number), replace=False)
    places = np.stack(np.unravel_index(chosen, sizes), axis=1)
    return [{name: values[j] for (name, values), j in zip(space.items(), row, strict=True)} for row in places]
