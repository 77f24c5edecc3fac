"""When the backlog asks for a retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsys.config.setting import Setting, validate

SECTION = "Triggers"
MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class TriggerConfig:
    """The triggers of a retraining, with their switches; any one that is switched on is enough.

    The prediction error of a dislike is the score that the model had predicted, minus 0. That score is a balanced chance of
    being liked: 0.5 means that the model could not tell, so well above it the model was confidently wrong. A feature (a genre,
    a person of the cast, a franchise) must have been disliked by more than one user; its p-value is that of a one-sided
    binomial test, corrected by Holm. Drift is what `recsys.evaluation.drift.verdict` last measured; with that switch off it is
    an alert, and the other triggers see what users dislike about it.

    Raises:
        InputError: for a value out of its range.
    """

    backlog_trigger: Annotated[
        bool,
        Setting("Backlog trigger", "Whether the number of new dislikes asks for a retraining.", SECTION),
    ] = True
    threshold: Annotated[
        int,
        Setting(
            "Threshold",
            "Number of new dislikes that starts a retraining. It is counted as of the cut-off.",
            SECTION, minimum=1, maximum=MOST,
        ),
    ] = 20  # fmt: skip
    error_trigger: Annotated[
        bool,
        Setting("Error trigger", "Whether wrong predictions ask for a retraining.", SECTION),
    ] = True
    error_threshold: Annotated[
        float,
        Setting(
            "Error threshold",
            "Retrain above this mean prediction error of the new dislikes. 0.5 is a coin toss.",
            SECTION, minimum=0, maximum=1,
        ),
    ] = 0.6  # fmt: skip
    error_min_count: Annotated[
        int,
        Setting(
            "Error min count",
            "Error trigger: minimum number of new dislikes with a predicted score.",
            SECTION, minimum=1, maximum=MOST,
        ),
    ] = 10  # fmt: skip
    feature_trigger: Annotated[
        bool,
        Setting(
            "Feature trigger",
            "Whether a genre, person or franchise that stands out among the dislikes asks for a retraining.",
            SECTION,
        ),
    ] = True
    feature_lift: Annotated[
        float,
        Setting(
            "Feature lift",
            "Retrain when the lift of a genre, person or franchise is at least this. The lift is its share among the new "
            "dislikes over its share among what users meet.",
            SECTION, above=1, maximum=1_000,
        ),
    ] = 1.5  # fmt: skip
    feature_min_count: Annotated[
        int,
        Setting(
            "Feature min count",
            "Feature trigger: minimum number of new dislikes that have the feature.",
            SECTION, minimum=1, maximum=MOST,
        ),
    ] = 10  # fmt: skip
    feature_significance: Annotated[
        float,
        Setting(
            "Feature significance",
            "Feature trigger: the p-value, corrected for the number of features, must be at most this.",
            SECTION, above=0, below=1,
        ),
    ] = 0.01  # fmt: skip
    retrain_on_drift: Annotated[
        bool,
        Setting(
            "Retrain on drift",
            "Whether drift, as feedback_monitoring last measured it, asks for a retraining. Each measurement asks once.",
            SECTION,
        ),
    ] = False

    def __post_init__(self) -> None:
        validate(self)
