"""Interactive pictures for notebooks; needs the extra `notebook` (Plotly)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from recsys.foreign_text import in_plot

SUPPORTS, OPPOSES = "#2a7f62", "#b5443c"


class History(Protocol):
    """What Keras's `fit` returns: the curves are in its `history`."""

    history: Mapping[str, Sequence[float]]


def training_history(history: History | Mapping[str, Sequence[float]]) -> go.Figure:
    """Losses, and below them the other curves, by epoch.

    Args:
        history: what Keras's `fit` returns, or its curves: name -> one value per epoch; must hold `loss`.

    Raises:
        ValueError: if there is no `loss`.
    """
    curves = history if isinstance(history, Mapping) else history.history
    if "loss" not in curves:
        raise ValueError(f"Expected a history with the curve loss, got {sorted(curves)}: hand over what `fit` returns.")
    losses = [name for name in curves if name.endswith("loss")]
    others = [name for name in curves if name not in losses]
    figure = make_subplots(rows=1 + bool(others), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for name in (*losses, *others):
        values = list(curves[name])
        curve = go.Scatter(x=list(range(1, len(values) + 1)), y=values, name=name, mode="lines+markers")
        figure.add_trace(curve, row=1 + (name in others), col=1)
    figure.update_xaxes(title_text="epoch", row=1 + bool(others), col=1)
    figure.update_yaxes(title_text="loss", row=1, col=1)
    return figure.update_layout(title="Training history")


def recommendation_scores(
    scores: npt.ArrayLike, titles: Sequence[str] | None = None, title: str = "Recommendations"
) -> go.Figure:
    """Bars of one list, best on top.

    Args:
        scores: `(k,)`, best first.
        titles: `(k,)`, of the items; None: their ranks, from 1.
        title: of the picture.

    Raises:
        ValueError: if the shapes do not go together.
    """
    values = np.asarray(scores, float)
    names = [str(rank) for rank in range(1, values.size + 1)] if titles is None else titles
    if values.shape != (len(names),):
        raise ValueError(f"Expected scores ({len(names)},), one for each title, got {values.shape}.")
    bars = go.Bar(x=values, y=list(range(len(names))), orientation="h", marker_color=SUPPORTS)
    figure = go.Figure(bars).update_yaxes(autorange="reversed", **_ticks(names))
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


def similarity_matrix(
    similarities: npt.ArrayLike,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str = "Similarity",
) -> go.Figure:
    """Similarities of users and items, as `ExplainableRecommendationModel` returns them, or of items among each other.

    Args:
        similarities: `(num_rows, num_columns)` in [-1, 1].
        rows: `(num_rows,)`, names; None: their positions.
        columns: `(num_columns,)`, names; None: those of the rows if the matrix is square and they are given, else positions.
        title: of the picture.

    Raises:
        ValueError: if the shapes do not go together.
    """
    values = np.asarray(similarities, float)
    if values.ndim != 2:
        raise ValueError(f"Expected similarities (num_rows, num_columns), got {values.shape}.")
    left = _positions(len(values)) if rows is None else rows
    square = rows is not None and values.shape[0] == values.shape[1]
    below = columns if columns is not None else left if square else _positions(values.shape[1])
    if values.shape != (len(left), len(below)):
        raise ValueError(f"Expected similarities ({len(left)}, {len(below)}), got {values.shape}.")
    return _heatmap(values, left, below, title, zmin=-1, zmax=1, colorscale="RdBu_r")


def diversity(lists: npt.ArrayLike, names: Sequence[str] | None = None) -> go.Figure:
    """Which share of their lists each two users have in common; 1 on the diagonal.

    Args:
        lists: `(num_users, k)`, item ids; -1 fills a shorter list up.
        names: `(num_users,)`, of the users; None: their positions.

    Raises:
        ValueError: if there is not one name for each list.
    """
    names = _positions(len(np.asarray(lists))) if names is None else names
    if len(np.asarray(lists)) != len(names):
        raise ValueError(f"Expected one name for each of {len(np.asarray(lists))} lists, got {len(names)}.")
    own = [{int(item) for item in row if item >= 0} for row in np.asarray(lists)]
    shared = [[len(one & other) / max(len(one | other), 1) for other in own] for one in own]
    title = "Overlap of lists (Jaccard): the paler, the more diverse"
    return _heatmap(np.array(shared), names, names, title, zmin=0, zmax=1, colorscale="Blues")


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


def _heatmap(
    values: npt.NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], title: str, **colours: object
) -> go.Figure:
    """A matrix with names on both axes, the first row on top."""
    figure = go.Figure(go.Heatmap(z=values, x=list(range(len(columns))), y=list(range(len(rows))), **colours))
    figure.update_xaxes(**_ticks(columns)).update_yaxes(autorange="reversed", **_ticks(rows))
    return figure.update_layout(title=in_plot(title))


def _positions(number: int) -> list[str]:
    return [str(position) for position in range(number)]


def _ticks(names: Sequence[str]) -> dict[str, object]:
    """Names as labels of the places 0, 1, 2 ..., on the axis and on hover: two films of one title keep a place each."""
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [in_plot(name) for name in names]}
