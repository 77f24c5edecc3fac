"""Fits the additive model on the events up to a cut-off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys import __version__
from recsys.errors import InputError
from recsys.model.additive import AdditiveModel, Parts
from recsys.model.calibration import Calibration, calibrate
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.item_item import gram_matrix, item_item_weights
from recsys.model.recommender import Recommender
from recsys.model.transitions import transition_weights
from recsys.training.events import Events, NeutralEvents
from recsys.training.head import Head, fit_head, opinions_of, search_setting
from recsys.training.head_examples import HeadConfig, HeadExamples, Split, collect_examples, validation_splits
from recsys.training.weights import MAX_USER_SHARE

Progress = Callable[[str], None]
DAY_S = 86_400.0


@dataclass(frozen=True)
class FitConfig:
    """How a model is fitted. One procedure for every data set: what depends on the data is chosen on validation.

    Attributes:
        trend_half_lives_days: half-lives of the trend terms; the longest is plain popularity.
        reg_grid: relative ridge values of the item-item weights to choose from.
        decay_powers: of the time decay in the item-item weights, to choose from: 1 is the half-life as it is, 0 none. Taste
            in films fades more slowly than what is talked about.
        transition_reg_grid: the same of the transition weights.
        dislike_reg: relative ridge of the item-item weights of dislikes.
        min_support: likes that an item needs to have item-item weights.
        max_linked: at most this many items have item-item weights (memory and time grow with its square and cube).
        dislike_signal: a dislike enters the item-item fit as minus this; -0.3 to -0.6 separates likes from dislikes at
            no cost in accuracy, -1 costs accuracy.
        max_user_share: no user holds more than this share of the training set's weight (see `user_share_factors`).
        head: how the terms are weighed.
        seed: of everything random.
    """

    trend_half_lives_days: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 36_500.0)
    reg_grid: tuple[float, ...] = (8.0, 24.0)
    decay_powers: tuple[float, ...] = (1.0, 0.0)
    transition_reg_grid: tuple[float, ...] = (4.0, 16.0)
    dislike_reg: float = 15.0
    min_support: int = 3
    max_linked: int = 4_000
    dislike_signal: float = 0.5
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
    examples: pd.DataFrame,
    neutral: pd.DataFrame | None,
    catalog: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    max_user_share: float,
) -> Events:
    """Positions and ages of training examples and neutral signals as of `cut_off`."""
    neutral = examples.iloc[:0] if neutral is None else neutral[neutral["user_id"].isin(set(examples["user_id"]))]
    users, user_ids = pd.factorize(examples["user_id"], sort=True)
    index = pd.Index(catalog["item_id"])
    return Events(
        users=users.astype(np.int64),
        items=index.get_indexer(examples["item_id"]).astype(np.int64),
        is_like=examples["label"].to_numpy() == 1,
        age_days=_age_days(examples, cut_off),
        base_weight=examples["base_weight"].to_numpy(np.float64),
        reasons=examples["reason"].to_numpy(dtype=object),
        half_life_days=half_life_days,
        num_users=len(user_ids),
        num_items=len(catalog),
        max_user_share=max_user_share,
        neutral=NeutralEvents(
            pd.Index(user_ids).get_indexer(neutral["user_id"]).astype(np.int64),
            index.get_indexer(neutral["item_id"]).astype(np.int64),
            _age_days(neutral, cut_off),
        ),
    )


def _age_days(events: pd.DataFrame, cut_off: datetime) -> npt.NDArray[np.float64]:
    age_s = (pd.Timestamp(cut_off) - events["occurred_at"]).dt.total_seconds().to_numpy(np.float64)
    return np.asarray(age_s / DAY_S)


@dataclass(frozen=True)
class LinkedItems:
    """The closed-form matrices over the linked items before their ridge: sums over users, of what was known by a cut-off."""

    gram: npt.NDArray[np.float32]
    dislike_gram: npt.NDArray[np.float32]
    past_past: npt.NDArray[np.float64]
    past_future: npt.NDArray[np.float64]

    @classmethod
    def count(cls, events: Events, num_linked: int, decay_power: float, config: FitConfig) -> LinkedItems:
        """From all events."""
        disliked = np.where(events.is_like, 0.0, events.weights())
        return cls(
            signed_gram(events, num_linked, decay_power, config),
            gram_matrix(events.matrix(disliked)[:, :num_linked]),
            *events.sequences(num_linked, config.seed).moments(num_linked),
        )


def signed_gram(events: Events, num_linked: int, decay_power: float, config: FitConfig) -> npt.NDArray[np.float32]:
    """Gram matrix of likes, and dislikes as smaller negative entries; `(num_linked, num_linked)`."""
    signed = events.weights(decay_power) * np.where(events.is_like, 1.0, -config.dislike_signal)
    return gram_matrix(events.matrix(signed)[:, :num_linked])


def _parts(
    events: Events,
    genres: npt.NDArray[np.float32],
    solved: Mapping[str, npt.NDArray[np.float32]],
    config: FitConfig,
) -> Parts:
    likes = events.is_like
    liked_weight = np.bincount(events.items[likes], weights=events.weights()[likes], minlength=events.num_items)
    base = liked_weight @ genres / max(liked_weight.sum(), 1e-12)
    return Parts(
        trends=events.trends(config.trend_half_lives_days),
        genres=genres,
        genre_base=base.astype(np.float32),
        regard=events.regard(),
        **solved,
    )


def _model(parts: Parts, config: FitConfig) -> AdditiveModel:
    num_items, num_genres = parts.genres.shape
    model = AdditiveModel(num_items, len(parts.item_item), num_genres, config.trend_half_lives_days)
    model.set_parts(parts, np.zeros(len(model.head_names), np.float32))
    return model


@dataclass(frozen=True)
class Settings:
    """What validation chose."""

    decay_power: float
    reg: float
    transition_reg: float
    head: Head
    calibration: Calibration


def choose_settings(
    events: Events, genres: npt.NDArray[np.float32], features: FeatureVocabulary, num_linked: int, config: FitConfig
) -> Settings:
    """Foretells what is newest from what was before, and keeps the ridges and the head that do it best."""
    splits = validation_splits(events, config.head, config.seed)
    earliest = min((split.past for split in splits), key=lambda past: len(past.users), default=events)
    grams = {power: signed_gram(earliest, num_linked, power, config) for power in config.decay_powers}
    linked = LinkedItems.count(earliest, num_linked, config.decay_powers[0], config)
    none = np.zeros((num_linked, num_linked), np.float32)
    solved = {"item_item": none, "transitions": none}
    solved["disliked_together"] = item_item_weights(linked.dislike_gram, config.dislike_reg)

    def examples_for(name: str, weights: npt.NDArray[np.float32]) -> HeadExamples:
        solved[name] = weights
        return collect(splits[: config.head.num_setting_windows])

    def collect(chosen: list[Split]) -> HeadExamples:
        return collect_examples(
            events, chosen, lambda past: _model(_parts(past, genres, solved, config), config), features, config.head
        )

    def transitions_of(reg: float) -> npt.NDArray[np.float32]:
        return transition_weights(linked.past_past, linked.past_future, reg)

    def item_item_of(power: float, reg: float) -> npt.NDArray[np.float32]:
        return item_item_weights(grams[power], reg)

    middle = config.reg_grid[len(config.reg_grid) // 2]
    power = search_setting(
        config.decay_powers, lambda p: examples_for("item_item", item_item_of(p, middle)), "likes", config.head
    )
    reg = search_setting(
        config.reg_grid, lambda r: examples_for("item_item", item_item_of(power, r)), "likes", config.head
    )
    solved["item_item"] = item_item_of(power, reg)
    transition_reg = search_setting(
        config.transition_reg_grid, lambda r: examples_for("transitions", transitions_of(r)), "recent", config.head
    )
    solved["transitions"] = transitions_of(transition_reg)
    examples = collect(splits)
    head = fit_head(examples, config.head, config.seed)
    return Settings(power, reg, transition_reg, head, calibrate(*opinions_of(examples, head.weights)))


def fit(
    examples: pd.DataFrame,
    items: pd.DataFrame,
    cut_off: datetime,
    half_life_days: float,
    config: FitConfig,
    progress: Progress = lambda message: None,
    neutral: pd.DataFrame | None = None,
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
        neutral: ratings without an opinion, and clicks (`user_id`, `item_id`, `occurred_at`), none after `cut_off`.

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
    events = to_events(examples, neutral, catalog, cut_off, half_life_days, config.max_user_share)
    features = FeatureVocabulary.build(catalog_features(catalog))
    progress("choosing settings on what is newest")
    settings = choose_settings(events, genres, features, num_linked, config)
    progress("solving for the item-item weights")
    model = _model(_parts(events, genres, _solve(events, num_linked, settings, config), config), config)
    model.head.assign(settings.head.weights)
    head, calibration = settings.head, settings.calibration
    chosen = {
        "decay_power": settings.decay_power,
        "reg": settings.reg,
        "transition_reg": settings.transition_reg,
        "head_source": head.source,
        "best_trend_half_life_days": head.best_trend_half_life_days,
    }
    weights = {f"head_{name}": float(w) for name, w in zip(model.head_names, head.weights, strict=True)}
    recipe = {"cut_off": cut_off.isoformat(), "half_life_days": half_life_days, "config": asdict(config), **chosen}
    recipe["calibration"] = calibration.as_dict()
    return FitResult(
        recommender=Recommender(model, catalog, genre_names, recipe),
        params={**chosen, "half_life_days": half_life_days, "num_linked": num_linked, "num_items": len(catalog),
                "seed": config.seed, "calibration_slope": calibration.slope,
                "calibration_intercept": calibration.intercept, "calibration_source": calibration.source, **weights},
        metrics=head.metrics,
    )  # fmt: skip


def _solve(
    events: Events, num_linked: int, settings: Settings, config: FitConfig
) -> dict[str, npt.NDArray[np.float32]]:
    linked = LinkedItems.count(events, num_linked, settings.decay_power, config)
    return {
        "item_item": item_item_weights(linked.gram, settings.reg),
        "transitions": transition_weights(linked.past_past, linked.past_future, settings.transition_reg),
        "disliked_together": item_item_weights(linked.dislike_gram, config.dislike_reg),
    }
