"""The step of `feedback_monitoring`: what dislikes say, and what users say of each version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from recsys.nightly import measuring
from recsys.nightly.workplace import Workplace
from recsys.pipeline.step import moment, step


@step
def measure_feedback(as_of: datetime | str) -> dict[str, Any]:
    """Identifies patterns among the dislikes and measures what users say of each version; says what to look at.

    Patterns go to `dislike_patterns`, numbers of a version to its MLflow run, both under the cut-off: the same one again
    replaces patterns and adds no second point.

    Returns:
        `alerts` in plain words; counts of patterns; `versions`: version -> dislike rate.
    """
    with Workplace.open() as place:
        return measuring.measure(place, moment(as_of))
