"""A two-tower model (keras-rs) that explains itself by the liked items that are nearest to what it recommends.

A tower of users and one of items learn unit vectors on the likes, with the other items of a batch as negatives. A score is

    1 + cosine(sum of the vectors of what the user liked, vector of the item) + weight * how popular the item is just now
      - what is like a disliked item

and then what the user's dislikes with a reason leave of the item's features. It is no sum of the contributions that are shown:
these are the cosines of the nearest liked items. So the model does not claim exact contributions, and says so.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import keras_rs
import numpy as np
import pandas as pd
from keras import ops

from recsys.model.eligible_items import eligible_mask
from recsys.model.feature_adjustment import FeatureVocabulary, catalog_features
from recsys.model.histories import HistoryMatrices
from recsys.model.lists import as_table, load_catalog, open_items, save_catalog, top_positions
from recsys.training.families.base import FitResult, TrainingData
from recsys.training.families.validation import validation_ndcg
from recsys.training.recipe.recipe import Candidate, FitConfig, Trial

POWER = 16.0  # of what dislikes leave of features: enough for the next list to answer


@dataclass
class NearestLiked:
    """What the loop asks of a recommender: `recsys.model.protocol.RecommenderProtocol`."""

    vectors: np.ndarray  # float32 (num_items, dim), of length 1
    popularity: np.ndarray  # float32 (num_items,), already weighed
    catalog: pd.DataFrame
    recipe: dict
    eligible: np.ndarray  # bool (num_items,)
    claims_exact_contributions = False

    def __post_init__(self):
        self.item_ids = self.catalog["item_id"].to_numpy(dtype=object)
        self.features = FeatureVocabulary.build(catalog_features(self.catalog), POWER)

    def score(self, histories, user_ids):
        known = HistoryMatrices.build(histories, list(self.item_ids), self.features, user_ids)
        users = known.likes @ self.vectors  # (num_users, dim)
        users = users / np.maximum(np.linalg.norm(users, axis=1, keepdims=True), 1e-9)
        disliked = known.dislikes @ np.maximum(self.vectors @ self.vectors.T, 0.0)
        scores = 1.0 + users @ self.vectors.T + self.popularity - 0.5 * disliked
        left = known.multipliers(self.features)
        adjusted = scores if left is None else scores - (1.0 - left) * np.maximum(scores, 0.0)
        return np.asarray(adjusted, np.float32)

    def top_items(self, histories, user_ids, k):
        is_open = open_items(histories, user_ids, self.item_ids, self.eligible)
        return as_table(user_ids, self.item_ids, *top_positions(self.score(histories, user_ids), is_open, k))

    def recommend(self, histories, k=10, user_ids=None):
        users = sorted(histories["user_id"].unique()) if user_ids is None else list(user_ids)
        lists, place = self.top_items(histories, users, k), {item: n for n, item in enumerate(self.item_ids)}
        likes = histories[(histories["signal"] == "like") & histories["item_id"].isin(self.item_ids)]
        liked = likes.groupby("user_id")["item_id"].agg(list).to_dict()
        titles = dict(zip(self.catalog["item_id"], self.catalog["title"], strict=True))
        reasons, contributions = [], []
        for user, item in zip(lists["user_id"], lists["item_id"], strict=True):
            own = liked.get(user, [])
            near = self.vectors[[place[other] for other in own]] @ self.vectors[place[item]]
            nearest = {own[n]: float(near[n]) for n in np.argsort(-near)[:2]}
            names = " and ".join(titles[other] for other in nearest)
            reasons.append(f"Of what you liked, {names} is nearest." if names else "Popular just now.")
            contributions.append(json.dumps({f"like:{other}": cosine for other, cosine in nearest.items()}))
        return lists.assign(reason=reasons, contributions=contributions)

    def without_items(self, barred):
        return replace(self, eligible=~np.isin(self.item_ids, list(barred)))

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_catalog(self.catalog, folder)
        np.savez(folder / "arrays.npz", vectors=self.vectors, popularity=self.popularity, eligible=self.eligible)
        (folder / "recipe.json").write_text(json.dumps(self.recipe), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder):
        with np.load(Path(folder) / "arrays.npz") as arrays:
            own = {name: arrays[name] for name in arrays.files}
        recipe = json.loads((Path(folder) / "recipe.json").read_text(encoding="utf-8"))
        return cls(catalog=load_catalog(Path(folder)), recipe=recipe, **own)


class Towers(keras.Model):
    """Vectors of users and items; the loss is that of finding each like among the other items of its batch."""

    def __init__(self, num_users, num_items, dim):
        super().__init__()
        self.users, self.items = keras.layers.Embedding(num_users, dim), keras.layers.Embedding(num_items, dim)
        self.without_hits = keras_rs.layers.RemoveAccidentalHits()

    def call(self, pairs):
        users, items = ops.normalize(self.users(pairs[:, 0])), ops.normalize(self.items(pairs[:, 1]))
        logits, labels = 10.0 * ops.matmul(users, ops.transpose(items)), ops.eye(ops.shape(pairs)[0])
        logits = self.without_hits(logits, labels, pairs[:, 1])
        self.add_loss(ops.mean(ops.categorical_crossentropy(labels, logits, from_logits=True)))
        return logits


class TwoTower:
    """The family: `recsys.training.families.base.Family`."""

    name, version = "two_tower", f"keras-rs {keras_rs.__version__}"

    def candidates(self, config: FitConfig):
        return [Candidate(self.name, f"two_tower-{weight:g}", {"weight": weight, "dim": 16}) for weight in (1.0, 4.0)]

    def try_candidate(self, candidate, data: TrainingData, config):
        return Trial(candidate, *validation_ndcg(lambda past: self._fitted(candidate, past, config), data, config))

    def fit(self, trial, data, config, judged=None):
        recommender = self._fitted(trial.candidate, data, config)
        return FitResult(
            recommender=recommender, params={**trial.candidate.settings, "num_items": len(recommender.item_ids)}
        )

    def keep(self, trial, params):
        return trial

    def _fitted(self, candidate, data, config):
        catalog, likes = data.catalog(config), data.examples[data.examples["label"] == 1]
        items = pd.Index(catalog["item_id"]).get_indexer(likes["item_id"])
        pairs = np.stack([pd.factorize(likes["user_id"], sort=True)[0], items], axis=1).astype(np.int32)
        keras.utils.set_random_seed(config.seed)
        model = Towers(int(pairs[:, 0].max()) + 1, len(catalog), candidate.settings["dim"])
        model.compile(optimizer=keras.optimizers.Adam(0.02))
        model.fit(pairs, batch_size=256, epochs=10, verbose=0)
        vectors = np.asarray(ops.normalize(model.items.embeddings.numpy()), np.float32)
        age_days = (pd.Timestamp(data.cut_off) - likes["occurred_at"]).dt.total_seconds() / 86_400
        popularity = np.bincount(items, 0.5 ** (age_days / 4.0), minlength=len(catalog))
        popularity = (candidate.settings["weight"] * popularity / popularity.max()).astype(np.float32)
        eligible = eligible_mask(catalog, config.eligible, data.cut_off)
        return NearestLiked(vectors, popularity, catalog, data.recipe(config), eligible)
