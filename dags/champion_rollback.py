"""Makes an earlier champion champion again.

Writes who wanted it and why into the audit, moves the aliases `champion` and `previous_champion`, and has the lists of all
users published anew. Takes seconds; the command line does the same (`recsys rollback --reason TEXT`).

**Runs** by hand only.

**By hand:** *Trigger*, then the form: why, and to which version. `recsys models` shows which versions were champion, and when.

The loop goes on from there: the next night compares its challenger with the version rolled back to, on everything that this
version has not seen. The version rolled back from is never promoted again by a run, also not by one that is cleared or
resumed; a rollback that names it takes it back. To stop promotions altogether, pause `model_promotion`.

| what you see | what it means |
|---|---|
| green | the version is champion; `recommendation_publishing` has started |
| `rollback` red, "Expected a version that was champion" | it was never promoted: the message lists which were |
| `rollback` red, "in the registry" | the version was deleted in MLflow: choose another one |
| `rollback` red, "Expected the version to roll back to" | the champion came by a rollback itself: say to which version |
| `rollback` red, "Expected promotion number" | a promotion came at the same moment: look who is champion now, and decide anew |

**When red:** nothing moved, unless the message says that MLflow went away: then clear the task, and it is finished.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task
from assets import CHAMPION
from model_version_link import ModelVersionLink
from task_defaults import TASK_DEFAULTS, run_alerts, wall_clock

PARAMS = {
    "reason": Param(
        type="string",
        minLength=3,
        maxLength=500,
        title="Because",
        description="Why the champion is taken back. It goes into the audit.",
    ),
    "model_version": Param(
        None,
        type=["null", "string"],
        pattern="^[1-9][0-9]*$",
        title="Model version",
        description="Must have been champion before, and be in the registry. Empty: the previous champion.",
    ),
}


@task(outlets=[CHAMPION])
def rollback(*, run_id: str, params: dict, dag_run, outlet_events) -> dict:
    """Moves the alias `champion` back to an earlier champion."""
    from recsys import pipeline

    done = pipeline.rollback(
        run_id, params["reason"], wall_clock(), params["model_version"], dag_run.triggering_user_name
    )
    outlet_events[CHAMPION].extra = {
        "model_version": done["to_version"]
    }  # histories as of the publishing, not of the fit
    return done


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=1),
    params=PARAMS,
    tags=["feedback", "promotion"],
    doc_md=__doc__,
)
def champion_rollback() -> None:
    """Champion -> an earlier champion."""
    rollback().operator.operator_extra_links = (ModelVersionLink(),)


champion_rollback()
