"""Still pictures of the interactive ones in `plots`, drawn by Matplotlib: for pages that only render a notebook.

Plotly itself needs a browser to do that. This draws what `plots` draws: curves, points, lying bars and matrices.
"""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import plotly.io as pio
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from plotly.io.base_renderers import MimetypeRenderer

COLOUR_MAPS = {"Blues": "Blues", "RdBu_r": "RdBu_r"}
MAX_LABEL = 28  # letters of a name on an axis
DPI, NUM_COLOURS = 72, 255  # six pictures of a notebook together stay below 100 kB


class StaticRenderer(MimetypeRenderer):  # type: ignore[misc]  # Plotly is not typed
    """A renderer of Plotly's that adds a PNG to what a notebook stores."""

    def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, str]:
        """The picture as a notebook keeps it."""
        return {"image/png": base64.b64encode(png_of(go.Figure(fig_dict))).decode("ascii")}


def show_both() -> None:
    """Makes notebooks show interactive pictures where they can, and store a still one beside each."""
    pio.renderers["static"] = StaticRenderer()
    pio.renderers.default = "plotly_mimetype+static"


def png_of(figure: go.Figure) -> bytes:
    """Draws a figure of `plots`.

    Args:
        figure: of Scatter, lying Bar and Heatmap traces; those with different y axes go below each other.

    Raises:
        ValueError: for another kind of trace.
    """
    rows = list(dict.fromkeys(map(_row, figure.data)))
    drawn = Figure(figsize=(8, 4.5), layout="constrained")
    panels: dict[str, Axes] = dict(zip(rows, drawn.subplots(len(rows), squeeze=False)[:, 0], strict=True))
    for trace in figure.data:
        _draw(trace, panels[_row(trace)])
    for row, axes in panels.items():
        _label(figure, row, axes)
    drawn.suptitle(_plain(html.unescape(figure.layout.title.text or "")))
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI)
    return smaller(buffer.getvalue())


def smaller(png: bytes) -> bytes:
    """The same picture with a palette: a third of the size, and nobody sees it."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(NUM_COLOURS).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _draw(trace: Any, axes: Axes) -> None:
    if trace.type == "scatter":
        line = "-" if "lines" in (trace.mode or "lines") else ""
        axes.plot(_values(trace.x), _values(trace.y), label=trace.name, linestyle=line, marker=".")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    elif trace.type == "bar" and trace.orientation == "h":
        lengths, names = _values(trace.x), [_short(name) for name in _values(trace.y)]
        axes.barh(range(len(lengths)), lengths, color=trace.marker.color, tick_label=names)
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.invert_yaxis()
    elif trace.type == "heatmap":
        colours = COLOUR_MAPS.get(_scale_name(trace), "viridis")
        image = axes.imshow(_values(trace.z), vmin=trace.zmin, vmax=trace.zmax, cmap=colours, aspect="auto")
        axes.figure.colorbar(image, ax=axes)
    else:
        raise ValueError(
            f"Expected a scatter, a lying bar or a heatmap, got {trace.type}: draw it in `static_plots`, too."
        )


def _row(trace: Any) -> str:
    return getattr(trace, "yaxis", None) or "y"


def _values(given: Any) -> npt.NDArray[Any]:
    """Values of a trace; a figure that was turned into a dict holds its arrays as base64."""
    if not isinstance(given, dict):
        return np.asarray(given)
    flat = np.frombuffer(base64.b64decode(given["bdata"]), given["dtype"])
    shape = given.get("shape", "-1")
    return flat.reshape([int(length) for length in str(shape).split(",")])


def _scale_name(trace: Any) -> str:
    """Which of the named scales a trace has; Plotly keeps only its colours."""
    named = {name: go.Heatmap(colorscale=name).colorscale for name in COLOUR_MAPS}
    return next((name for name, colours in named.items() if colours == trace.colorscale), "")


def _label(figure: go.Figure, row: str, axes: Axes) -> None:
    number = row.removeprefix("y")
    x, y = figure.layout[f"xaxis{number}"], figure.layout[f"yaxis{number}"]
    axes.set_xlabel(x.title.text or "")
    axes.set_ylabel(y.title.text or "")
    if y.ticktext:
        axes.set_yticks(y.tickvals, [_short(name) for name in y.ticktext], fontsize=8)
    if x.ticktext:
        axes.set_xticks(x.tickvals, [_short(name) for name in x.ticktext], rotation=60, ha="right", fontsize=8)


def _short(name: Any) -> str:
    text = html.unescape(str(name))
    return _plain(text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…")


def _plain(text: str) -> str:
    """Text for Matplotlib, which takes what stands between dollars for a formula."""
    return text.replace("$", r"\$")
