from __future__ import annotations

import io

import matplotlib.image as mpimg
import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from recsys.evaluation.reporting import interactive_plots, static_plots

FIGURES = {
    "history": interactive_plots.training_history({"loss": [3.0, 2.0], "recall": [0.1, 0.2]}),
    "scores": interactive_plots.recommendation_scores([3.0, 2.0, 1.0], ["King Kong", "Heat", "King Kong"]),
    "contributions": interactive_plots.contribution_bars(
        {"a": 0.1, "b": -0.5, "a name of more than thirty letters": 0.3}, "Alien"
    ),
    "similarities": interactive_plots.similarity_matrix(np.eye(3), ["King Kong", "Heat", "King Kong"]),
    "diversity": interactive_plots.diversity([[1, 2], [2, 3]], ["a", "b"]),
    "weights": interactive_plots.weights_by_age([0, 1, 2], [1.0, 0.4, 0.25], ["like", "dislike", "like"]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_each_picture_of_the_notebook_can_be_drawn_without_a_browser(name: str) -> None:
    picture = mpimg.imread(io.BytesIO(static_plots.png_of(FIGURES[name])), format="png")
    assert min(picture.shape[:2]) > 200
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20, "it is blank"


def test_bars_have_the_colours_of_their_signs() -> None:
    picture = mpimg.imread(io.BytesIO(static_plots.png_of(FIGURES["contributions"])), format="png")
    seen = {tuple(colour) for colour in np.round(picture[:, :, :3].reshape(-1, 3) * 255).astype(int)}
    for colour in (interactive_plots.SUPPORTS, interactive_plots.OPPOSES):
        assert tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5)) in seen


def test_what_nobody_drew_before_is_named() -> None:
    with pytest.raises(ValueError, match="got pie: draw it in `static_plots`, too"):
        static_plots.png_of(go.Figure(go.Pie(values=[1, 2])))


def test_a_notebook_stores_both_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pio.renderers, "default", pio.renderers.default)
    static_plots.show_both()
    bundle = pio.renderers._build_mime_bundle(FIGURES["weights"].to_dict())
    assert set(bundle) == {"application/vnd.plotly.v1+json", "image/png"}
