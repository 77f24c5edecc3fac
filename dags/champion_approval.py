"""Asks a person whether a version that passed the gate may become champion.

Shows the verdict with its numbers and waits for **Approve** or **Reject**; then promotes, or does not. Who answered and when
goes into the decision ledger and the audit of promotions (`recsys decisions`, `recsys models`).

**Runs** when `model_promotion` is to ask first (`needs_approval`; asset `awaiting_approval`), or by hand. It is a DAG of its
own, so that an open question never holds up the night.

**To answer:** *Required Actions* in Airflow's menu, or the task `await_approval`. Without an answer within 20 hours it
means Reject: the next night asks again, with newer data.

**By hand:** *Trigger* with `model_version`, a refit that `model_promotion` asked about before: it is asked about again,
and the newest answer counts.

| what you see | what it means |
|---|---|
| `await_approval` is waiting | answer it |
| all green | approved: the version is champion; `recommendation_publishing` has started |
| `promote` pink | rejected, or nobody answered; the champion stays |
| `show_verdict` red | nobody asked about this version: trigger `model_promotion` with `needs_approval` |
| `record_answer` red | the version was promoted before the answer was no: use `champion_rollback` |
| `promote` red | nothing moved; the message says why, such as that the champion changed while the question was open |
| `promote` red, "waits for an answer" | a user of its training set was erased, and it was made again: trigger this DAG for it |

**When red:** the champion is as it was. Fix the cause and clear the red task.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import chain, dag, task
from assets import AWAITING_APPROVAL, CHAMPION, newest_extra
from model_version_link import ModelVersionLink
from run_form import model_version_field
from task_defaults import RENEWAL_TIMEOUT, TASK_DEFAULTS, run_alerts, wall_clock

APPROVE, REJECT = "Approve", "Reject"
RESPONSE_TIMEOUT = timedelta(hours=20)  # the next night's question finds this one answered

PARAMS = {
    "model_version": model_version_field(
        "A refit that waits for an answer. Empty: the one in the event that started the run."
    ),
}


def _waiting_version(params, events) -> str:
    from recsys.errors import InputError

    model_version = params["model_version"] or newest_extra(events, AWAITING_APPROVAL).get("model_version")
    if model_version is None:
        raise InputError(
            "Expected the version of a refit that waits for an answer, got an empty form and no event: trigger again with "
            "model_version, or let model_promotion start this DAG (needs_approval in its form)."
        )
    return model_version


def _shown_and_answered(ti) -> tuple[dict, dict]:
    """What the tasks before left behind; not handed over as arguments, each of which would be an arrow in the graph."""
    return ti.xcom_pull(task_ids="show_verdict"), ti.xcom_pull(task_ids="await_approval")


def _is_approved(context) -> tuple[bool, str]:
    answered = context["ti"].xcom_pull(task_ids="record_answer")
    return answered["verdict"] == "approve", " ".join(answered["reasons"])


@task
def show_verdict(*, params: dict, triggering_asset_events) -> dict:
    """What the person is shown: subject and markdown; and the run that the version comes from."""
    from recsys import pipeline

    return pipeline.show_verdict(_waiting_version(params, triggering_asset_events))


def await_approval() -> HITLOperator:
    """Not the provider's `ApprovalOperator`: that one skips what follows a Reject, and nobody would write it down."""
    return HITLOperator(
        task_id="await_approval",
        subject="{{ ti.xcom_pull(task_ids='show_verdict')['subject'] }}",
        body="{{ ti.xcom_pull(task_ids='show_verdict')['markdown'] }}",
        options=[APPROVE, REJECT],
        defaults=REJECT,
        response_timeout=RESPONSE_TIMEOUT,
        doc_md="Waits for a person. No answer within the time means Reject.",
    )


@task
def record_answer(*, ti) -> dict:
    """Writes into the decision ledger what was answered, by whom and when; nobody, if the time was over."""
    from recsys import pipeline

    shown, response = _shown_and_answered(ti)
    (answer,), user = response["chosen_options"], response["responded_by_user"]
    return pipeline.record_answer(
        shown["model_version"], answer, user["name"] if user else None, response["responded_at"]
    )


@task.run_if(_is_approved)
@task(outlets=[CHAMPION], execution_timeout=RENEWAL_TIMEOUT)
def promote(*, ti, outlet_events) -> dict:
    """Moves the alias `champion` to the version, in the name of the run that evaluated it."""
    from recsys import pipeline

    shown, _ = _shown_and_answered(ti)
    promoted = pipeline.promote(shown["model_version"], shown["run_id"], wall_clock())
    outlet_events[CHAMPION].extra = {"model_version": promoted["to_version"], "as_of": shown["as_of"]}
    return {**promoted, "link": shown["link"]}


@dag(
    description="Asks a person whether a version that passed the gate becomes champion, and promotes it on approval.",
    schedule=[AWAITING_APPROVAL],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    **run_alerts(hours=None),
    params=PARAMS,
    tags=["feedback", "promotion"],
    doc_md=__doc__,
)
def champion_approval() -> None:
    """Refit that passed the gate -> a person's answer -> champion."""
    shown, promoted = show_verdict(), promote()
    chain(shown, await_approval(), record_answer(), promoted)
    for made in (shown, promoted):
        made.operator.operator_extra_links = (ModelVersionLink(),)


champion_approval()
