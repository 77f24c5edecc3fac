"""Fields of the form of `feedback_retraining` that say when the backlog asks for a retraining.

Their names are those of `recsys.feedback.triggers.TriggerConfig`, and so are their defaults (a test compares them).
"""

from __future__ import annotations

from airflow.sdk import Param


def _switch(title: str, description: str) -> Param:
    return Param(True, type="boolean", title=title, description=description)


def _count(default: int, title: str, description: str) -> Param:
    return Param(default, type="integer", minimum=1, maximum=1_000_000, title=title, description=description)


TRIGGER_FORM = {
    "threshold": _count(20, "Threshold", "Retrain from so many new dislikes on, counted as of the cut-off."),
    "backlog_trigger": _switch("Trigger: backlog", "Whether the number of new dislikes asks for a retraining."),
    "error_threshold": Param(
        0.6,
        type="number",
        minimum=0,
        maximum=1,
        title="Error threshold",
        description="Retrain when the mean prediction error of the new dislikes is above this. 0.5: the model could not tell.",
    ),
    "error_min_count": _count(
        10, "Error: dislikes needed", "So many new dislikes must have a predicted score for that."
    ),
    "error_trigger": _switch("Trigger: prediction error", "Whether wrong predictions ask for a retraining."),
    "feature_lift": Param(
        1.5,
        type="number",
        exclusiveMinimum=1,
        maximum=1_000,
        title="Feature lift",
        description="Retrain when a genre, person or franchise has this many times the share among dislikes that users meet.",
    ),
    "feature_min_count": _count(10, "Feature: dislikes needed", "So many new dislikes must have the feature for that."),
    "feature_significance": Param(
        0.01,
        type="number",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        title="Feature significance",
        description="And the chance of that by accident must be at most this, corrected for the number of features.",
    ),
    "feature_trigger": _switch("Trigger: features", "Whether a feature that stands out asks for a retraining."),
    "retrain_on_drift": Param(
        False,
        type="boolean",
        title="Trigger: drift",
        description="Whether drift asks for a retraining, as feedback_monitoring last measured it. Each measurement asks once.",
    ),
}
