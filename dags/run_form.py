"""What the forms of several DAGs share: settings as fields, the fields `as_of` and `model_version`, and sections.

A field's title is its name in words, the same as in the documents and in the command line (`half_life_days`, "Half-life
days", `--half-life-days`). An empty field means what its description says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Param

from recsys.config.schema import json_schema
from recsys.config.setting import settings_of

# Sections of the forms; those of settings are theirs. What a run does has none: it is open, "Run Parameters".
WHEN, EVIDENCE = "When", "Insufficient evidence"
CUT_OFF_TEXT = "Cut-off: what was recorded later does not exist for this run. Empty: the run's own time."

# An ISO 8601 time with a zone: without one nobody knows which day it means.
ZONED_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"


def fields_of(config: type, examples: Mapping[str, Sequence[str]] | None = None) -> dict[str, Param]:
    """A field for each setting, by name.

    Args:
        config: a dataclass of settings, such as `RunConfig`.
        examples: setting -> what its list offers.
    """
    offered = {name: {"examples": list(names)} for name, names in (examples or {}).items()}
    return {
        one.name: Param(
            list(one.default) if isinstance(one.default, tuple) else one.default,
            **json_schema(one),
            **offered.get(one.name, {}),
        )
        for one in settings_of(config)
    }


def form(fields: Mapping[str, Param]) -> dict[str, Param]:
    """The fields in their order, those of a section together: those without one first, `WHEN` next."""
    sections = [None, WHEN, *(field.schema.get("section") for field in fields.values())]
    return dict(sorted(fields.items(), key=lambda item: sections.index(item[1].schema.get("section"))))


def as_of_field(description: str = CUT_OFF_TEXT, section: str | None = None) -> Param:
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


def _in(section: str | None) -> dict[str, Any]:
    return {} if section is None else {"section": section}
