"""Adjusted scores of the model: the same rules as one by one, exact explanations, never higher."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.feedback.adjustments import (
    ItemFeatures,
    apply_feature_adjustments,
    calculate_feature_adjustment_from_dislike,
)
from recsys.model.calibration import Calibration, calibrate
from recsys.model.feature_adjustment import FeatureVocabulary
from recsys.model.recommender import Recommender
from recsys.records import DislikeReason
from tests.unit.recommenders import REASONS, with_reasons

ITEMS = [
    ItemFeatures(("Action", "Drama"), ("Ann",), "Robots"),
    ItemFeatures(("Action",), ("Ann", "Bob"), None),
    ItemFeatures((), (), "Robots"),
    ItemFeatures(),
]


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_matrix_form_is_the_rule_applied_one_by_one(power: float) -> None:
    rng = np.random.default_rng(1)
    rows, items = rng.integers(0, 3, 40), rng.integers(0, 4, 40)
    reasons, decay = rng.choice([str(r) for r in DislikeReason], 40).astype(object), rng.random(40)
    vocabulary = FeatureVocabulary.build(ITEMS, power)
    logs = vocabulary.user_logs(rows, items, reasons, decay, 3)
    multipliers = vocabulary.item_multipliers(logs)
    for user in range(3):
        adjustments = []
        for n in np.flatnonzero(rows == user):
            film = ITEMS[items[n]]
            changes = calculate_feature_adjustment_from_dislike(reasons[n], film.genres, film.cast, film.franchise)
            adjustments.append({name: change * decay[n] for name, change in changes.items()})
        expected = apply_feature_adjustments({}, adjustments, power)
        assert vocabulary.multipliers_by_name(logs[user]) == pytest.approx(expected, rel=1e-12)
        for position, item in enumerate(ITEMS):
            product = np.prod([expected.get(name, 1.0) for name in item.names()])
            assert multipliers[user, position] == pytest.approx(product, rel=1e-6)


def test_contributions_of_adjusted_scores_sum_exactly(
    adjusting: Recommender, random_histories: Callable[..., pd.DataFrame]
) -> None:
    lists = adjusting.recommend(with_reasons(random_histories(60, 3), 3), k=10)
    contributions = [json.loads(text) for text in lists["contributions"]]
    errors = np.array([sum(terms.values()) for terms in contributions]) - lists["score"]
    assert np.abs(errors).max() < 1e-5
    adjusted = [name for terms in contributions for name in terms if name.startswith("adjustment:")]
    assert {name.split(":")[1] for name in adjusted} == {"genre", "cast", "franchise"}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_never_raises_a_score_and_touches_its_user_only(
    adjusting: Recommender, random_histories: Callable[..., pd.DataFrame], reason: str
) -> None:
    own = with_reasons(random_histories(40, 5, longest=6), 5)
    users = sorted(own["user_id"].unique())
    before = adjusting.score(own, users)
    new = next(i for i in adjusting.item_ids if i not in set(own.loc[own["user_id"] == users[0], "item_id"]))
    row = {"user_id": users[0], "item_id": new, "signal": "dislike", "weight": 0.4, "age_days": 0.0, "reason": reason}
    extra = pd.DataFrame([row])[own.columns]
    rise = adjusting.score(pd.concat([own, extra], ignore_index=True), users) - before
    assert rise.max() <= 1e-6
    assert rise[0].min() < 0 or reason == "unspecified"
    np.testing.assert_array_equal(rise[1:], 0.0)


def test_a_saved_recommender_adjusts_and_calibrates_equally(
    adjusting: Recommender, random_histories: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    recipe = {**adjusting.recipe, "calibration": Calibration(2.0, -1.0, "opinions").as_dict()}
    saved = replace(adjusting, recipe=recipe)
    again = Recommender.load(saved.save(tmp_path))
    own = with_reasons(random_histories(20, 8), 8)
    users = sorted(own["user_id"].unique())
    np.testing.assert_array_equal(again.score(own, users), saved.score(own, users))
    assert again.calibration == saved.calibration
    assert again.features.names == saved.features.names


def test_a_calibrated_score_is_the_chance_under_even_odds() -> None:
    rng = np.random.default_rng(0)
    is_like = rng.random(4_000) < 0.9  # nine likes for every dislike must not make every chance 0.9
    scores = np.where(is_like, rng.normal(1.0, 1.0, 4_000), rng.normal(0.0, 1.0, 4_000))
    found = calibrate(scores, is_like, scores)
    assert found.source == "opinions"
    assert found.slope == pytest.approx(1.0, abs=0.15)
    assert float(found.predict(0.5)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("likes", [0, 3, 30])
def test_without_opinions_of_both_kinds_the_median_candidate_is_even(likes: int) -> None:
    candidates = np.array([0.0, 1.0, 5.0])
    found = calibrate(np.arange(likes, dtype=float), np.ones(likes, bool), candidates)
    assert found.source == "median"
    assert float(found.predict(1.0)) == pytest.approx(0.5)
    assert (np.diff(found.predict(candidates)) > 0).all()


def test_a_model_that_ranks_backwards_predicts_even_odds_for_all() -> None:
    scores = np.linspace(0, 1, 100)
    found = calibrate(scores, scores < 0.5, scores)
    np.testing.assert_array_equal(found.predict(scores), 0.5)


def test_the_sentence_cites_the_dislike_that_plays_a_feature_down_most(adjusting: Recommender) -> None:
    rows = [
        ("i00", "poor_quality", 0.2),
        ("i03", "poor_quality", 0.8),
        ("i06", "wrong_genre", 0.8),
        ("i10", "tired_of_franchise", 0.8),
    ]
    own = pd.DataFrame(rows, columns=["item_id", "reason", "weight"]).assign(
        user_id="u", signal="dislike", age_days=0.0
    )
    lists = adjusting.recommend(own, k=30)
    cites = {"of Ann": "Film 3", "of Robots": "Film 10", adjusting.catalog["genres"][6][0]: "Film 6"}
    found = set()
    for reason in lists["reason"]:
        for less, films in re.findall(r"less (.+?) since you disliked (Film \d+)", reason):
            assert {cites[name] for name in less.split(" and less ")} == {films}
            found.add(films)
    assert found == set(cites.values())
