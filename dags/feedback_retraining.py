"""Turns the backlog of dislikes into a challenger.

Looks at the backlog and, when a trigger fires, trains a **challenger**: a new version of `feedback-recommender` in
MLflow, judged beside the champion on events that neither has seen. It never changes what users see: `model_promotion`
decides about that.

**Four triggers**, each with a switch in the form: enough new dislikes; a mean prediction error of theirs above its
threshold; a genre, person or franchise that is disliked far more often than users meet it; and, off by default,
drift as `feedback_monitoring` last measured it. What each of them saw is in the decision record (`recsys decisions --json`),
whether it fired or not. Beside them: when too few users could judge the last challenger and enough can now, a run is made.

**Runs** every night at 02:00 UTC, when the feedback service reports the asset `backlog_ready`, or by hand.

**By hand:** *Trigger*, then the form. `force_reason` retrains whatever the backlog and goes into the records; `as_of`
repeats a past day; `dry_run` computes everything and writes nothing (see the log and XCom of `rehearse`).

| what you see | what it means |
|---|---|
| `check_backlog` green, the rest pink | nothing to do; its XCom and the log of `claim_backlog` say why |
| all green, `rehearse` pink | a challenger was registered and evaluated; `model_promotion` has started |
| `rehearse` green, the others pink | a dry run; its XCom says what would have happened |
| `claim_backlog` red | another run holds the backlog: let it end, then clear this one |
| `try_candidate [4]` | one task for each candidate; its XCom says what the candidate is worth on validation |
| `validate_training_set` red | the data are not as expected: the message names the expectation and shows rows |
| any other step red | its message says what was expected, what came and what to do |
| run green, `settle_backlog` red | the challenger stands, but the backlog is still claimed: clear `settle_backlog` |

**After a red run** nothing is lost: `settle_backlog` has given the claimed dislikes back, and the next run takes them.
To go on with this run, fix the cause and clear the red task: steps are idempotent, and Airflow clears `claim_backlog`
and `settle_backlog` with it. A service that is away is tried again by itself, five times in about eight minutes.

**The button "Model version in MLflow"** on `train_challenger` and `evaluate_challenger` leads to what they made.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, setup, task, teardown
from assets import BACKLOG_READY, CHALLENGER
from model_version_link import ModelVersionLink
from task_defaults import CUT_OFF, RUN_TIME, TASK_DEFAULTS, ZONED_TIME, run_alerts
from trigger_form import TRIGGER_FORM

RUN_OPTIONS = ("half_life_days", "seed", "force_reason", "families", "keep_candidate")
FAMILIES = ["closed_form", "embedding"]  # those of `recsys.training.recipe`: a test compares them

PARAMS = {
    "force_reason": Param(
        None,
        type=["null", "string"],
        minLength=3,
        maxLength=500,
        title="Force, because",
        description="Retrain even if the backlog is below the threshold, for this reason. It goes into the records.",
    ),
    **TRIGGER_FORM,
    "half_life_days": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        maximum=36_500,
        title="Half-life in days",
        description="Age at which an example's weight has halved. Empty: a quarter of the stream's length.",
    ),
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        pattern=ZONED_TIME,
        title="Cut-off",
        description="What was recorded later does not exist for this run. Empty: the run's own time.",
    ),
    "seed": Param(
        0,
        type="integer",
        minimum=0,
        maximum=2**31 - 1,
        title="Seed",
        description="Seed of the fit and of the bootstrap. The same seed and data give the same model.",
    ),
    "families": Param(
        FAMILIES,
        type="array",
        items={"enum": FAMILIES},
        examples=FAMILIES,
        minItems=1,
        uniqueItems=True,
        title="Families",
        description="Candidates of these families are tried; the best on validation becomes the challenger.",
    ),
    "keep_candidate": Param(
        False,
        type="boolean",
        title="Keep the candidate",
        description="Fit the champion's candidate again instead of trying all: on a large stream a night costs a fraction.",
    ),
    "dry_run": Param(
        False,
        type="boolean",
        title="Dry run",
        description="Compute everything, write nothing: no claim, no model version, no decision record.",
    ),
}


def _is_due(context) -> tuple[bool, str]:
    decision = context["ti"].xcom_pull(task_ids="check_backlog")
    return decision["retrain"], decision["reason"]


def _is_claiming(context) -> tuple[bool, str]:
    if context["params"]["dry_run"]:
        return False, "A dry run claims nothing: see rehearse."
    return _is_due(context)


def _is_rehearsing(context) -> tuple[bool, str]:
    if not context["params"]["dry_run"]:
        return False, "Not a dry run: see claim_backlog."
    return _is_due(context)


@task
def check_backlog(as_of: str, now: str, *, run_id: str, params: dict) -> dict:
    """Looks at the backlog as of the cut-off; decides whether to retrain, and says why."""
    from recsys import pipeline

    triggers = {name: params[name] for name in TRIGGER_FORM}
    return pipeline.check_backlog(
        run_id, as_of, now, force_reason=params["force_reason"], record=not params["dry_run"], **triggers
    )


@setup
@task.run_if(_is_claiming)
@task
def claim_backlog(as_of: str, now: str, *, run_id: str, params: dict) -> dict:
    """Claims the backlog for this run and freezes its cut-offs."""
    from recsys import pipeline

    config = {name: params[name] for name in RUN_OPTIONS}
    return pipeline.claim_backlog(run_id, as_of, now, **config)


@task(execution_timeout=timedelta(minutes=30))
def build_training_set(batch_id: str) -> dict:
    """Freezes the training set of the batch as Parquet, named by its digest."""
    from recsys import pipeline

    return pipeline.build_training_set(batch_id)


@task(execution_timeout=timedelta(minutes=30))
def validate_training_set(batch_id: str) -> dict:
    """Checks the training set with Great Expectations; red when a check fails."""
    from recsys import pipeline

    return pipeline.validate_training_set(batch_id)


@task
def list_candidates(batch_id: str) -> list:
    """Names what has to be tried."""
    from recsys import pipeline

    return pipeline.list_candidates(batch_id)["candidates"]


@task(
    execution_timeout=timedelta(hours=1),
    max_active_tis_per_dagrun=2,
    doc_md="Measures one candidate on what is newest, in a process of its own.",  # a mapped task has no docstring
    map_index_template="{{ task.op_kwargs['candidate'] }}",
)
def try_candidate(batch_id: str, candidate: str) -> dict:
    """Measures one candidate on what is newest, in a process of its own."""
    from recsys.process import run_step

    return run_step("try_candidate", batch_id=batch_id, candidate=candidate)


@task(execution_timeout=timedelta(hours=2))
def train_challenger(batch_id: str) -> dict:
    """Fits the best candidate in a process of its own and registers it."""
    from recsys.process import run_step

    return run_step("train_challenger", batch_id=batch_id)


@task(execution_timeout=timedelta(hours=1), outlets=[CHALLENGER])
def evaluate_challenger(batch_id: str, *, outlet_events) -> dict:
    """Scores champion, challenger and baselines on the same holdout, in a process of its own."""
    from recsys.process import run_step

    evaluated = run_step("evaluate_challenger", batch_id=batch_id)
    outlet_events[CHALLENGER].extra = {name: evaluated[name] for name in ("model_version", "batch_id", "as_of")}
    return evaluated


# A teardown runs whatever came before. It is not one of those that decide the run's state: then it would be the only
# leaf, and its success would turn a failed run green.
@teardown(on_failure_fail_dagrun=False)
def settle_backlog(batch_id: str, now: str) -> dict:
    """Marks the claimed dislikes as used if a challenger was registered from them, else gives them back."""
    from recsys import pipeline

    return pipeline.settle_backlog(batch_id, now)


@task.run_if(_is_rehearsing)
@task(execution_timeout=timedelta(hours=4))
def rehearse(as_of: str, now: str, *, run_id: str, params: dict) -> dict:
    """The dry run: all of it in a process of its own, nothing kept."""
    from recsys.process import run_step

    config = {name: params[name] for name in RUN_OPTIONS}
    return run_step("rehearse", run_id=run_id, as_of=as_of, now=now, **config)


@dag(
    # No start date, which would start a run at once if it was past; and no run for the last 02:00 either, which `False`
    # would start until a tenth of the day is over: the first run is the next 02:00 after unpausing.
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 2 * * *", timezone="UTC", run_immediately=timedelta(0)),
        assets=[BACKLOG_READY],
    ),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=5),
    params=PARAMS,
    tags=["feedback", "training"],
    doc_md=__doc__,
)
def feedback_retraining() -> None:
    """Backlog of dislikes -> challenger in the registry, judged."""
    decision = check_backlog(CUT_OFF, RUN_TIME)
    claim = claim_backlog(CUT_OFF, RUN_TIME)
    settle = settle_backlog(claim["batch_id"], RUN_TIME)
    train, evaluate = train_challenger(claim["batch_id"]), evaluate_challenger(claim["batch_id"])
    for made in (train, evaluate):
        made.operator.operator_extra_links = (ModelVersionLink(),)
    decision >> [claim, rehearse(CUT_OFF, RUN_TIME)]
    build, validate = build_training_set(claim["batch_id"]), validate_training_set(claim["batch_id"])
    listed = list_candidates(claim["batch_id"])
    tried = try_candidate.partial(batch_id=claim["batch_id"]).expand(candidate=listed)
    claim >> build >> validate >> listed >> tried >> train >> evaluate >> settle
    claim >> settle


feedback_retraining()
