import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.model.explainable import ExplainableRecommendationModel
from recsys.model.losses import BPRLoss, ImprovedMarginRankingLoss, SampledSoftmaxLoss
from recsys.model.metrics import AccuracyAtK, PrecisionAtK, RecallAtK, reference

NUM_USERS, NUM_ITEMS = 6, 12
Arrays = list[np.ndarray]


def make_model(**arguments: object) -> ExplainableRecommendationModel:
    """A model with random biases and vectors larger than those it starts with."""
    model = ExplainableRecommendationModel(NUM_USERS, NUM_ITEMS, **{"embedding_dim": 4, "top_k": 3, **arguments})
    rng = np.random.default_rng(2)
    model.embedding.set_weights([rng.normal(size=weight.shape) for weight in model.embedding.weights])
    model.item_bias.bias.assign(rng.normal(size=NUM_ITEMS))
    return model


@pytest.fixture(scope="module")
def model() -> ExplainableRecommendationModel:
    return make_model()


def results(model: ExplainableRecommendationModel, *inputs: object, **named: object) -> Arrays:
    parts = [np.asarray(x) for x in inputs] or {name: np.asarray(x) for name, x in named.items()}
    return [result.numpy() for result in model(parts)]


def everything(num_users: int = NUM_USERS) -> Arrays:
    return [np.arange(num_users, dtype=np.int32), np.tile(np.arange(NUM_ITEMS, dtype=np.int32), (num_users, 1))]


@pytest.mark.parametrize("user_shape", [(2,), (2, 1)])
@pytest.mark.parametrize("feedback_shape", [None, (2,), (2, 1), (2, 5)])
def test_gives_five_results_of_the_documented_shapes(
    model: ExplainableRecommendationModel, user_shape: tuple[int, ...], feedback_shape: tuple[int, ...] | None
) -> None:
    inputs = [np.array([1, 4]).reshape(user_shape), np.array([[3, 9, 0, 5, 7], [2, 3, 4, 5, 6]])]
    if feedback_shape:
        inputs.append(np.full(feedback_shape, 0.4, np.float32))
    scores, rec_indices, rec_scores, similarity_matrix, adjusted = results(model, *inputs)
    assert scores.shape == similarity_matrix.shape == adjusted.shape == (2, 5)
    assert rec_indices.shape == rec_scores.shape == (2, 3)
    assert {x.dtype for x in (scores, rec_scores, similarity_matrix, adjusted)} == {np.dtype(np.float32)}
    assert np.issubdtype(rec_indices.dtype, np.integer)
    assert np.abs(similarity_matrix).max() <= 1


def test_a_score_is_the_dot_product_and_the_bias(model: ExplainableRecommendationModel) -> None:
    scores, _, _, similarity_matrix, _ = results(model, *everything())
    users, items = model.embedding.get_weights()
    dots = users @ items.T
    np.testing.assert_allclose(
        scores, model.score_scale * dots / 2 + model.item_bias.bias.numpy(), rtol=1e-4, atol=1e-5
    )
    norms = np.linalg.norm(users, axis=1)[:, None] * np.linalg.norm(items, axis=1)
    np.testing.assert_allclose(similarity_matrix, dots / norms, atol=1e-5)


def test_recommends_item_ids_best_first(model: ExplainableRecommendationModel) -> None:
    listed = np.array([[11, 2, 7, 5, 0, 9]])
    scores, rec_indices, rec_scores, _, _ = results(model, [3], listed)
    order = np.argsort(-scores[0])[:3]
    np.testing.assert_array_equal(rec_indices[0], listed[0][order])
    np.testing.assert_array_equal(rec_scores[0], scores[0][order])


def test_feedback_on_an_item_reaches_the_recommendations(model: ExplainableRecommendationModel) -> None:
    users, items = everything()
    before = results(model, users, items)[1]
    feedback = np.full(items.shape, 0.5, np.float32)
    feedback[users, before[:, 0]] = 0.0  # everybody dislikes what they were shown first
    after = results(model, users, items, feedback)[1]
    assert all(before[user, 0] not in after[user] for user in users)


def test_one_feedback_value_can_change_a_users_recommendations(model: ExplainableRecommendationModel) -> None:
    users, items = everything()
    liked, disliked = (results(make_model(feedback_weight=1.0), users, items, np.full(6, f))[1] for f in (1.0, 0.0))
    assert all(set(one) != set(other) for one, other in zip(liked, disliked, strict=True))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.1, 1.0, 100.0]))
@settings(max_examples=12, deadline=None)
def test_more_dislike_never_raises_an_item_and_neutral_changes_nothing(seed: int, weight: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    model = make_model(feedback_weight=weight)
    model.adjuster.set_weights([rng.normal(scale=scale, size=x.shape) for x in model.adjuster.weights])
    feedback = rng.random((NUM_USERS, NUM_ITEMS)).astype(np.float32)
    adjusted = results(model, *everything(), feedback)[4]
    lower = results(model, *everything(), feedback * rng.random(feedback.shape).astype(np.float32))[4]
    assert (lower <= adjusted).all()
    for neutral, plain in zip(
        results(model, *everything(), np.full(NUM_USERS, 0.5)), results(model, *everything()), strict=True
    ):
        np.testing.assert_array_equal(neutral, plain)


def test_seen_items_do_not_come_back(model: ExplainableRecommendationModel) -> None:
    users, items = everything()
    seen = np.random.default_rng(0).random(items.shape) < 0.6
    for inputs in ([users, items, np.full(6, 0.3), seen], {"user_ids": users, "item_ids": items, "seen": seen}):
        rec_indices = model(inputs)[1].numpy()
        for user in users:
            shown = set(rec_indices[user]) - {-1}
            assert not shown & set(np.flatnonzero(seen[user]))
            assert len(shown) == min(3, NUM_ITEMS - seen[user].sum())


def test_who_has_seen_everything_gets_an_empty_list(model: ExplainableRecommendationModel) -> None:
    users, items = everything()
    scores, rec_indices, rec_scores, _, _ = results(
        model, user_ids=users, item_ids=items, seen=np.ones(items.shape, bool)
    )
    assert (rec_indices == -1).all()
    assert (rec_scores == -np.inf).all()
    assert np.isfinite(scores).all()


def test_one_item_and_no_item_are_lists_too(model: ExplainableRecommendationModel) -> None:
    assert results(model, [1], [[8]])[1].tolist() == [[8, -1, -1]]
    scores, rec_indices, _, similarity_matrix, adjusted = results(model, [1], np.zeros((1, 0), np.int32))
    assert scores.shape == similarity_matrix.shape == adjusted.shape == (1, 0)
    assert rec_indices.tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_ids_may_be_integers_of_any_type(dtype: type) -> None:
    model = ExplainableRecommendationModel(num_users=1000, num_items=1000, top_k=3, seed=1)
    users, items = np.array([1, 100]), np.array([[8, 120], [3, 3]])
    expected = results(model, users, items)
    for result, same in zip(results(model, users.astype(dtype), items.astype(dtype)), expected, strict=True):
        np.testing.assert_array_equal(result, same)
    assert expected[1][1].tolist() == [3, -1, -1]


def test_an_item_listed_twice_is_recommended_once(model: ExplainableRecommendationModel) -> None:
    rec_indices = results(model, [1], [[8, 8, 3, 8]])[1]
    assert sorted(rec_indices[0]) == [-1, 3, 8]


def test_unknown_users_all_get_the_list_of_the_biases(model: ExplainableRecommendationModel) -> None:
    _, items = everything(3)
    scores, rec_indices, _, similarity_matrix, _ = results(model, [-1, NUM_USERS, 10**6], items)
    np.testing.assert_array_equal(scores, np.tile(model.item_bias.bias.numpy(), (3, 1)))
    np.testing.assert_array_equal(rec_indices, np.tile(np.argsort(-model.item_bias.bias.numpy())[:3], (3, 1)))
    assert not similarity_matrix.any()


def test_unknown_items_score_zero_and_are_never_recommended(model: ExplainableRecommendationModel) -> None:
    listed = np.array([[NUM_ITEMS, -1, 4, 10**6]])
    scores, rec_indices, _, similarity_matrix, _ = results(model, [2], listed)
    assert not scores[0, [0, 1, 3]].any()
    assert not similarity_matrix[0, [0, 1, 3]].any()
    assert rec_indices.tolist() == [[4, -1, -1]]


def compile_as_documented(model: ExplainableRecommendationModel) -> ExplainableRecommendationModel:
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.01),
        loss=[ImprovedMarginRankingLoss(margin=1.0, max_min_weight=0.6, avg_weight=0.4), None, None, None, None],
        metrics=[
            [AccuracyAtK(k=5, name="acc@5"), PrecisionAtK(k=5, name="prec@5"), RecallAtK(k=5, name="recall@5")],
            None, None, None, None,
        ],
    )  # fmt: skip
    return model


def test_trained_as_documented_it_is_the_same_in_a_fresh_process(tmp_path: Path) -> None:
    users, items = everything()
    labels = (np.random.default_rng(1).random(items.shape) < 0.3).astype(np.float32)
    model = compile_as_documented(make_model(score_scale=1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as of weights without a gradient
        history = model.fit([users, items], labels, epochs=10, batch_size=3, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["prec@5"][-1] > history["prec@5"][0]
    model.save(tmp_path / "model.keras")
    feedback = np.random.default_rng(2).random(items.shape).astype(np.float32)
    np.savez(tmp_path / "data.npz", users=users, items=items, feedback=feedback)
    code = (
        "import sys, keras, numpy as np, recsys.model.explainable, recsys.model.losses, recsys.model.metrics\n"
        "folder = sys.argv[1]; data = np.load(folder + '/data.npz')\n"
        "model = keras.saving.load_model(folder + '/model.keras')\n"
        "results = model([data['users'], data['items'], data['feedback']])\n"
        "np.savez(folder + '/results.npz', *results)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    loaded = np.load(tmp_path / "results.npz")
    for n, result in enumerate(model([users, items, feedback])):
        np.testing.assert_array_equal(loaded[f"arr_{n}"], result)


def test_a_loss_on_the_adjusted_scores_trains_the_adjustment() -> None:
    users, items = everything()
    labels = (np.random.default_rng(1).random(items.shape) < 0.3).astype(np.float32)
    feedback = 0.2 + 0.6 * labels  # feedback tells all
    model = make_model()
    model.compile(keras.optimizers.Adam(0.1), loss=[None, None, None, None, BPRLoss()])
    before = np.array(model.adjuster.strengths)
    model.fit([users, items, feedback], labels, epochs=4, verbose=0)
    assert (np.array(model.adjuster.strengths)[:, 0] > before[:, 0]).all()


def latent_structure(num_users: int = 200, num_items: int = 100, rank: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """What each user chose, to train on and held out: by taste in a few dimensions, popularity and chance."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(num_users, rank)) @ rng.normal(size=(rank, num_items)) / np.sqrt(rank)
    chosen = np.argsort(-(2 * taste + 0.7 * rng.gumbel(size=num_items) + rng.gumbel(size=taste.shape)), axis=1)[:, :20]
    train, held_out = np.zeros((2, num_users, num_items), np.float32)
    for user, items in enumerate(chosen):
        shuffled = rng.permutation(items)
        train[user, shuffled[:15]], held_out[user, shuffled[15:]] = 1, 1
    return train, held_out


@pytest.mark.parametrize(
    "loss", [SampledSoftmaxLoss(), BPRLoss(), ImprovedMarginRankingLoss()], ids=lambda loss: type(loss).__name__
)
def test_it_learns_tastes_far_beyond_popularity(loss: keras.losses.Loss) -> None:
    train, held_out = latent_structure()
    users, items = np.arange(len(train)), np.tile(np.arange(train.shape[1]), (len(train), 1))
    model = ExplainableRecommendationModel(len(train), train.shape[1], 16, l2_reg=1e-2, seed=1)
    model.compile(keras.optimizers.Adam(0.001), loss=[loss, None, None, None, None])  # as in KMR's document
    keras.utils.set_random_seed(1)  # the order of the batches
    model.fit([users, items], train, epochs=30, batch_size=10, verbose=0)
    labels = np.where(train > 0, -1, held_out)  # only unseen items compete
    popular = reference.mean_over_rows(reference.ndcg(labels, np.tile(train.sum(axis=0), (len(train), 1)), 10))
    learned = reference.mean_over_rows(reference.ndcg(labels, model([users, items])[0].numpy(), 10))
    assert learned > 1.4 * popular


def test_a_model_from_before_there_was_a_scale_keeps_its_scores() -> None:
    old = make_model(score_scale=1.0)
    config = old.get_config()
    del config["score_scale"]
    again = ExplainableRecommendationModel.from_config(config)
    again.set_weights(old.get_weights())
    np.testing.assert_array_equal(results(again, *everything())[0], results(old, *everything())[0])


@pytest.mark.parametrize("block_size", [1, 5, 1024])
def test_item_similarities_are_cosines_or_dot_products_of_the_item_vectors(block_size: int) -> None:
    model = make_model()
    model.embedding.item_embeddings.assign(
        np.where(np.arange(NUM_ITEMS)[:, None] == 7, 0.0, model.embedding.item_embeddings.numpy())
    )
    similarities = model.item_similarities(block_size)
    assert similarities.dtype == np.float32
    vectors = model.embedding.item_embeddings.numpy().astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = vectors @ vectors.T / np.where(norms > 0, norms, 1) / np.where(norms > 0, norms, 1).T
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    np.testing.assert_array_equal(similarities, similarities.T)
    assert not similarities[7].any()
    dots = model.item_similarities(block_size, normalized=False)
    np.testing.assert_allclose(dots, vectors @ vectors.T * (1 - np.eye(NUM_ITEMS)), atol=1e-5)
    np.testing.assert_array_equal(dots, dots.T)


def test_the_same_seed_gives_the_same_model() -> None:
    one, other, third = (ExplainableRecommendationModel(5, 5, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.embedding.item_embeddings, other.embedding.item_embeddings)
    assert not np.allclose(one.embedding.item_embeddings, third.embedding.item_embeddings)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[1]], "got 1 inputs"),
        ([[1], [[2]], [0.5], [[True]], [3]], "got 5 inputs"),
        ({"user_ids": [1]}, r"got \['user_ids'\]"),
        ({"user_ids": [1], "item_ids": [[1]], "liked": [[1]]}, "liked"),
        ([[1], [2]], r"Expected item_ids \(batch_size, num_listed\), got \(1,\)"),
        ([[1], [[2.0]]], "Expected integer ids, got float"),
    ],
)
def test_inputs_that_are_none_of_the_documented_are_refused(
    model: ExplainableRecommendationModel, inputs: object, message: str
) -> None:
    parts = inputs.items() if isinstance(inputs, dict) else enumerate(inputs)
    arrays = {name: np.asarray(value) for name, value in parts}
    with pytest.raises(ValueError, match=message):
        model(arrays if isinstance(inputs, dict) else list(arrays.values()))


def test_sizes_may_be_numpys_whole_numbers(tmp_path: Path) -> None:
    model = ExplainableRecommendationModel(np.int16(3), np.int64(4), top_k=np.int32(2), l2_reg=np.float32(0.0))
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").num_items == 4


@pytest.mark.parametrize(
    "arguments", [{"num_users": 0}, {"embedding_dim": 0}, {"top_k": 0}, {"l2_reg": -1.0}, {"feedback_weight": 1.5}]
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        ExplainableRecommendationModel(**{"num_users": 3, "num_items": 3, **arguments})
