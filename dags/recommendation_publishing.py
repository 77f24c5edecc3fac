"""Publishes the champion's recommendations.

Writes them to the feedback store: the top 10 of every user, each with its reason and its
contributions, and one list for users without a history. They are written a few at a time, so that dislikes are recorded
meanwhile, and users get them all at once, when the last one is written. A list that did not change is not written again.

**Runs** when the champion changes (asset `champion`), or by hand.

**By hand:** *Trigger*; leave the form empty to publish the current champion as of now.

| what you see | what it means |
|---|---|
| green | the lists are published; the log has their number |
| red, "Expected a champion" | nothing was promoted yet: trigger `feedback_retraining` |
| red, "Expected to go on with publication" | another process publishes the same version; if none does, clear the task |
| red, "Expected to publish the champion" | the champion changed meanwhile; the newer change starts its own run |

**When red:** users still get the lists that were there before. Fix the cause and clear the task: it goes on with the lists
that are written, and doubles nothing.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task
from assets import CHAMPION, newest_extra
from run_form import as_of_field, model_version_field
from task_defaults import RUN_TIME, TASK_DEFAULTS, run_alerts, wall_clock

PARAMS = {
    "model_version": model_version_field(
        "Must be the champion. Empty: the one in the event that started the run, or the current champion."
    ),
    "as_of": as_of_field(
        "Cut-off: histories are read as of this time. Empty: the cut-off of the promotion, or the run's own time."
    ),
}


@task(execution_timeout=timedelta(hours=2))
def publish_recommendations(run_time: str, *, params: dict, triggering_asset_events) -> dict:
    """Writes every user's list, in a process of its own."""
    from recsys.pipeline.step_process import run_step

    # The form wins over the event, the event over the run's own time.
    named = {"as_of": run_time, **newest_extra(triggering_asset_events, CHAMPION)}
    named |= {name: value for name, value in params.items() if value is not None}
    return run_step("publish_recommendations", now=wall_clock(), **named)


@dag(
    description="Writes each user's recommendations by the champion into the feedback store.",
    schedule=[CHAMPION],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=2),
    params=PARAMS,
    tags=["feedback", "serving"],
    doc_md=__doc__,
)
def recommendation_publishing() -> None:
    """Champion -> recommendation sets."""
    publish_recommendations(RUN_TIME)


recommendation_publishing()
