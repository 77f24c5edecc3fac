"""Interactive pictures for notebooks; needs the extra `notebook` (Plotly)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from recsys.foreign_text import in_plot

SUPPORTS, OPPOSES = "#2a7f62", "#b5443c"


def training_history(history: Mapping[str, Sequence[float]]) -> go.Figure:
    """Losses, and below them the other curves, by epoch.

    Args:
        history: name -> one value per epoch, as Keras's `fit` returns in `history`; must hold `loss`.

    Raises:
        ValueError: if there is no `loss`.
    """
    if "loss" not in history:
        raise ValueError(
            f"Expected a history with the curve loss, got {sorted(history)}: hand over `fit(...).history`."
        )
    losses = [name for name in history if name.endswith("loss")]
    others = [name for name in history if name not in losses]
    figure = make_subplots(rows=1 + bool(others), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for name in (*losses, *others):
        values = list(history[name])
        curve = go.Scatter(x=list(range(1, len(values) + 1)), y=values, name=name, mode="lines+markers")
        figure.add_trace(curve, row=1 + (name in others), col=1)
    figure.update_xaxes(title_text="epoch", row=1 + bool(others), col=1)
    figure.update_yaxes(title_text="loss", row=1, col=1)
    return figure.update_layout(title="Training history")


def recommendation_scores(titles: Sequence[str], scores: npt.ArrayLike, title: str = "Recommendations") -> go.Figure:
    """Bars of one list, best on top.

    Args:
        titles: `(k,)`, best first.
        scores: `(k,)`.
        title: of the picture.

    Raises:
        ValueError: if the shapes do not go together.
    """
    values = np.asarray(scores, float)
    if values.shape != (len(titles),):
        raise ValueError(f"Expected scores ({len(titles)},), one for each title, got {values.shape}.")
    bars = go.Bar(x=values, y=list(range(len(titles))), orientation="h", marker_color=SUPPORTS)
    figure = go.Figure(bars).update_yaxes(autorange="reversed", **_ticks(titles))
    return figure.update_layout(title=in_plot(title), xaxis_title="score")


def contribution_bars(contributions: Mapping[str, float], title: str = "Why") -> go.Figure:
    """Signed parts of one score, the largest on top, and their sum.

    Args:
        contributions: name -> signed part.
        title: of the picture.
    """
    ordered = sorted(contributions.items(), key=lambda part: -abs(part[1]))
    total = float(sum(contributions.values()))
    bars = go.Bar(
        x=[value for _, value in ordered],
        y=[in_plot(name) for name, _ in ordered],
        orientation="h",
        marker_color=[SUPPORTS if value >= 0 else OPPOSES for _, value in ordered],
    )
    figure = go.Figure(bars).update_yaxes(autorange="reversed")
    return figure.update_layout(title=f"{in_plot(title)}: sum {total:.3f}", xaxis_title="contribution to the score")


def similarity_matrix(similarities: npt.ArrayLike, titles: Sequence[str], title: str = "Similarity") -> go.Figure:
    """A square matrix with titles on both axes.

    Args:
        similarities: `(n, n)` in [-1, 1].
        titles: `(n,)`.
        title: of the picture.

    Raises:
        ValueError: if the shapes do not go together.
    """
    values = np.asarray(similarities, float)
    if values.shape != (len(titles), len(titles)):
        raise ValueError(f"Expected similarities ({len(titles)}, {len(titles)}), got {values.shape}.")
    return _heatmap(values, titles, title, zmin=-1, zmax=1, colorscale="RdBu_r")


def diversity(lists: npt.ArrayLike, names: Sequence[str]) -> go.Figure:
    """Which share of their lists each two users have in common; 1 on the diagonal.

    Args:
        lists: `(num_users, k)`, item ids; -1 fills a shorter list up.
        names: `(num_users,)`, of the users.

    Raises:
        ValueError: if there is not one name for each list.
    """
    if len(np.asarray(lists)) != len(names):
        raise ValueError(f"Expected one name for each of {len(np.asarray(lists))} lists, got {len(names)}.")
    own = [{int(item) for item in row if item >= 0} for row in np.asarray(lists)]
    shared = [[len(one & other) / max(len(one | other), 1) for other in own] for one in own]
    title = "Overlap of lists (Jaccard): the paler, the more diverse"
    return _heatmap(np.array(shared), names, title, zmin=0, zmax=1, colorscale="Blues")


def weights_by_age(age_days: npt.ArrayLike, weights: npt.ArrayLike, signals: Sequence[str]) -> go.Figure:
    """Sample weights over age, one colour for each signal.

    Args:
        age_days: `(num_events,)`, >= 0.
        weights: `(num_events,)` in (0, 1].
        signals: `(num_events,)`, such as `like`.

    Raises:
        ValueError: if the shapes do not go together.
    """
    ages, values, kinds = np.asarray(age_days, float), np.asarray(weights, float), np.asarray(signals)
    if not ages.shape == values.shape == kinds.shape == (len(kinds),):
        raise ValueError(
            f"Expected age_days, weights and signals of one shape (num_events,), got {ages.shape}, {values.shape} and "
            f"{kinds.shape}."
        )
    figure = go.Figure()
    for kind in sorted(set(kinds.tolist())):
        chosen = kinds == kind
        figure.add_trace(go.Scatter(x=ages[chosen], y=values[chosen], mode="markers", name=kind, marker={"size": 4}))
    return figure.update_layout(title="Weight by age", xaxis_title="age in days", yaxis_title="sample weight")


def _heatmap(values: npt.NDArray[np.float64], names: Sequence[str], title: str, **colours: object) -> go.Figure:
    """A square matrix `(n, n)` with `(n,)` names on both axes, the first row on top."""
    places = list(range(len(names)))
    figure = go.Figure(go.Heatmap(z=values, x=places, y=places, **colours))
    figure.update_xaxes(**_ticks(names)).update_yaxes(autorange="reversed", **_ticks(names))
    return figure.update_layout(title=in_plot(title))


def _ticks(names: Sequence[str]) -> dict[str, object]:
    """Names as labels of the places 0, 1, 2 ..., on the axis and on hover: two films of one title keep a place each."""
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [in_plot(name) for name in names]}
