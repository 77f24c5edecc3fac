"""Trains a challenger from the backlog of dislikes.

Looks at the backlog and, when a trigger fires, trains a **challenger**: a new version of `feedback-recommender` in
MLflow, compared with the champion on events that neither has seen. It never changes what users see: `model_promotion`
decides about that.

**Four triggers**, each with a switch in the form: enough new dislikes; a mean prediction error of theirs above its
threshold; a genre, person or franchise that is disliked far more often than users meet it; and, off by default,
drift as `feedback_monitoring` last measured it. What each of them saw is in the decision record (`recsys decisions --json`),
whether it fired or not. Beside them: when the holdout of the last challenger had too few users and the next has enough, a
run is made.

**Runs** every night at 02:00 UTC, when the feedback service reports the asset `backlog_ready`, or by hand.

**By hand:** *Trigger*, then the form. `dry_run` does everything up to the verdict in a temporary folder and keeps nothing:
no claim, no model version, no decision record. What would have happened is in the log of the task `dry_run`. `force_reason`
retrains whatever the triggers say, and goes into the records; `as_of` repeats a past day.

| what you see | what it means |
|---|---|
| `check_backlog` green, the rest pink | nothing to do: the log of `check_backlog` says why |
| all green, `dry_run` pink | a challenger was registered and evaluated; `model_promotion` has started |
| `dry_run` green, what follows `claim_backlog` pink | it was a dry run; the log of `dry_run` says what would have happened |
| `claim_backlog` red | another run holds the backlog: let it end, then clear this task |
| `try_candidate [4]` | one task for each candidate; its log says what the candidate scored on validation |
| `validate_training_set` red | the data are not as expected: the message names the expectation and shows rows |
| any other step red | its message says what was expected, what came and what to do |
| run green, `settle_backlog` red | the challenger stands, but the backlog is still claimed: clear `settle_backlog` |

**After a red run** nothing is lost: `settle_backlog` has given the claimed dislikes back, and the next run takes them.
To go on with this run, fix the cause and clear the red task: steps are idempotent, and Airflow clears `claim_backlog`
and `settle_backlog` with it. A service that is away is tried again, five times in about eight minutes.

**The button "Model version in MLflow"** on `train_challenger` and `evaluate_challenger` leads to what they made.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, chain, dag, setup, task, teardown
from assets import BACKLOG_READY, CHALLENGER
from model_version_link import ModelVersionLink
from run_form import WHEN, as_of_field, fields_of, form, switch
from task_defaults import CUT_OFF, TASK_DEFAULTS, run_alerts, wall_clock

from recsys.config.run import FAMILIES, RunConfig

# A template, not the result of `claim_backlog` itself, which would draw an arrow from it to each of the other tasks.
BATCH = "{{ ti.xcom_pull(task_ids='claim_backlog')['batch_id'] }}"

SETTINGS = fields_of(RunConfig, examples={"families": FAMILIES})
PARAMS = form({
    "dry_run": switch(
        "Dry run",
        "Do everything up to the verdict and keep nothing: no claim, no model version, no decision record.",
    ),
    "as_of": as_of_field(section=WHEN),
    **SETTINGS,
})  # fmt: skip


def _config(params) -> dict:
    """What the form says of the settings of a run, JSON-able."""
    return {name: params[name] for name in SETTINGS}


def _is_due(context) -> tuple[bool, str]:
    decision = context["ti"].xcom_pull(task_ids="check_backlog")
    return decision["retrain"], decision["reason"]


def _is_claiming(context) -> tuple[bool, str]:
    if context["params"]["dry_run"]:
        return False, "A dry run claims nothing: see the task dry_run."
    return _is_due(context)


def _is_dry_run(context) -> tuple[bool, str]:
    if not context["params"]["dry_run"]:
        return False, "Not a dry run: see the task claim_backlog."
    return _is_due(context)


@task
def check_backlog(as_of: str, *, run_id: str, params: dict) -> dict:
    """Looks at the backlog as of the cut-off; decides whether to retrain, and says why."""
    from recsys import pipeline

    return pipeline.check_backlog(run_id, as_of, wall_clock(), _config(params), record=not params["dry_run"])


@setup
@task.run_if(_is_claiming)
@task
def claim_backlog(as_of: str, *, run_id: str, params: dict) -> dict:
    """Claims the backlog for this run and freezes its cut-offs."""
    from recsys import pipeline

    return pipeline.claim_backlog(run_id, as_of, wall_clock(), _config(params))


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
    show_return_value_in_logs=TASK_DEFAULTS["show_return_value_in_logs"],  # which Airflow does not hand on to these
    doc_md="Measures one candidate on what is newest, in a process of its own.",  # a mapped task has no docstring
    map_index_template="{{ task.op_kwargs['candidate'] }}",
)
def try_candidate(batch_id: str, candidate: str) -> dict:
    """Measures one candidate on what is newest, in a process of its own."""
    from recsys.pipeline.step_process import run_step

    return run_step("try_candidate", batch_id=batch_id, candidate=candidate)


@task(execution_timeout=timedelta(hours=2))
def train_challenger(batch_id: str) -> dict:
    """Fits the best candidate in a process of its own and registers it."""
    from recsys.pipeline.step_process import run_step

    return run_step("train_challenger", batch_id=batch_id)


@task(execution_timeout=timedelta(hours=1), outlets=[CHALLENGER])
def evaluate_challenger(batch_id: str, *, outlet_events) -> dict:
    """Scores champion, challenger and baselines on the same holdout, in a process of its own."""
    from recsys.pipeline.step_process import run_step

    evaluated = run_step("evaluate_challenger", batch_id=batch_id)
    outlet_events[CHALLENGER].extra = {name: evaluated[name] for name in ("model_version", "batch_id", "as_of")}
    return evaluated


# A teardown runs whatever came before. It is not one of those that decide the run's state: then it would be the only
# leaf, and its success would turn a failed run green.
@teardown(on_failure_fail_dagrun=False)
def settle_backlog(batch_id: str) -> dict:
    """Marks the claimed dislikes as used if a challenger was registered from them, else gives them back."""
    from recsys import pipeline

    return pipeline.settle_backlog(batch_id, wall_clock())


@task.run_if(_is_dry_run)
@task(execution_timeout=timedelta(hours=4))
def dry_run(as_of: str, *, run_id: str, params: dict) -> dict:
    """Everything up to the verdict in a process of its own, in a temporary folder; nothing is kept."""
    from recsys.pipeline.step_process import run_step

    return run_step("dry_run", run_id=run_id, as_of=as_of, now=wall_clock(), config=_config(params))


@dag(
    description="Every night: trains a challenger from the backlog of dislikes and compares it with the champion.",
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
    """Backlog of dislikes -> challenger in the registry, evaluated."""
    decision, claim = check_backlog(CUT_OFF), claim_backlog(CUT_OFF)
    listed = list_candidates(BATCH)
    tried = try_candidate.partial(batch_id=BATCH).expand(candidate=listed)
    train, evaluate = train_challenger(BATCH), evaluate_challenger(BATCH)
    settle = settle_backlog(BATCH)
    chain(
        decision, claim, build_training_set(BATCH), validate_training_set(BATCH), listed, tried, train, evaluate, settle
    )  # fmt: skip
    claim >> settle  # whatever happens in between, the backlog is settled
    decision >> dry_run(CUT_OFF)
    for made in (train, evaluate):
        made.operator.operator_extra_links = (ModelVersionLink(),)


feedback_retraining()
