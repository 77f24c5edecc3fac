"""One night from the backlog to published lists: the steps of `pipeline` in the order in which the DAGs run them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.errors import RecsysError

StepRunner = Callable[..., dict[str, Any]]
Clock = Callable[[], datetime]
OnStep = Callable[[str], None]
NIGHT_STEPS = (
    "check_backlog",
    "claim_backlog",
    "build_training_set",
    "validate_training_set",
    "list_candidates",
    "try_candidate",
    "train_challenger",
    "evaluate_challenger",
    "settle_backlog",
    "decide_promotion",
    "refit_challenger",
    "promote",
    "publish_recommendations",
)  # fmt: skip - of a night that promotes, in their order


@dataclass
class Night:
    """What one night did.

    Attributes:
        run_id: names it; the same id resumes.
        results: step -> what it returned, in the order in which they ran; of `try_candidate` the last.
        trials: what `try_candidate` returned of each candidate.
        seconds: step -> wall-clock seconds.
    """

    run_id: str
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """`skip`, or the gate's verdict."""
        verdict = self.results.get("decide_promotion")
        return "skip" if verdict is None else str(verdict["verdict"])

    @property
    def reasons(self) -> list[str]:
        """Why, in plain words."""
        verdict = self.results.get("decide_promotion")
        return [self.results["check_backlog"]["reason"]] if verdict is None else list(verdict["reasons"])


def run_night(
    run_id: str,
    as_of: datetime,
    clock: Clock,
    config: RunConfig | None = None,
    *,
    on_step: OnStep = lambda step: None,
    publishes: bool = True,
) -> Night:
    """Runs one night in this process. Run again with the same `run_id`, it goes on where it was killed.

    Args:
        run_id: names the run, its batch and its verdict.
        as_of: cut-off on `recorded_at`.
        clock: gives the wall clock that each step writes into its records; a night takes a while.
        config: what is set for it; None: the defaults.
        on_step: called with the name of each step before it runs.
        publishes: False leaves out `publish_recommendations`.
    """
    night = Night(run_id)

    def run(step: str, **arguments: Any) -> dict[str, Any]:
        if step not in night.results:
            on_step(step)
        started = time.perf_counter()
        result = pipeline.STEPS[step](**arguments)
        night.seconds[step] = round(night.seconds.get(step, 0.0) + time.perf_counter() - started, 3)
        night.results[step] = result
        return result

    checked = run("check_backlog", run_id=run_id, as_of=as_of, now=clock(), config=config)
    if not checked["retrain"]:
        return night
    run("claim_backlog", run_id=run_id, as_of=as_of, now=clock(), config=config)
    try:
        run("build_training_set", batch_id=run_id)
        run("validate_training_set", batch_id=run_id)
        for candidate in run("list_candidates", batch_id=run_id)["candidates"]:
            night.trials.append(run("try_candidate", batch_id=run_id, candidate=candidate))
        run("train_challenger", batch_id=run_id)
        run("evaluate_challenger", batch_id=run_id)
    except (
        BaseException
    ):  # failed or interrupted: what was claimed goes back, and the error that caused it is the one shown
        with contextlib.suppress(RecsysError):
            run("settle_backlog", batch_id=run_id, now=clock())
        raise
    run("settle_backlog", batch_id=run_id, now=clock())
    challenger = night.results["evaluate_challenger"]["model_version"]
    decided = run("decide_promotion", model_version=challenger, run_id=run_id, now=clock())
    if decided["verdict"] != "promote":
        return night
    refit = run("refit_challenger", model_version=decided["model_version"])["model_version"]
    refit = run("promote", model_version=refit, run_id=run_id, now=clock())["to_version"]
    if publishes:
        run("publish_recommendations", as_of=as_of, now=clock(), model_version=refit)
    return night
