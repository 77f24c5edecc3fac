"""The steps of the loop, one function each. The DAG task, the CLI and the tests call the same function.

    check_backlog -> claim_backlog -> build_training_set -> validate_training_set -> list_candidates
        -> try_candidate (each) -> train_challenger -> evaluate_challenger -> settle_backlog (one run of `feedback_retraining`)
    decide_promotion -> refit_challenger -> promote         (`model_promotion`)
    extend_holdout                                          (before `decide_promotion`, where asked for)
    request_approval -> show_verdict -> record_answer       (`champion_approval`, where a person is asked before `promote`)
    publish_recommendations                                 (`recommendation_publishing`)
    measure_feedback, measure_drift, watch_loop, check_registry, prune_lists, prune_files, complete_erasures
                                                            (`feedback_monitoring`)
    rollback                                                (`champion_rollback`)
    dry_run                                                 (all up to the verdict, nothing kept)

Steps take and return names (batch ids, versions, URIs, digests, counts), never data. Each is idempotent: run again
with the same arguments it finds or rewrites its own result. None reads the clock: `as_of` is the run's cut-off on
`recorded_at`, and `now` is the wall clock, which the caller passes and the records carry. A retry comes with a later `now`
and finds the rows of the first try, which stand.


Nothing of it is loaded before it is asked for: a command that reads one table imports no step.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.pipeline.loop_status import feedback_report, status
    from recsys.pipeline.step import STEPS
    from recsys.pipeline.steps.approval import record_answer, request_approval, show_verdict
    from recsys.pipeline.steps.monitoring import (
        complete_erasures,
        measure_drift,
        measure_feedback,
        prune_files,
        prune_lists,
        watch_loop,
    )
    from recsys.pipeline.steps.promotion import (
        decide_promotion,
        extend_holdout,
        promote,
        publish_recommendations,
        refit_challenger,
    )
    from recsys.pipeline.steps.retraining import (
        build_training_set,
        check_backlog,
        claim_backlog,
        dry_run,
        evaluate_challenger,
        list_candidates,
        settle_backlog,
        train_challenger,
        try_candidate,
        validate_training_set,
    )
    from recsys.pipeline.steps.rollback import check_registry, rollback

__all__ = [
    "STEPS", "build_training_set", "check_backlog", "check_registry", "claim_backlog", "complete_erasures",
    "decide_promotion", "dry_run",
    "evaluate_challenger", "extend_holdout", "feedback_report", "list_candidates", "measure_drift",
    "measure_feedback", "promote", "prune_files", "prune_lists", "publish_recommendations", "record_answer",
    "refit_challenger", "request_approval", "rollback", "settle_backlog", "show_verdict", "status",
    "train_challenger", "try_candidate", "validate_training_set", "watch_loop",
]  # fmt: skip

_HOMES = (
    "loop_status",
    "steps.approval",
    "steps.monitoring",
    "steps.promotion",
    "steps.retraining",
    "steps.rollback",
    "step",
)


def __getattr__(name: str) -> Any:
    """Loads the steps, all of them, when the first is asked for: `STEPS` is whole from then on."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = [import_module(f"{__name__}.{home}") for home in _HOMES]
    globals()[name] = found = next(vars(home)[name] for home in homes if name in vars(home))
    return found
