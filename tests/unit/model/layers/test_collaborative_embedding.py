import keras
import numpy as np
import pytest
import tensorflow as tf

from recsys.model.layers import CollaborativeUserItemEmbedding, ItemBias

UNKNOWN = [-1, -(2**31), 5, 2**31 - 1]


@pytest.fixture
def embedding() -> CollaborativeUserItemEmbedding:
    return CollaborativeUserItemEmbedding(num_users=3, num_items=5, embedding_dim=4, l2_reg=0.1, seed=1)


@pytest.mark.parametrize("user_shape", [(2,), (2, 1)])
def test_gives_one_vector_per_user_and_per_item(
    embedding: CollaborativeUserItemEmbedding, user_shape: tuple[int, ...]
) -> None:
    users, items = embedding([np.array([2, 0]).reshape(user_shape), np.array([[0, 4, 1], [1, 1, 3]])])
    np.testing.assert_array_equal(users, embedding.user_embeddings.numpy()[[2, 0]])
    np.testing.assert_array_equal(items, embedding.item_embeddings.numpy()[[[0, 4, 1], [1, 1, 3]]])


def test_one_item_per_user_works_too(embedding: CollaborativeUserItemEmbedding) -> None:
    users, items = embedding([np.array([2, 0]), np.array([1, 4])])
    assert users.shape == items.shape == (2, 4)
    symbolic = embedding([keras.Input((1,), dtype="int32"), keras.Input((), dtype="int32")])
    assert [tuple(part.shape) for part in symbolic] == [(None, 4), (None, 4)]


def test_an_unknown_id_has_zeros_and_its_gradient_reaches_no_row(embedding: CollaborativeUserItemEmbedding) -> None:
    with tf.GradientTape() as tape:
        users, items = embedding([np.array([-1, 3]), np.array([UNKNOWN, UNKNOWN], np.int32)])
        total = tf.reduce_sum(users + 1.0) + tf.reduce_sum(items * 3.0)
    assert not np.any(users)
    assert not np.any(items)
    for gradient in tape.gradient(total, embedding.trainable_variables):
        assert not np.any(tf.convert_to_tensor(gradient))


def test_what_is_looked_up_is_penalised_and_nothing_else(embedding: CollaborativeUserItemEmbedding) -> None:
    users, items = embedding([np.array([2, 0]), np.array([[0, 4], [1, 1]])])
    expected = 0.1 * ((users.numpy() ** 2).sum(-1).mean() + (items.numpy() ** 2).sum(-1).mean())
    np.testing.assert_allclose(embedding.losses, [expected], rtol=1e-6)
    embedding([np.array([2, 0]), np.zeros((2, 0), np.int32)])
    np.testing.assert_allclose(embedding.losses, [0.1 * (users.numpy() ** 2).sum(-1).mean()], rtol=1e-6)


def test_a_seed_makes_it_the_same_again_and_users_and_items_different() -> None:
    one, other, third = (CollaborativeUserItemEmbedding(5, 5, 4, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.user_embeddings, other.user_embeddings)
    assert not np.allclose(one.user_embeddings, one.item_embeddings)
    assert not np.allclose(one.user_embeddings, third.user_embeddings)


def test_the_bias_of_an_unknown_item_is_zero() -> None:
    layer = ItemBias(5)
    layer.bias.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(layer(np.array([[4, 0], [-1, 5]])), [[5.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_users": 0}, "num_users to be a whole number >= 1, got 0"),
        ({"num_items": 2.5}, "num_items to be a whole number >= 1, got 2.5"),
        ({"embedding_dim": -1}, "embedding_dim to be a whole number >= 1, got -1"),
        ({"l2_reg": -1.0}, "l2_reg >= 0, got -1"),
        ({"l2_reg": float("nan")}, "l2_reg >= 0, got nan"),
    ],
)
def test_sizes_that_make_no_table_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CollaborativeUserItemEmbedding(**{"num_users": 3, "num_items": 5, **arguments})


def test_ids_of_a_wrong_type_or_shape_are_refused(embedding: CollaborativeUserItemEmbedding) -> None:
    with pytest.raises(ValueError, match="Expected integer ids, got float32"):
        embedding([np.array([0.0], np.float32), np.array([[1]])])
    with pytest.raises(ValueError, match=r"Expected user_ids \(batch_size,\)"):
        embedding([np.array([[0, 1]]), np.array([[1]])])
