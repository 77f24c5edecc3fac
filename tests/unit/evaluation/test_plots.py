import numpy as np
import pytest

from recsys.evaluation import plots


def test_history_puts_the_loss_above_the_other_curves() -> None:
    figure = plots.training_history({"loss": [3.0, 2.0], "recall": [0.1, 0.2]})
    loss, recall = figure.data
    assert (loss.name, list(loss.x), list(loss.y), loss.yaxis) == ("loss", [1, 2], [3.0, 2.0], "y")
    assert (recall.name, recall.yaxis) == ("recall", "y2")
    assert len(plots.training_history({"loss": [1.0]}).data) == 1


def test_contributions_come_largest_first_with_their_sign_and_sum() -> None:
    figure = plots.contribution_bars({"a": 0.1, "b": -0.5, "c": 0.3}, "Alien")
    (bars,) = figure.data
    assert list(bars.y) == ["b", "c", "a"]
    assert list(bars.marker.color) == [plots.OPPOSES, plots.SUPPORTS, plots.SUPPORTS]
    assert figure.layout.title.text == "Alien: sum -0.100"


def test_lists_and_matrices_show_titles() -> None:
    (bars,) = plots.recommendation_scores(["Alien", "Heat"], [2.0, 1.0]).data
    assert list(bars.y) == ["Alien", "Heat"]
    (heat,) = plots.similarity_matrix(np.eye(2), ["Alien", "Heat"]).data
    assert list(heat.x) == list(heat.y) == ["Alien", "Heat"]
    with pytest.raises(ValueError, match=r"Expected similarities \(1, 1\), got \(2, 2\)"):
        plots.similarity_matrix(np.eye(2), ["Alien"])


def test_diversity_is_the_overlap_of_lists() -> None:
    (heat,) = plots.diversity([[1, 2, 3], [3, 4, -1], [-1, -1, -1]], ["a", "b", "c"]).data
    np.testing.assert_allclose(heat.z, [[1, 1 / 4, 0], [1 / 4, 1, 0], [0, 0, 0]])


def test_weights_have_a_colour_for_each_signal() -> None:
    like, dislike = reversed(plots.weights_by_age([0, 1, 2], [1.0, 0.4, 0.25], ["like", "dislike", "like"]).data)
    assert (like.name, list(like.x), list(like.y)) == ("like", [0, 2], [1.0, 0.25])
    assert (dislike.name, list(dislike.x)) == ("dislike", [1])
