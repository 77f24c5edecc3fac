"""What a run does when its steps decide, fail or succeed. The wiring is real, the steps are recorded answers.

Every run is for a night of 2013: that is its cut-off, and never the time that its records carry.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from recsys import errors, pipeline
from recsys.config.run import RunConfig
from recsys.pipeline import step_process

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.usefixtures("airflow_database")]

NIGHT = datetime(2013, 6, 14, 2, tzinfo=UTC)
AFTER_THE_CLAIM = (
    "build_training_set", "validate_training_set", "list_candidates", "try_candidate", "train_challenger",
    "evaluate_challenger",
)  # fmt: skip
SKIPPED_ALL = dict.fromkeys([*AFTER_THE_CLAIM, "settle_backlog"], "skipped")
ANSWERS: dict[str, dict[str, Any]] = {
    "check_backlog": {"retrain": True, "backlog": 31, "threshold": 20, "reason": "31 of 20"},
    "claim_backlog": {"batch_id": "b1", "as_of": NIGHT.isoformat()},
    "build_training_set": {"digest": "d"},
    "validate_training_set": {"success": True},
    "list_candidates": {"candidates": ["one", "other"]},
    "try_candidate": {"ndcg_at_10": 0.2},
    "train_challenger": {"model_version": "7", "link": "http://mlflow/7"},
    "evaluate_challenger": {
        "model_version": "7",
        "batch_id": "b1",
        "as_of": NIGHT.isoformat(),
        "link": "http://mlflow/7",
    },
    "settle_backlog": {"status": "used"},
    "dry_run": {"would": "promote"},
    "extend_holdout": {"model_version": "7", "extended": True},
    "decide_promotion": {"verdict": "promote", "reasons": ["not worse"], "model_version": "7"},
    "refit_challenger": {"model_version": "8", "as_of": NIGHT.isoformat(), "link": "http://mlflow/8"},
    "promote": {"from_version": "6", "to_version": "8", "sequence": 2},
    "publish_recommendations": {"num_users": 3},
    "measure_feedback": {"alerts": []},
    "measure_drift": {"alerts": []},
    "watch_loop": {"alerts": []},
    "check_registry": {"findings": []},
    "prune_lists": {"num_lists": 0},
    "prune_files": {"num_runs": 0},
    "complete_erasures": {"num_completed": 0, "num_open": 1},
    "request_approval": {"model_version": "8", "as_of": NIGHT.isoformat()},
    "show_verdict": {
        "model_version": "8", "run_id": "r7", "as_of": NIGHT.isoformat(), "subject": "Shall version 8 become champion?",
        "markdown": "**Verdict: promote** {{ not rendered }}", "link": "http://mlflow/8",
    },
    "record_answer": {"verdict": "approve", "reasons": ["Version 8: Approved by ann."]},
    "rollback": {"from_version": "8", "to_version": "6", "sequence": 3, "link": "http://mlflow/6"},
}  # fmt: skip


def is_now(moment: str) -> bool:
    """Whether a step was given the wall clock: these tests take minutes, and run years after their nights."""
    return datetime.now(UTC) - timedelta(hours=1) <= datetime.fromisoformat(moment) <= datetime.now(UTC)


class Steps:
    """Stands in for the steps: notes the calls and gives the answers."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = dict(ANSWERS)
        self.calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.tried: list[str] = []

    def answer(self, name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self.calls[name] = (args, kwargs)
        if name == "try_candidate":
            self.tried.append(kwargs["candidate"])
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    recorded = Steps()

    def stand_in(name: str) -> Callable[..., dict[str, Any]]:
        return lambda *args, **kwargs: recorded.answer(name, *args, **kwargs)

    for name in pipeline.STEPS:
        monkeypatch.setattr(pipeline, name, stand_in(name))
    monkeypatch.setattr(step_process, "run_step", recorded.answer)
    return recorded


def test_a_night_with_enough_dislikes_runs_every_step_with_the_run_s_cut_off_and_the_wall_clock(
    steps: Steps, run: Any
) -> None:
    state, tasks = run("feedback_retraining", NIGHT)
    assert state == "success"
    assert tasks.pop("dry_run") == "skipped"
    assert set(tasks.values()) == {"success"}
    (run_id, as_of, now, config), options = steps.calls["check_backlog"]
    assert run_id.startswith("manual__")
    assert as_of == NIGHT.isoformat()
    assert is_now(now)
    assert options == {"record": True}
    (*claimed, now, planned), given = steps.calls["claim_backlog"]
    assert (claimed, given) == ([run_id, as_of], {})
    assert RunConfig.from_dict(config) == RunConfig.from_dict(planned) == RunConfig()
    assert is_now(now)
    assert sorted(steps.tried) == ["one", "other"]  # `dag.test()` runs what is ready in any order
    assert steps.calls["train_challenger"] == ((), {"batch_id": "b1"})
    (batch_id, now), _ = steps.calls["settle_backlog"]
    assert batch_id == "b1"
    assert is_now(now)


def test_a_night_below_the_threshold_claims_nothing_and_is_green(steps: Steps, run: Any) -> None:
    steps.answers["check_backlog"] = {"retrain": False, "backlog": 3, "threshold": 20, "reason": "3 of 20"}
    state, tasks = run("feedback_retraining", NIGHT)
    assert state == "success"
    assert tasks == {"check_backlog": "success", "claim_backlog": "skipped", "dry_run": "skipped", **SKIPPED_ALL}
    assert set(steps.calls) == {"check_backlog"}


def test_the_form_reaches_the_steps(steps: Steps, run: Any) -> None:
    as_of = "2013-06-10T00:00:00+00:00"
    settings = {
        "threshold": 5, "error_trigger": False, "error_threshold": 0.7, "feature_lift": 2.5, "force_reason": "12345",
        "half_life_days": 30.5, "seed": 3, "families": ["embedding"], "keep_candidate": True,
        "eligible": {"max_year": 2011, "genres": ["Drama"]},
    }  # fmt: skip
    run("feedback_retraining", NIGHT, **settings, as_of=as_of)
    expected = RunConfig.from_dict(settings)
    (run_id, checked, now, config), given = steps.calls["check_backlog"]
    assert (checked, given) == (as_of, {"record": True})
    assert RunConfig.from_dict(config) == expected
    assert is_now(now)
    (*claimed, now, config), given = steps.calls["claim_backlog"]
    assert (claimed, given) == ([run_id, as_of], {})
    assert RunConfig.from_dict(config) == expected
    assert is_now(now)


def test_a_dry_run_computes_all_and_writes_nothing(steps: Steps, run: Any) -> None:
    state, tasks = run("feedback_retraining", NIGHT, dry_run=True)
    assert state == "success"
    assert tasks == {"check_backlog": "success", "claim_backlog": "skipped", "dry_run": "success", **SKIPPED_ALL}
    assert set(steps.calls) == {"check_backlog", "dry_run"}
    assert steps.calls["check_backlog"][1]["record"] is False
    assert RunConfig.from_dict(steps.calls["dry_run"][1]["config"]) == RunConfig()
    assert is_now(steps.calls["dry_run"][1]["now"])


@pytest.mark.parametrize(
    "failing",
    [pytest.param(step, marks=[] if step == "train_challenger" else pytest.mark.thorough) for step in AFTER_THE_CLAIM],
)
def test_a_failed_step_settles_the_backlog_and_stays_red(steps: Steps, run: Any, failing: str) -> None:
    steps.answers[failing] = errors.DataCheckError("Expected weights up to 1, got 2.")
    state, tasks = run("feedback_retraining", NIGHT)
    assert state == "failed"
    assert tasks[failing] == "failed"
    assert tasks["settle_backlog"] == "success"
    (batch_id, now), _ = steps.calls["settle_backlog"]
    assert batch_id == "b1"
    assert is_now(now)


def test_a_run_that_claimed_nothing_settles_nothing(steps: Steps, run: Any) -> None:
    steps.answers["claim_backlog"] = errors.ConflictError("Run x holds the backlog.")
    state, tasks = run("feedback_retraining", NIGHT)
    assert state == "failed"
    assert tasks["claim_backlog"] == "failed"
    assert "settle_backlog" not in steps.calls


def test_an_accepted_challenger_is_refitted_and_the_refit_promoted(steps: Steps, run: Any) -> None:
    state, tasks = run("model_promotion", NIGHT, model_version="7")
    assert state == "success"
    assert tasks.pop("request_approval") == "skipped"
    assert tasks.pop("extend_holdout") == "skipped"
    assert set(tasks.values()) == {"success"}
    (version, run_id, now), options = steps.calls["decide_promotion"]
    assert (version, options) == ("7", {"accept_gain": False, "accept_thin_evidence": None})
    assert is_now(now)
    assert steps.calls["refit_challenger"] == ((), {"model_version": "7"})
    (*promoted, now), _ = steps.calls["promote"]
    assert promoted == ["8", run_id]
    assert is_now(now)


@pytest.mark.parametrize("verdict", ["reject", "insufficient_evidence"])
def test_a_refused_challenger_changes_nothing_and_is_green(steps: Steps, run: Any, verdict: str) -> None:
    steps.answers["decide_promotion"] = {"verdict": verdict, "reasons": ["worse"], "model_version": "7"}
    state, tasks = run("model_promotion", NIGHT, model_version="7")
    assert state == "success"
    skipped = dict.fromkeys(["extend_holdout", "refit_challenger", "request_approval", "promote"], "skipped")
    assert tasks == {"decide_promotion": "success", **skipped}
    assert set(steps.calls) == {"decide_promotion"}


@pytest.mark.parametrize("as_of", ["2013-06-20T00:00:00+00:00", None])
def test_with_extend_the_holdout_grows_before_the_verdict(steps: Steps, run: Any, as_of: str | None) -> None:
    state, tasks = run("model_promotion", NIGHT, model_version="7", if_insufficient="extend", as_of=as_of)
    assert state == "success"
    assert tasks.pop("request_approval") == "skipped"
    assert set(tasks.values()) == {"success"}
    assert list(steps.calls) == ["extend_holdout", "decide_promotion", "refit_challenger", "promote"]
    assert steps.calls["extend_holdout"] == ((), {"model_version": "7", "as_of": as_of or NIGHT.isoformat()})


def test_a_holdout_that_cannot_be_extended_is_no_verdict(steps: Steps, run: Any) -> None:
    steps.answers["extend_holdout"] = errors.ConflictError("Expected version 6 to be champion, it is 9.")
    state, tasks = run("model_promotion", NIGHT, model_version="7", if_insufficient="extend")
    assert state == "failed"
    assert tasks["extend_holdout"] == "failed"
    assert set(steps.calls) == {"extend_holdout"}


def test_a_person_may_accept_a_gain_that_looks_like_a_leak(steps: Steps, run: Any) -> None:
    run("model_promotion", NIGHT, model_version="7", accept_gain=True)
    assert steps.calls["decide_promotion"][1] == {"accept_gain": True, "accept_thin_evidence": None}


def test_who_accepts_thin_evidence_says_why_and_is_asked_for_a_name(steps: Steps, run: Any) -> None:
    state, tasks = run("model_promotion", NIGHT, model_version="7", accept_thin_evidence="a recall")
    assert state == "success"
    assert steps.calls["decide_promotion"][1] == {"accept_gain": False, "accept_thin_evidence": "a recall"}
    assert (tasks["request_approval"], tasks["promote"]) == ("success", "skipped")
    assert "promote" not in steps.calls


def test_a_promotion_without_a_version_says_what_to_name(steps: Steps, run: Any) -> None:
    state, _ = run("model_promotion", NIGHT)
    assert state == "failed"
    assert steps.calls == {}


def test_publishing_by_hand_takes_the_form_and_else_the_run_s_time(steps: Steps, run: Any) -> None:
    assert run("recommendation_publishing", NIGHT)[0] == "success"
    published = dict(steps.calls["publish_recommendations"][1])
    assert is_now(published.pop("now"))
    assert published == {"as_of": NIGHT.isoformat()}
    as_of = "2013-06-10T00:00:00+00:00"
    assert run("recommendation_publishing", NIGHT, model_version="8", as_of=as_of)[0] == "success"
    published = dict(steps.calls["publish_recommendations"][1])
    assert is_now(published.pop("now"))
    assert published == {"as_of": as_of, "model_version": "8"}


def test_monitoring_measures_as_of_the_form_or_the_run(steps: Steps, run: Any) -> None:
    tasks = ("measure_feedback", "measure_drift", "watch_loop", "check_registry", "prune_lists", "prune_files")
    done = dict.fromkeys((*tasks, "complete_erasures"), "success")
    assert run("feedback_monitoring", NIGHT) == ("success", done)
    (now,), _ = steps.calls["complete_erasures"]
    assert is_now(now)
    (measured, now), _ = steps.calls["measure_feedback"]
    assert measured == NIGHT.isoformat()
    assert is_now(now)
    assert steps.calls["watch_loop"] == ((NIGHT.isoformat(), 3, 14), {})
    (now,), options = steps.calls["check_registry"]
    assert options == {"repair": False}
    assert is_now(now)
    (now, days), options = steps.calls["prune_lists"]
    assert (days, options) == (30, {"dry_run": False})
    assert is_now(now)
    (now, days, dry_run), _ = steps.calls["prune_files"]
    assert (days, dry_run) == (30, False)
    assert is_now(now)
    drift = steps.calls["measure_drift"][1]
    assert drift.pop("run_id").startswith("manual__")
    assert is_now(drift.pop("now"))
    assert drift == {"as_of": NIGHT.isoformat(), "drift_days": 7}
    as_of = "2013-06-10T00:00:00+00:00"
    form = {"drift_days": 3, "max_refusals": 2, "max_champion_days": 5.5, "repair": True}
    form |= {"keep_lists_days": 2, "keep_files_days": 7, "prune_dry_run": True}
    run("feedback_monitoring", NIGHT, as_of=as_of, **form)
    assert steps.calls["prune_files"][0][1:] == (7, True)
    assert steps.calls["measure_feedback"][0][0] == as_of
    assert steps.calls["watch_loop"] == ((as_of, 2, 5.5), {})
    assert steps.calls["check_registry"][1] == {"repair": True}
    assert steps.calls["prune_lists"][0][1] == 2
    assert steps.calls["prune_lists"][1] == {"dry_run": True}
    assert (steps.calls["measure_drift"][1]["as_of"], steps.calls["measure_drift"][1]["drift_days"]) == (as_of, 3)


def test_a_registry_that_is_not_as_the_audit_says_turns_the_day_red(steps: Steps, run: Any) -> None:
    steps.answers["check_registry"] = errors.ConflictError("The alias 'champion' is at version 3.")
    state, tasks = run("feedback_monitoring", NIGHT)
    assert (state, tasks.pop("check_registry")) == ("failed", "failed")
    assert set(tasks.values()) == {"success"}


def test_where_a_person_is_asked_the_run_promotes_nothing(steps: Steps, run: Any) -> None:
    state, tasks = run("model_promotion", NIGHT, model_version="7", needs_approval=True)
    assert state == "success"
    assert (tasks["request_approval"], tasks["promote"]) == ("success", "skipped")
    (version, run_id, now), _ = steps.calls["request_approval"]
    assert version == "8"
    assert is_now(now)
    assert run_id == steps.calls["decide_promotion"][0][1]
    assert "promote" not in steps.calls


def test_a_rollback_takes_the_form(steps: Steps, run: Any) -> None:
    state, tasks = run("champion_rollback", NIGHT, reason="lists are worse", model_version="6")
    assert (state, tasks) == ("success", {"rollback": "success"})
    (run_id, reason, now, *given), _ = steps.calls["rollback"]
    assert run_id.startswith("manual__")
    assert [reason, *given] == ["lists are worse", "6", "dag_test"]
    assert is_now(now)


# A person's answer


class Person:
    """Answers a question the way Airflow's API and scheduler do, when the run waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.question: Any = None
        self._answers: Callable[[dict[str, str]], None] = self._time_is_over
        self._sleep = time.sleep
        monkeypatch.setattr(time, "sleep", self._answer)  # while the run waits, `dag.test()` sleeps

    def says(self, answer: str, name: str) -> None:
        self._answers = partial(self._respond, answer, name)

    def _answer(self, seconds: float) -> None:
        from airflow.models.hitl import HITLDetail
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            asked = session.scalars(select(HITLDetail).where(HITLDetail.responded_at.is_(None))).one_or_none()
            if asked is None or asked.task_instance.state != "awaiting_input":
                self._sleep(seconds)  # another one
                return
            self.question = SimpleNamespace(subject=asked.subject, body=asked.body)
            ti = asked.task_instance
            where = {"dag_id": ti.dag_id, "dag_run_id": ti.run_id, "task_id": ti.task_id}
        self._answers(where)

    def _respond(self, answer: str, name: str, where: dict[str, str]) -> None:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
        from airflow.utils.session import create_session

        payload, user = (
            UpdateHITLDetailPayload(chosen_options=[answer]),
            SimpleAuthManagerUser(username=name, role="op"),
        )
        with create_session() as session:
            update_hitl_detail(**where, update_hitl_detail_payload=payload, user=user, session=session)

    def _time_is_over(self, where: dict[str, str]) -> None:
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update

        with create_session() as session:
            waiting = TaskInstance.state == "awaiting_input"
            session.execute(update(TaskInstance).where(waiting).values(trigger_timeout=NIGHT))
        SchedulerJobRunner(Job()).check_awaiting_input_timeouts()


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(monkeypatch)


def test_an_approved_version_is_promoted_in_the_name_of_the_run_that_judged_it(
    steps: Steps, run: Any, person: Person
) -> None:
    person.says("Approve", "ann")
    state, tasks = run("champion_approval", NIGHT, model_version="8")
    assert state == "success"
    assert set(tasks.values()) == {"success"}
    assert person.question.subject == "Shall version 8 become champion?"
    assert person.question.body == "**Verdict: promote** {{ not rendered }}"
    (version, answer, name, _), _ = steps.calls["record_answer"]
    assert (version, answer, name) == ("8", "Approve", "ann")
    (*promoted, now), _ = steps.calls["promote"]
    assert promoted == ["8", "r7"]
    assert is_now(now)


@pytest.mark.parametrize("name", ["bob", None])
def test_a_rejected_or_forgotten_version_is_not_promoted(
    steps: Steps, run: Any, person: Person, name: str | None
) -> None:
    steps.answers["record_answer"] = {"verdict": "reject", "reasons": ["Version 8: Rejected."]}
    if name is not None:
        person.says("Reject", name)
    state, tasks = run("champion_approval", NIGHT, model_version="8")
    assert state == "success"
    assert tasks == {
        "show_verdict": "success", "await_approval": "success", "record_answer": "success", "promote": "skipped",
    }  # fmt: skip
    assert steps.calls["record_answer"][0][:3] == ("8", "Reject", name)
    assert "promote" not in steps.calls


def test_without_a_version_nobody_is_asked(steps: Steps, run: Any) -> None:
    state, _ = run("champion_approval", NIGHT)
    assert state == "failed"
    assert steps.calls == {}


def test_assets_carry_what_the_next_dag_needs(steps: Steps, run: Any) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run("feedback_retraining", NIGHT)
    run("model_promotion", NIGHT, model_version="7")
    run("model_promotion", NIGHT, model_version="7", needs_approval=True)
    with create_session() as session:
        query = select(AssetModel.name, AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        extras = {name: extra for name, extra in session.execute(query.order_by(AssetEvent.id))}
    as_of = NIGHT.isoformat()
    assert extras["challenger"] == {"model_version": "7", "batch_id": "b1", "as_of": as_of}
    assert extras["champion"] == {"model_version": "8", "as_of": as_of}
    assert extras["awaiting_approval"] == {"model_version": "8"}
    run("champion_rollback", NIGHT, reason="lists are worse")
    with create_session() as session:
        assert [extra for name, extra in session.execute(query.order_by(AssetEvent.id))][-1] == {"model_version": "6"}


def test_a_task_links_to_the_version_it_made(steps: Steps, run: Any) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run("model_promotion", NIGHT, model_version="7")
    run("feedback_retraining", NIGHT)
    with create_session() as session:
        query = select(XComModel.task_id, XComModel.value).where(XComModel.key == "_link_ModelVersionLink")
        links = {task_id: value for task_id, value in session.execute(query.order_by(XComModel.timestamp))}
    assert links["train_challenger"] == links["evaluate_challenger"] == "http://mlflow/7"
    assert links["refit_challenger"] == links["promote"] == "http://mlflow/8"


def test_the_newest_event_of_several_counts(dag_bag: Any) -> None:
    from assets import CHALLENGER, CHAMPION, newest_extra

    class Event:
        def __init__(self, day: int, version: str) -> None:
            self.timestamp, self.extra = datetime(2013, 6, day, tzinfo=UTC), {"model_version": version}

    events = {CHALLENGER: [Event(2, "8"), Event(3, "9"), Event(1, "7")]}
    assert newest_extra(events, CHALLENGER) == {"model_version": "9"}
    assert newest_extra(events, CHAMPION) == {}
