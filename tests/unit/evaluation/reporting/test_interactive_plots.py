from collections.abc import Callable

import keras
import numpy as np
import pytest

from recsys.evaluation.reporting import interactive_plots


def test_history_puts_the_loss_above_the_other_curves() -> None:
    figure = interactive_plots.training_history({"loss": [3.0, 2.0], "recall": [0.1, 0.2]})
    loss, recall = figure.data
    assert (loss.name, list(loss.x), list(loss.y), loss.yaxis) == ("loss", [1, 2], [3.0, 2.0], "y")
    assert (recall.name, recall.yaxis) == ("recall", "y2")
    assert len(interactive_plots.training_history({"loss": [1.0]}).data) == 1
    assert {curve.yaxis for curve in interactive_plots.training_history({"loss": [1.0], "val_loss": [2.0]}).data} == {
        "y"
    }


def test_contributions_come_largest_first_with_their_sign_and_sum() -> None:
    figure = interactive_plots.contribution_bars({"a": 0.1, "b": -0.5, "c": 0.3}, "Alien")
    (bars,) = figure.data
    assert list(bars.y) == ["b", "c", "a"]
    assert list(bars.marker.color) == [
        interactive_plots.OPPOSES,
        interactive_plots.SUPPORTS,
        interactive_plots.SUPPORTS,
    ]
    assert figure.layout.title.text == "Alien: sum -0.100"


def test_lists_and_matrices_show_titles_also_where_two_are_the_same() -> None:
    titles = ("King Kong", "Heat", "King Kong")
    scores = interactive_plots.recommendation_scores([3.0, 2.0, 1.0], titles)
    assert list(scores.data[0].y) == [0, 1, 2]
    assert scores.layout.yaxis.ticktext == titles
    square = interactive_plots.similarity_matrix(np.eye(3), titles)
    assert list(square.data[0].x) == list(square.data[0].y) == [0, 1, 2]
    assert square.layout.xaxis.ticktext == square.layout.yaxis.ticktext == titles


def test_similarities_of_users_and_items_need_no_square() -> None:
    figure = interactive_plots.similarity_matrix(np.full((2, 3), 0.5), ["Ann", "Bob"], ["Alien", "Heat", "Up"])
    assert np.asarray(figure.data[0].z).shape == (2, 3)
    assert figure.layout.yaxis.ticktext == ("Ann", "Bob")
    assert figure.layout.xaxis.ticktext == ("Alien", "Heat", "Up")


def test_pictures_need_no_names() -> None:
    assert interactive_plots.recommendation_scores([3.0, 2.0]).layout.yaxis.ticktext == ("1", "2")
    matrix = interactive_plots.similarity_matrix(np.eye(2, 3))
    assert matrix.layout.yaxis.ticktext == ("0", "1")
    assert matrix.layout.xaxis.ticktext == ("0", "1", "2")
    assert interactive_plots.similarity_matrix(np.eye(2), ["a", "b"]).layout.xaxis.ticktext == ("a", "b")
    assert interactive_plots.diversity([[1, 2], [2, 3]]).layout.yaxis.ticktext == ("0", "1")


def test_a_history_as_keras_returns_it_is_drawn() -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    figure = interactive_plots.training_history(model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0))
    assert [(curve.name, list(curve.x)) for curve in figure.data] == [("loss", [1, 2])]


def test_diversity_is_the_overlap_of_lists() -> None:
    (heat,) = interactive_plots.diversity([[1, 2, 3], [3, 4, -1], [-1, -1, -1]], ["a", "b", "c"]).data
    np.testing.assert_allclose(heat.z, [[1, 1 / 4, 0], [1 / 4, 1, 0], [0, 0, 0]])


def test_weights_have_a_colour_for_each_signal() -> None:
    like, dislike = reversed(
        interactive_plots.weights_by_age([0, 1, 2], [1.0, 0.4, 0.25], ["like", "dislike", "like"]).data
    )
    assert (like.name, list(like.x), list(like.y)) == ("like", [0, 2], [1.0, 0.25])
    assert (dislike.name, list(dislike.x)) == ("dislike", [1])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: interactive_plots.training_history({"recall": [1.0]}),
            r"Expected a history with the curve loss, got \['recall'\]",
        ),
        (lambda: interactive_plots.recommendation_scores([1.0, 2.0], ["Alien"]), r"Expected scores \(1,\).*got \(2,\)"),
        (
            lambda: interactive_plots.similarity_matrix(np.eye(2), ["Alien"]),
            r"Expected similarities \(1, 1\), got \(2, 2\)",
        ),
        (
            lambda: interactive_plots.similarity_matrix(np.ones((2, 3)), ["a", "b"], ["x"]),
            r"Expected similarities \(2, 1\), got \(2, 3\)",
        ),
        (
            lambda: interactive_plots.similarity_matrix([1.0]),
            r"Expected similarities \(num_rows, num_columns\), got \(1,\)",
        ),
        (lambda: interactive_plots.diversity([[1], [2]], ["a"]), "Expected one name for each of 2 lists, got 1"),
        (lambda: interactive_plots.weights_by_age([1.0], [1.0, 0.5], ["like"]), r"got \(1,\), \(2,\) and \(1,\)"),
    ],
)
def test_shapes_that_do_not_go_together_are_named(draw: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()
