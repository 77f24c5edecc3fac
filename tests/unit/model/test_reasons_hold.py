"""2,000 recommendations of a fitted model: what their sentences say agrees with the counterfactuals and the contributions."""

import json
from datetime import timedelta
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest

from recsys.model.counterfactual import counterfactuals
from recsys.model.recommender import Recommender
from recsys.simulation.generator import GeneratorConfig, generate
from recsys.training.families.additive.fit import fit
from recsys.training.recipe.recipe import CLOSED_FORM, FitConfig
from tests.unit.claims import claims_of
from tests.unit.recommenders import REASONS

HALF_LIFE_DAYS = 30.0
LIST_LENGTH = 20
OTHERS = ("other film", "its other genres", "towards it")


class Reasons(NamedTuple):
    """Recommendations with their claims, and the ranks without what a claim names."""

    recommender: Recommender
    histories: pd.DataFrame
    lists: pd.DataFrame
    ranks_without: dict[tuple[str, str, str], int]  # user, recommended item, title that is removed


@pytest.fixture(scope="module")
def reasons() -> Reasons:
    stream = generate(GeneratorConfig(300, 120, 7_000, 60, taste_strength=2.0, like_share=0.45, dislike_share=0.3), 3)
    rng = np.random.default_rng(3)
    events = stream.interactions.assign(
        user_id=[f"u{n}" for n in stream.interactions["user_id"]],
        item_id=[f"i{n}" for n in stream.interactions["item_id"]],
    )
    events["reason"] = np.where(events["signal"] == "dislike", rng.choice(REASONS, len(events)), "")
    cut_off = events["occurred_at"].max()
    opinions = events[events["signal"] != "neutral"]
    opinions = opinions.assign(
        label=(opinions["signal"] == "like").astype(int), base_weight=np.where(opinions["signal"] == "like", 1.0, 0.8)
    )
    items = stream.items.assign(item_id=[f"i{n}" for n in stream.items["item_id"]], cast=[()] * 120, franchise=None)
    found = fit(
        opinions, items, cut_off, HALF_LIFE_DAYS, FitConfig(families=(CLOSED_FORM,)),
        neutral=events[events["signal"] == "neutral"],
    ).recommender  # fmt: skip
    head = found.model.head.numpy().copy()
    names = list(found.model.head_names)
    head[names.index("genres")] = max(head[names.index("genres")], 0.3)  # so that genres have a part
    found.model.head.assign(head)
    age_days = (cut_off - events["occurred_at"]) / timedelta(days=1)
    weight = np.where(events["signal"] == "dislike", 0.8, 1.0) * 0.5 ** (age_days / HALF_LIFE_DAYS)
    histories = events[["user_id", "item_id", "signal", "reason"]].assign(weight=weight, age_days=age_days)
    users = list(rng.choice(sorted(histories["user_id"].unique()), 2_100 // LIST_LENGTH, replace=False))
    lists = found.recommend(histories, LIST_LENGTH, users)
    lists["contributions"] = lists["contributions"].map(json.loads)
    ranks: dict[tuple[str, str, str], int] = {}
    for user, own in lists.groupby("user_id"):
        without = counterfactuals(found, histories, str(user), list(own["item_id"]), limit=10)
        columns = zip(without["item_id"], without["title"], without["rank"], strict=True)
        ranks |= {(str(user), item, title): int(rank) for item, title, rank in columns}
    return Reasons(found, histories, lists, ranks)


def test_no_sentence_contradicts_its_counterfactual(reasons: Reasons) -> None:
    wrong, asked = [], {"like": 0, "recent": 0, "dislike": 0, "adjustment": 0}
    for row in reasons.lists.itertuples():
        for claim in claims_of(row.reason):
            if claim.kind not in asked:
                continue
            asked[claim.kind] += 1
            without = rank_without(reasons, row.user_id, row.item_id, claim.about)
            holds = without < row.rank if claim.kind in ("dislike", "adjustment") else without >= row.rank
            if not holds:
                wrong.append(f"{row.user_id}, rank {row.rank}: {row.reason!r}, without {claim.about} rank {without}")
    assert len(reasons.lists) >= 2_000
    assert min(asked.values()) >= 20, asked
    assert not wrong, f"{len(wrong)} of {sum(asked.values())}, such as {wrong[:3]}"


def rank_without(reasons: Reasons, user: str, item: str, title: str) -> int:
    """The rank without a film, from the counterfactuals; where its share is 0, from its history without it."""
    if (user, item, title) in reasons.ranks_without:
        return reasons.ranks_without[user, item, title]
    found, own = reasons.recommender, reasons.histories[reasons.histories["user_id"] == user]
    removed = next(number for number, own_title in found.titles.items() if own_title == title)
    block = found.matrices(own, [user])
    without = block.without(np.zeros(1, np.int64), [[found.positions[removed]]])
    scores = keras.ops.convert_to_numpy(found.model(without.inputs(found.features)))[0].copy()
    scores[without.seen.toarray()[0] > 0] = -np.inf
    return 1 + int((scores > scores[found.positions[item]]).sum())


def seen_by(reasons: Reasons, user: str) -> list[str]:
    seen = reasons.histories.loc[reasons.histories["user_id"] == user, "item_id"]
    return [item for item in seen if item in reasons.recommender.positions]


def test_a_genre_that_is_named_keeps_the_film_where_it_is(reasons: Reasons) -> None:
    """Without the user's taste for it the film stands no higher; the model itself is asked."""
    found, wrong, asked = reasons.recommender, [], 0
    named = reasons.lists.assign(
        genre=[[about for kind, about in claims_of(reason) if kind == "genre"] for reason in reasons.lists["reason"]]
    ).explode("genre")
    for user, own in named.dropna(subset="genre").groupby("user_id"):
        genres = sorted(own["genre"].unique())
        inputs = found.matrices(reasons.histories[reasons.histories["user_id"] == user], [user]).inputs(found.features)
        tastes = np.repeat(keras.ops.convert_to_numpy(found.model.taste(inputs["likes"])), len(genres), axis=0)
        tastes[np.arange(len(genres)), [found.genre_names.index(genre) for genre in genres]] = 0.0
        repeated = {name: np.repeat(values, len(genres), axis=0) for name, values in inputs.items()}
        scores = keras.ops.convert_to_numpy(found.model({**repeated, "taste": tastes})).copy()
        scores[:, [found.positions[item] for item in seen_by(reasons, str(user))]] = -np.inf
        for row in own.itertuples():
            asked += 1
            without = scores[genres.index(row.genre)]
            rank = 1 + int((without > without[found.positions[row.item_id]]).sum())
            if rank < row.rank:
                wrong.append(f"{user}, rank {row.rank}: {row.reason!r}, without {row.genre} rank {rank}")
    assert asked >= 100
    assert not wrong, f"{len(wrong)} of {asked}, such as {wrong[:3]}"


def test_what_is_named_covers_the_score_or_the_sentence_says_what_else_counts(reasons: Reasons) -> None:
    ids = {title: item for item, title in reasons.recommender.titles.items()}
    uncovered, too_small, with_others = [], [], 0
    for row in reasons.lists.itertuples():
        positive = sum(value for value in row.contributions.values() if value > 0)
        named = 0.0
        for kind, about in claims_of(row.reason):
            if kind in ("trend", "like", "recent", "genre"):
                name = {"trend": "trend", "genre": f"genre:{about}"}.get(kind, f"{kind}:{ids.get(about)}")
                value = row.contributions[name]
                named += value
                if kind != "trend" and value < 0.05 * positive:
                    too_small.append(f"{name} {value:.4f} of {positive:.4f}: {row.reason!r}")
        others = any(words in row.reason for words in OTHERS)
        with_others += others
        if named < 0.6 * positive and not others:
            uncovered.append(f"{named:.4f} of {positive:.4f}: {row.reason!r}")
    assert not uncovered, f"{len(uncovered)}, such as {uncovered[:3]}"
    assert not too_small, f"{len(too_small)}, such as {too_small[:3]}"
    assert with_others >= 100


def test_no_contribution_is_shown_as_zero_and_remainders_are_small(reasons: Reasons) -> None:
    zeros, remainders = 0, []
    for terms in reasons.lists["contributions"]:
        zeros += sum(f"{abs(value):.6f}" == "0.000000" for value in terms.values())
        size = sum(map(abs, terms.values()))
        remainders.append(max((abs(value) / size for name, value in terms.items() if name.endswith("*")), default=0.0))
    assert zeros == 0
    assert np.mean(np.array(remainders) < 0.1) > 0.95
    sums = [sum(terms.values()) for terms in reasons.lists["contributions"]]
    np.testing.assert_allclose(sums, reasons.lists["score"], rtol=0, atol=1e-6)
