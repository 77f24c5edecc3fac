"""A model with sparse matrices is the model with the same dense ones: scores, terms, explanations, also read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from keras import ops

from recsys.model.additive import LINKED, AdditiveModel, Parts
from recsys.model.linked_weights import Associations
from recsys.model.recommender import Recommender
from recsys.model.scorer import Scorer
from tests.unit.recommenders import make_histories, make_recommender, with_reasons

HISTORIES = with_reasons(make_histories(80, seed=3), seed=4)
USERS = sorted(HISTORIES["user_id"].unique())


def with_few_entries(recommender: Recommender, is_sparse: bool) -> Recommender:
    """The same with the larger half of every matrix only."""
    old = recommender.model
    linked = {name: getattr(old, name).numpy() for name in LINKED}
    for name, own in linked.items():
        kept = np.where(np.abs(own.matrix) > np.median(np.abs(own.matrix)), own.matrix, np.float32(0))
        linked[name] = replace(own, matrix=sp.csr_matrix(kept) if is_sparse else kept)
    rest = {name: ops.convert_to_numpy(getattr(old, name)) for name in ("trends", "genres", "genre_base", "regard")}
    parts = Parts(**rest, **linked)
    model = AdditiveModel(old.num_items, old.num_linked, old.num_genres, old.trend_half_lives_days, parts.num_stored())
    model.set_parts(parts, ops.convert_to_numpy(old.head))
    return replace(recommender, model=model)


@pytest.fixture(scope="module")
def sparse() -> Recommender:
    return with_few_entries(make_recommender(), is_sparse=True)


@pytest.fixture(scope="module")
def dense() -> Recommender:
    return with_few_entries(make_recommender(), is_sparse=False)


def test_scores_and_lists_are_those_of_the_dense_form(sparse: Recommender, dense: Recommender) -> None:
    assert all(getattr(sparse.model, name).is_sparse for name in LINKED)
    np.testing.assert_allclose(sparse.score(HISTORIES, USERS), dense.score(HISTORIES, USERS), rtol=1e-5, atol=1e-6)
    inputs = {name: getattr(sparse.matrices(HISTORIES), name) for name in ("likes", "recent", "dislikes")}
    for found, expected in zip(
        Scorer(sparse.model).personal_terms(inputs), Scorer(dense.model).personal_terms(inputs), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_model_itself_gives_what_is_scored_without_tensorflow(sparse: Recommender, dense: Recommender) -> None:
    histories = with_reasons(HISTORIES, seed=1)
    for recommender in (sparse, dense):
        inputs = recommender.matrices(histories, USERS).inputs(recommender.features)
        assert inputs["multipliers"].min() < 1.0
        found = ops.convert_to_numpy(recommender.model(inputs))
        np.testing.assert_allclose(recommender.score(histories, USERS), found, rtol=1e-5, atol=1e-6)


def test_explanations_are_those_of_the_dense_form(sparse: Recommender, dense: Recommender) -> None:
    ours, theirs = sparse.recommend(HISTORIES), dense.recommend(HISTORIES)
    assert ours["item_id"].tolist() == theirs["item_id"].tolist()
    assert ours["reason"].tolist() == theirs["reason"].tolist()


def test_read_back_the_scores_are_equal_to_the_bit(sparse: Recommender, tmp_path: Path) -> None:
    again = Recommender.load(sparse.save(tmp_path))
    assert again.model.num_stored == sparse.model.num_stored
    np.testing.assert_array_equal(again.score(HISTORIES, USERS), sparse.score(HISTORIES, USERS))


@pytest.mark.parametrize("is_sparse", [False, True])
def test_what_is_too_new_to_say_gets_what_items_get_on_average(is_sparse: bool) -> None:
    """Three linked items, the last of them new; the fourth item has no weights at all."""
    matrix = np.array([[0.0, 0.4, 0.0], [0.2, 0.0, 0.1], [0.0, 0.0, 0.0]], np.float32)
    unsure = np.array([0.0, 0.5, 0.9, 1.0], np.float32)
    typical = np.array([0.3, 0.1, 0.0], np.float32)
    own = Associations(sp.csr_matrix(matrix) if is_sparse else matrix, typical, unsure)
    history = np.array([[2.0, 0.0, 1.0, 5.0]], np.float32)
    expected = 2.0 * np.array([0.0, 0.4, 0.0, 0.0]) + 2.0 * 0.3 * unsure
    np.testing.assert_allclose(own.added_by(sp.csr_matrix(history))[0], expected, rtol=1e-6)
    pairs = own.between(np.array([0, 0, 0, 0], np.int32), np.arange(4, dtype=np.int32))
    np.testing.assert_allclose(2.0 * pairs, expected, rtol=1e-6)
    against = own.positive_part().added_by(sp.csr_matrix(history))[0]
    np.testing.assert_allclose(against, 2.0 * np.array([0.0, 0.4, 0.0, 0.0]), rtol=1e-6)


def test_without_any_entry_nothing_is_added() -> None:
    model = AdditiveModel(5, 4, 0, (1.0,), dict.fromkeys(LINKED, 0))
    none = Associations.none(4, 5, is_sparse=True)
    parts = Parts(
        np.ones((1, 5), np.float32), none, none, none, np.zeros((5, 0), np.float32), np.zeros(0, np.float32),
        np.ones(5, np.float32),
    )  # fmt: skip
    model.set_parts(parts, np.ones(len(model.head_names), np.float32))
    likes = ops.ones((2, 5))
    scores = model({"likes": likes, "recent": likes, "dislikes": likes})
    np.testing.assert_array_equal(ops.convert_to_numpy(scores), np.ones((2, 5), np.float32))
