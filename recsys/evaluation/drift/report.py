"""Drift as a page: one HTML file with its picture in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import datetime

import jinja2
from matplotlib.figure import Figure

from recsys.evaluation.drift.verdict import TITLES, Drift, DriftVerdict

COLOURS = {DriftVerdict.DRIFT: "#b5443c", DriftVerdict.STABLE: "#2a7f62", DriftVerdict.NOT_ENOUGH: "#888888"}
WORDS = {DriftVerdict.DRIFT: "drift", DriftVerdict.STABLE: "no drift", DriftVerdict.NOT_ENOUGH: "not enough data"}
PAGE = jinja2.Template(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Drift, {{ as_of }}</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
 table { border-collapse: collapse; width: 100% }
 td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
 img { max-width: 100% }
</style>
<h1>Drift: {{ start }} to {{ as_of }} UTC</h1>
<p>The newest days, which champion version {{ champion }} has not seen, beside what it learned from: everything up to
{{ cut_off }} UTC. Each dot is a window of the same length from before that, compared with what came before it: these are
the reference. The diamond is the newest days, the bar is the threshold: beyond it is drift.</p>
<img alt="distances of earlier windows, threshold and newest days for each quantity" src="data:image/png;base64,{{ picture }}">
<table><tr><th>quantity<th>verdict<th>what was found</tr>
{% for one in drifts %}<tr><td>{{ one.title }}<td style="color: {{ one.colour }}">{{ one.verdict }}<td>{{ one.reason }}
{% if not one.is_drift %}<br><small>{% for shift in one.shifts %}{{ shift.name }}: {{ "%.3g"|format(shift.before) }} &rarr;
{{ "%.3g"|format(shift.now) }}{{ "" if loop.last else "; " }}{% endfor %}</small>{% endif %}</tr>
{% endfor %}</table>
<p><small>Distances: Jensen-Shannon (shares), Kolmogorov-Smirnov (numbers); 0 is equal, 1 has nothing in common.</small></p>
</html>
""",
    autoescape=True,
)


def drift_page(drifts: Sequence[Drift], champion: str, cut_off: datetime, start: datetime, as_of: datetime) -> str:
    """The report as HTML that needs no other file.

    Args:
        drifts: what was found.
        champion: version.
        cut_off: what it knows ends here.
        start: begin of the newest days.
        as_of: their end.
    """
    rows = [
        {"title": TITLES[one.name], "verdict": WORDS[one.verdict], "colour": COLOURS[one.verdict], "reason": one.reason,
         "shifts": one.shifts, "is_drift": one.verdict == DriftVerdict.DRIFT}
        for one in drifts
    ]  # fmt: skip
    times = {name: f"{at:%Y-%m-%d %H:%M}" for name, at in (("cut_off", cut_off), ("start", start), ("as_of", as_of))}
    page: str = PAGE.render(drifts=rows, champion=champion, picture=_picture(drifts), **times)
    return page


def _picture(drifts: Sequence[Drift]) -> str:
    """One line per quantity: reference distances as dots, the threshold as a bar, the newest days as a diamond; base64 PNG."""
    figure = Figure(figsize=(9, 0.6 * len(drifts) + 1), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(drifts):
        axes.plot(one.reference_distances, [place] * len(one.reference_distances), "o", color="#9db4c0", markersize=5)
        if one.limit is not None:
            axes.plot([one.limit] * 2, [place - 0.3, place + 0.3], color="#222222")
        if one.distance is not None:
            axes.plot(one.distance, place, "D", color=COLOURS[one.verdict], markersize=8)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(drifts) - 0.5, -0.5), xlabel="distance from what the champion learned from")
    axes.set_yticks(range(len(drifts)), [TITLES[one.name] for one in drifts])
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return base64.b64encode(image.getvalue()).decode("ascii")
