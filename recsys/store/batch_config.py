"""A batch's settings and what was planned from them, as the JSON column `training_batches.config` has them.

A setting stands under its name, but for the two that a plan decides where nobody set them: under their names stands what was
decided, under `requested_half_life_days` and `requested_eligible` what was asked for. Rows of any age can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys.config.eligibility import EligibilityRule
from recsys.config.mapping import restored
from recsys.config.run import RunConfig
from recsys.records import Batch


def to_json(batch: Batch) -> dict[str, Any]:
    """What the column is to hold."""
    asked = batch.config.as_dict()
    return {
        **asked,
        "half_life_days": batch.planned_half_life_days,
        "requested_half_life_days": asked["half_life_days"],
        "eligible": batch.rule.as_dict(),
        "requested_eligible": asked["eligible"],
        "kept_trial": batch.kept_trial,
    }


def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Batch` that the column holds: `config`, `planned_half_life_days`, `rule` and `kept_trial`."""
    asked = {
        **values,
        "half_life_days": values.get("requested_half_life_days"),
        "eligible": values.get("requested_eligible", values.get("eligible")),
    }
    return {
        "config": RunConfig.restored(asked),
        "planned_half_life_days": values.get("half_life_days"),
        "rule": rule_of(values),
        "kept_trial": values.get("kept_trial"),
    }


def rule_of(values: Mapping[str, Any] | None) -> EligibilityRule:
    """What the versions of a batch may recommend; any item where nothing is written down."""
    return restored(EligibilityRule, (values or {}).get("eligible") or {})
