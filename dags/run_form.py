"""What the forms of several DAGs share: sections, and the fields `as_of` and `model_version`.

A field's title is its name in words, the same as in the documents and in the command line (`half_life_days`, "Half-life
days", `--half-life-days`). An empty field means what its description says.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

# Sections of the forms, in their order. What a run does has none: it is the part that is open, "Run Parameters".
WHEN, TRIGGERS, MODEL = "When", "Triggers", "Model"
EVIDENCE, ALERTS, STORAGE, REGISTRY = "Insufficient evidence", "Alerts", "Storage", "Registry"

# An ISO 8601 time with a zone: without one nobody knows which day it means.
ZONED_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"


def as_of_field(description: str, section: str | None = None) -> Param:
    """The cut-off of a run; empty: see `description`."""
    return Param(
        None,
        type=["null", "string"],
        format="date-time",
        pattern=ZONED_TIME,
        title="As of",
        description=description,
        **_in(section),
    )


def model_version_field(description: str, section: str | None = None) -> Param:
    """The number of a version in the registry; empty: see `description`."""
    return Param(
        None,
        type=["null", "string"],
        pattern="^[1-9][0-9]*$",
        title="Model version",
        description=description,
        **_in(section),
    )


def switch(title: str, description: str, *, on: bool = False, section: str | None = None) -> Param:
    """Yes or no."""
    return Param(on, type="boolean", title=title, description=description, **_in(section))


def count(default: int, title: str, description: str, *, section: str | None = None, most: int = 1_000_000) -> Param:
    """A whole number from 1 on."""
    return Param(default, type="integer", minimum=1, maximum=most, title=title, description=description, **_in(section))


def _in(section: str | None) -> dict[str, Any]:
    return {} if section is None else {"section": section}
