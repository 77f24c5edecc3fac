"""Fields of the form of `feedback_retraining` that say when the backlog asks for a retraining, and what is fitted then.

The names of the triggers' fields are those of `recsys.feedback.triggers.TriggerConfig`, and so are their defaults; those of the
model are arguments of the step `claim_backlog` (a test compares both).
"""

from __future__ import annotations

from airflow.sdk import Param
from run_form import MODEL, TRIGGERS, count, switch

FAMILIES = ["closed_form", "embedding"]  # those of `recsys.training.recipe.recipe`: a test compares them
TRIGGER_FORM = {
    "backlog_trigger": switch(
        "Backlog trigger",
        "Whether the number of new dislikes asks for a retraining.",
        on=True,
        section=TRIGGERS,
    ),
    "threshold": count(
        20,
        "Threshold",
        "Backlog trigger: number of new dislikes that starts a retraining, counted as of the cut-off.",
        section=TRIGGERS,
    ),
    "error_trigger": switch(
        "Error trigger",
        "Whether wrong predictions ask for a retraining.",
        on=True,
        section=TRIGGERS,
    ),
    "error_threshold": Param(
        0.6,
        type="number",
        minimum=0,
        maximum=1,
        title="Error threshold",
        description="Error trigger: retrain above this mean prediction error of the new dislikes. 0.5 is a coin toss.",
        section=TRIGGERS,
    ),
    "error_min_count": count(
        10,
        "Error min count",
        "Error trigger: minimum number of new dislikes with a predicted score.",
        section=TRIGGERS,
    ),
    "feature_trigger": switch(
        "Feature trigger",
        "Whether a genre, person or franchise that stands out among the dislikes asks for a retraining.",
        on=True,
        section=TRIGGERS,
    ),
    "feature_lift": Param(
        1.5,
        type="number",
        exclusiveMinimum=1,
        maximum=1_000,
        title="Feature lift",
        description="Feature trigger: its share among new dislikes must be this many times its share among what users meet.",
        section=TRIGGERS,
    ),
    "feature_min_count": count(
        10,
        "Feature min count",
        "Feature trigger: minimum number of new dislikes that have the feature.",
        section=TRIGGERS,
    ),
    "feature_significance": Param(
        0.01,
        type="number",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        title="Feature significance",
        description="Feature trigger: the p-value, corrected for the number of features, must be at most this.",
        section=TRIGGERS,
    ),
    "retrain_on_drift": switch(
        "Retrain on drift",
        "Whether drift, as feedback_monitoring last measured it, asks for a retraining. Each measurement asks once.",
        section=TRIGGERS,
    ),
}
MODEL_FORM = {
    "half_life_days": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        maximum=36_500,
        title="Half-life days",
        description="Age in days at which an example's weight has halved. Empty: a quarter of the stream's length.",
        section=MODEL,
    ),
    "families": Param(
        FAMILIES,
        type="array",
        items={"type": "string", "pattern": r"^[\w.-]+(:\w+)?$"},
        minItems=1,
        uniqueItems=True,
        title="Families",
        description="Candidates of these families are tried; the best on validation becomes the challenger. One a line: ours, "
        "one that an installed package brings, or package.module:Family.",
        section=MODEL,
    ),
    "keep_candidate": switch(
        "Keep candidate",
        "Fit the champion's candidate again instead of trying all: on a large stream a night costs a fraction.",
        section=MODEL,
    ),
    "seed": Param(
        0,
        type="integer",
        minimum=0,
        maximum=2**31 - 1,
        title="Seed",
        description="Seed of all random numbers in fit and bootstrap. The same seed and data give the same model.",
        section=MODEL,
    ),
    "eligible": Param(
        None,
        type=["null", "object"],
        properties={
            **{name: {"type": "integer", "minimum": 1870, "maximum": 2100} for name in ("min_year", "max_year")},
            **{
                name: {"type": "array", "items": {"type": "string", "minLength": 1}}
                for name in ("genres", "without_genres", "tags", "without_tags")
            },
        },
        additionalProperties=False,
        title="Eligible",
        description='What may be recommended, such as {"max_year": 2011, "genres": ["Drama"]}; all items train. '
        "Empty: what the champion may. {}: any item.",
        section=MODEL,
    ),
}
