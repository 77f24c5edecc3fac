"""Fits the additive model on the events up to a cut-off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys import __version__
from recsys.errors import InputError
from recsys.model.additive import AdditiveModel
from recsys.model.calibration import calibrate
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.recommender import Recommender
from recsys.training.events import Events
from recsys.training.head import fit_head, opinions_of, search_reg
from recsys.training.head_examples import HeadConfig, HeadExamples, collect_examples, validation_windows
from recsys.training.weights import MAX_USER_SHARE

Progress = Callable[[str], None]
DAY_S = 86_400.0


@dataclass(frozen=True)
class FitConfig:
    """How a model is fitted. One procedure for every data set: what depends on the data is chosen on validation.

    Attributes:
        trend_half_lives_days: half-lives of the trend terms; the longest is plain popularity.
        reg_grid: relative ridge values of the item-item weights to choose from.
        min_support: likes that an item needs to have item-item weights.
        max_linked: at most this many items have item-item weights (memory and time grow with its square and cube).
        dislike_signal: a dislike enters the item-item fit as minus this; between -0.25 and -0.3 separates likes from
            dislikes at no cost in accuracy, -1 costs accuracy.
        max_user_share: no user holds more than this share of the training set's weight (see `user_share_factors`).
        head: how the terms are weighed.
        seed: of everything random.
    """

    trend_half_lives_days: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 36_500.0)
    reg_grid: tuple[float, ...] = (1.0, 4.0, 16.0)
    min_support: int = 5
    max_linked: int = 4_000
    dislike_signal: float = 0.3
    max_user_share: float = MAX_USER_SHARE
    head: HeadConfig = field(default_factory=HeadConfig)
    seed: int = 0


@dataclass
class FitResult:
    """A fitted recommender, what validation chose, and the numbers behind it (all JSON-able)."""

    recommender: Recommender
    params: dict[str, Any]
    metrics: dict[str, float]


def recipe_id(config: FitConfig, half_life_days: float | None) -> str:
    """Names a recipe: code version and configuration, without the seed or what validation chooses.

    Two fits with one recipe differ in their data only; the gate calls the second a refresh of the first.
    `half_life_days` None: the rule "a quarter of the stream", whatever it resolves to.
    """
    sources = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for path in sorted([*package.glob("model/*.py"), *package.glob("training/*.py")]):
        sources.update(path.read_bytes())
    settings = {**asdict(config), "half_life_days": half_life_days}
    settings.pop("seed")
    text = json.dumps(settings, sort_keys=True) + sources.hexdigest()
    return f"{__version__}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def vocabulary(examples: pd.DataFrame, items: pd.DataFrame, config: FitConfig) -> tuple[pd.DataFrame, int]:
    """The catalog of a model, linked items first.

    Args:
        examples: training examples; `item_id`, `label`.
        items: `item_id`, `title`, `genres`, `cast`, `franchise` of at least the items in `examples`.
        config: says how much support links an item, and how many may be linked.

    Returns:
        The same columns for every item in `examples`, and how many of the first are linked.
    """
    counts = examples.groupby("item_id")["label"].sum().astype(int)
    support = pd.DataFrame({"item_id": counts.index, "support": counts.to_numpy()})
    support = support.sort_values(["support", "item_id"], ascending=[False, True], ignore_index=True)
    num_linked = min(int((support["support"] >= config.min_support).sum()), config.max_linked)
    known = items.set_index("item_id")
    catalog = support[["item_id"]].copy()
    catalog["title"] = known["title"].reindex(catalog["item_id"]).to_numpy()
    catalog["title"] = catalog["title"].fillna(catalog["item_id"])  # an item without metadata goes by its id
    genres = dict(zip(items["item_id"], items["genres"], strict=True))
    catalog["genres"] = [tuple(genres.get(item_id, ())) for item_id in catalog["item_id"]]
    cast = dict(zip(items["item_id"], items["cast"], strict=True))
    catalog["cast"] = [tuple(cast.get(item_id, ())) for item_id in catalog["item_id"]]
    catalog["franchise"] = known["franchise"].reindex(catalog["item_id"]).to_numpy()
    return catalog, num_linked


def genre_matrix(catalog: pd.DataFrame) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Genre names, and each item's even share of its genres; float32 `(num_items, num_genres)`."""
    names = tuple(sorted({genre for genres in catalog["genres"] for genre in genres}))
    column = {name: j for j, name in enumerate(names)}
    shares = np.zeros((len(catalog), len(names)), np.float32)
    for row, genres in enumerate(catalog["genres"]):
        for genre in genres:
            shares[row, column[genre]] = 1.0 / len(genres)
    return names, shares


def to_events(
    examples: pd.DataFrame, catalog: pd.DataFrame, cut_off: datetime, half_life_days: float, max_user_share: float
) -> Events:
    """Positions and ages of training examples as of `cut_off`."""
    users, user_ids = pd.factorize(examples["user_id"], sort=True)
    age_s = (pd.Timestamp(cut_off) - examples["occurred_at"]).dt.total_seconds().to_numpy(np.float64)
    return Events(
        users=users.astype(np.int64),
        items=pd.Index(catalog["item_id"]).get_indexer(examples["item_id"]).astype(np.int64),
        is_like=examples["label"].to_numpy() == 1,
        age_days=age_s / DAY_S,
        base_weight=examples["base_weight"].to_numpy(np.float64),
        reasons=examples["reason"].to_numpy(dtype=object),
        half_life_days=half_life_days,
        num_users=len(user_ids),
        num_items=len(catalog),
        max_user_share=max_user_share,
    )


def _gram(events: Events, num_linked: int, config: FitConfig) -> npt.NDArray[np.float32]:
    signed = events.weights() * np.where(events.is_like, 1.0, -config.dislike_signal)
    return gram_matrix(events.matrix(signed)[:, :num_linked])


def _model(
    events: Events, genres: npt.NDArray[np.float32], item_item: npt.NDArray[np.float32], config: FitConfig
) -> AdditiveModel:
    likes = events.is_like
    liked_weight = np.bincount(events.items[likes], weights=events.weights()[likes], minlength=events.num_items)
    base = liked_weight @ genres / max(liked_weight.sum(), 1e-12)
    model = AdditiveModel(events.num_items, len(item_item), genres.shape[1], config.trend_half_lives_days)
    head = np.zeros(len(model.term_names), np.float32)
    model.set_parts(events.trends(config.trend_half_lives_days), item_item, genres, base.astype(np.float32), head)
    return model


def fit(
    examples: pd.DataFrame,
    items: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    config: FitConfig,
    progress: Progress = lambda message: None,
) -> FitResult:
    """Fits on every example up to `cut_off`; the last days before it choose the settings, then all of it is used.

    Args:
        examples: training examples (`user_id`, `item_id`, `label`, `base_weight`, `reason`, `occurred_at`), none after
            `cut_off`.
        items: catalog: `item_id`, `title`, `genres`, `cast`, `franchise`.
        cut_off: aware datetime that ages are counted from.
        half_life_days: of the sample weights, > 0.
        config: see `FitConfig`.
        progress: called with a few words before each part.

    Raises:
        InputError: if there is no liked example to learn from.
        ValueError: if an example is newer than `cut_off`.
    """
    import keras

    keras.utils.set_random_seed(config.seed)
    if not (examples["label"] == 1).any():
        raise InputError(f"Expected liked examples up to {cut_off.isoformat()}, got none: import interactions first.")
    catalog, num_linked = vocabulary(examples, items, config)
    genre_names, genres = genre_matrix(catalog)
    events = to_events(examples, catalog, cut_off, half_life_days, config.max_user_share)
    features = FeatureVocabulary.build(catalog_features(catalog))

    progress("choosing settings on the last days")
    windows = validation_windows(events, config.head)
    earliest = events.before(max((w.start_days for w in windows), default=0.0))
    gram = _gram(earliest, num_linked, config)

    def examples_for(reg: float) -> HeadExamples:
        item_item = item_item_weights(gram, reg)
        return collect_examples(
            events, windows, lambda past: _model(past, genres, item_item, config), features, config.head
        )

    reg, head_examples = search_reg(config.reg_grid, examples_for, config.head)
    progress("weighing the terms")
    head = fit_head(head_examples, config.head, config.seed)

    progress("solving for the item-item weights")
    model = _model(events, genres, item_item_weights(_gram(events, num_linked, config), reg), config)
    model.head.assign(head.weights)
    calibration = calibrate(*opinions_of(head_examples, head.weights))
    chosen = {"reg": reg, "head_source": head.source, "best_trend_half_life_days": head.best_trend_half_life_days}
    weights = {f"head_{name}": float(w) for name, w in zip(model.term_names, head.weights, strict=True)}
    recipe = {"cut_off": cut_off.isoformat(), "half_life_days": half_life_days, "config": asdict(config), **chosen}
    recipe["calibration"] = calibration.as_dict()
    return FitResult(
        recommender=Recommender(model, catalog, genre_names, recipe),
        params={**chosen, "half_life_days": half_life_days, "num_linked": num_linked, "num_items": len(catalog),
                "seed": config.seed, "calibration_slope": calibration.slope,
                "calibration_intercept": calibration.intercept, "calibration_source": calibration.source, **weights},
        metrics=head.metrics,
    )  # fmt: skip
