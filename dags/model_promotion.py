"""Decides about a challenger, and promotes it.

Decides whether a challenger becomes the **champion**, the version whose recommendations users see; if so, fits it again
on everything up to its cut-off, tests that, and moves the alias `champion`. That move is the only commit point.

**Runs** when `feedback_retraining` has evaluated a challenger (asset `challenger`), or by hand.

**By hand:** *Trigger*; `model_version` is the number of an evaluated challenger in the registry. A verdict *insufficient
evidence* says that too few users gave feedback yet. `if_insufficient` = *hold* keeps the champion; *extend*, some days
later, compares the same two versions on all that was recorded up to `as_of`, and decides on that. A refused challenger is
not evaluated again. `accept_gain`: you looked at a gain that is too good to be true and found no leak.
`accept_thin_evidence`: you want a challenger with too few users in its holdout, and say why. It is refitted, but
promoted only once a person has approved it by name in `champion_approval`.

**With a person's approval:** `needs_approval` in the form. The refit is then made, but not promoted: `champion_approval` shows
the verdict and asks a person. To be asked every night, set `NEEDS_APPROVAL` in this file.

**A user who is erased meanwhile:** whichever task comes next freezes the training set anew without them, and trains, evaluates,
decides and refits again what was made of the old one; it takes as long as these do. The versions have new numbers then.

| what you see | what it means |
|---|---|
| `extend_holdout` pink | as a rule: the challenger is evaluated on the holdout of its night |
| `extend_holdout` red | the champion changed since, or `as_of` is not later than the holdout's end; nothing was written |
| `decide_promotion` green, what follows pink | not promoted: the log of `decide_promotion` has verdict and reasons |
| the same, "has become champion since" | another run came first; the next run compares with its version |
| `promote` green | the refit is champion; `recommendation_publishing` has started |
| `request_approval` green, `promote` pink | the refit waits for a person: `champion_approval` has started, answer there |
| `decide_promotion` red | no such version, or it was not evaluated: the message says what to run first |
| `refit_challenger` red | the refit failed a behaviour test or moved too far from what was evaluated; the champion stays |
| `promote` red | nothing moved, and the message says why: such as that the champion changed during the refit |

**When red:** the champion is as it was. Fix the cause and clear the red task; every step finds or finishes its own
result, also a promotion that was interrupted. The verdict *insufficient evidence* is no error.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag, task
from assets import AWAITING_APPROVAL, CHALLENGER, CHAMPION, newest_extra
from model_version_link import ModelVersionLink
from run_form import EVIDENCE, as_of_field, model_version_field, switch
from task_defaults import CUT_OFF, RENEWAL_TIMEOUT, TASK_DEFAULTS, run_alerts, wall_clock

NEEDS_APPROVAL = False  # of runs that nobody started by hand

PARAMS = {
    "model_version": model_version_field(
        "Evaluated challenger to decide about. Empty: the one in the event that started the run."
    ),
    "needs_approval": switch(
        "Needs approval",
        "What passes the gate is promoted only after a person has approved it, in a run of champion_approval.",
        on=NEEDS_APPROVAL,
    ),
    "accept_gain": switch(
        "Accept gain",
        "A person has looked at a gain that the gate took for a leak, and found no leak.",
    ),
    "if_insufficient": Param(
        "hold",
        enum=["hold", "extend"],
        type="string",
        title="If insufficient",
        description="Where the evidence is insufficient: hold keeps the champion; extend first compares again on a longer "
        "holdout, up to the cut-off below.",
        section=EVIDENCE,
    ),
    "accept_thin_evidence": Param(
        None,
        type=["null", "string"],
        minLength=1,
        title="Accept thin evidence",
        description="Why a person wants a challenger with few users in its holdout. champion_approval then asks for a name.",
        section=EVIDENCE,
    ),
    "as_of": as_of_field("End of the longer holdout; counts only with extend. Empty: the run's own time.", EVIDENCE),
}


def _named_version(params, events) -> str:
    from recsys.errors import InputError

    model_version = params["model_version"] or newest_extra(events, CHALLENGER).get("model_version")
    if model_version is None:
        raise InputError(
            "Expected the version of an evaluated challenger, got an empty form and no event: trigger again with "
            "model_version, or let feedback_retraining start this DAG."
        )
    return model_version


def _is_promoted(context) -> tuple[bool, str]:
    decision = context["ti"].xcom_pull(task_ids="decide_promotion")
    return decision["verdict"] == "promote", f"{decision['verdict']}: {' '.join(decision['reasons'])}"


def _needs_a_person(context) -> bool:
    return bool(context["params"]["needs_approval"] or context["params"]["accept_thin_evidence"])


def _asks_nobody(context) -> tuple[bool, str]:
    return not _needs_a_person(context), "a person is asked first: see champion_approval"


def _asks_a_person(context) -> tuple[bool, str]:
    return _needs_a_person(context), "nobody is asked: needs_approval is off"


def _is_extending(context) -> tuple[bool, str]:
    choice = context["params"]["if_insufficient"]
    return choice == "extend", f"if_insufficient is {choice}."


@task.run_if(_is_extending)
@task(execution_timeout=timedelta(hours=1))
def extend_holdout(as_of: str, *, params: dict, triggering_asset_events) -> dict:
    """Evaluates the challenger again on a longer holdout, if its evidence is insufficient; in a process of its own."""
    from recsys.pipeline.step_process import run_step

    return run_step("extend_holdout", model_version=_named_version(params, triggering_asset_events), as_of=as_of)


@task(trigger_rule="none_failed", execution_timeout=RENEWAL_TIMEOUT)
def decide_promotion(*, run_id: str, params: dict, triggering_asset_events) -> dict:
    """The gate: promote, reject or insufficient evidence, with reasons. Decides, never acts."""
    from recsys import pipeline

    version = _named_version(params, triggering_asset_events)
    accepted = {name: params[name] for name in ("accept_gain", "accept_thin_evidence")}
    return pipeline.decide_promotion(version, run_id, wall_clock(), **accepted)


@task.run_if(_is_promoted)
@task(execution_timeout=timedelta(hours=2))
def refit_challenger(model_version: str) -> dict:
    """Fits what passed again through the cut-off, in a process of its own; tests and registers it."""
    from recsys.pipeline.step_process import run_step

    return run_step("refit_challenger", model_version=model_version)


@task.run_if(_asks_a_person)
@task(outlets=[AWAITING_APPROVAL])
def request_approval(refit: dict, *, run_id: str, outlet_events) -> dict:
    """Notes that the refit waits for a person's answer, and starts the DAG that asks."""
    from recsys import pipeline

    waiting = pipeline.request_approval(refit["model_version"], run_id, wall_clock())
    outlet_events[AWAITING_APPROVAL].extra = {"model_version": waiting["model_version"]}
    return waiting


@task.run_if(_asks_nobody)
@task(outlets=[CHAMPION], execution_timeout=RENEWAL_TIMEOUT)
def promote(refit: dict, *, run_id: str, outlet_events) -> dict:
    """Moves the alias `champion` to the refit."""
    from recsys import pipeline

    promoted = pipeline.promote(refit["model_version"], run_id, wall_clock())
    outlet_events[CHAMPION].extra = {"model_version": promoted["to_version"], "as_of": refit["as_of"]}
    return {**promoted, "link": refit["link"]}


@dag(
    description="Decides whether an evaluated challenger becomes champion, and if so fits it again and promotes it.",
    schedule=[CHALLENGER],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=3),
    params=PARAMS,
    tags=["feedback", "promotion"],
    doc_md=__doc__,
)
def model_promotion() -> None:
    """Evaluated challenger -> champion, if the gate says so."""
    decision = decide_promotion()
    extend_holdout(CUT_OFF) >> decision
    refit = refit_challenger(decision["model_version"])
    request_approval(refit)
    promoted = promote(refit)
    for made in (refit, promoted):
        made.operator.operator_extra_links = (ModelVersionLink(),)


model_promotion()
