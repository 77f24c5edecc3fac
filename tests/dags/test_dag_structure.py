"""What the DAG files declare: steps, order, schedule, form, retries."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Annotated, Any

import pytest

from recsys import errors, pipeline
from recsys.config.monitoring import MonitoringConfig
from recsys.config.run import RunConfig
from recsys.config.setting import Setting, settings_of

pytestmark = pytest.mark.airflow

# These orders must never change by accident: a step reads what the one before it left behind.
RETRAINING = {
    "check_backlog": set(),
    "claim_backlog": {"check_backlog"},
    "dry_run": {"check_backlog"},
    "build_training_set": {"claim_backlog"},
    "validate_training_set": {"build_training_set"},
    "list_candidates": {"validate_training_set"},
    "try_candidate": {"list_candidates"},
    "train_challenger": {"try_candidate"},
    "evaluate_challenger": {"train_challenger"},
    "settle_backlog": {"claim_backlog", "evaluate_challenger"},
}
PROMOTION = {
    "extend_holdout": set(),
    "decide_promotion": {"extend_holdout"},
    "refit_challenger": {"decide_promotion"},
    "request_approval": {"refit_challenger"},
    "promote": {"refit_challenger"},
}
APPROVAL = {
    "show_verdict": set(),
    "await_approval": {"show_verdict"},
    "record_answer": {"await_approval"},
    "promote": {"record_answer"},
}
DAGS = {
    "feedback_retraining": RETRAINING,
    "model_promotion": PROMOTION,
    "recommendation_publishing": {"publish_recommendations": set()},
    "feedback_monitoring": {
        "measure_feedback": set(),
        "measure_drift": set(),
        "watch_loop": set(),
        "check_registry": set(),
        "prune_lists": set(),
        "prune_files": set(),
        "complete_erasures": set(),
    },
    "champion_approval": APPROVAL,
    "champion_rollback": {"rollback": set()},
}
GOOD_TIMES = ["2013-06-14T00:00:00+00:00", "2013-06-14T00:00:00Z", "2013-06-14T02:30:00.000Z", None]
BAD_TIMES = ["2013-06-14", "2013-06-14T00:00:00", "yesterday", ""]


def tasks(dag_bag: Any) -> list[Any]:
    return [task for dag in dag_bag.dags.values() for task in dag.tasks]


def test_the_dags_load_without_errors(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == set(DAGS)


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_order_of_the_steps_is_pinned(dag_bag: Any, dag_id: str) -> None:
    assert {task.task_id: task.upstream_task_ids for task in dag_bag.dags[dag_id].tasks} == DAGS[dag_id]


def test_every_task_is_a_step_of_the_pipeline_and_the_other_way_round(dag_bag: Any) -> None:
    task_ids = sorted(task.task_id for task in tasks(dag_bag))
    # A person does one; and promoting comes with and without one.
    assert task_ids == sorted([*pipeline.STEPS, "await_approval", "promote"])


def test_every_task_is_documented_and_limited(dag_bag: Any) -> None:
    for task in tasks(dag_bag):
        assert task.doc_md.strip(), task.task_id
        assert timedelta() < task.execution_timeout <= timedelta(hours=4), task.task_id
        assert task.owner == "recsys", task.task_id


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_dag_is_its_own_manual_and_runs_one_at_a_time(dag_bag: Any, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.tags
    for asked in ("By hand", "what it means", "red"):
        assert asked in dag.doc_md
    mentioned = [task_id for task_id in DAGS[dag_id] if f"`{task_id}` red" in dag.doc_md]
    assert mentioned or "red, " in dag.doc_md


def test_a_dag_has_the_name_of_its_file(dag_bag: Any) -> None:
    assert all(dag.fileloc.endswith(f"/{dag_id}.py") for dag_id, dag in dag_bag.dags.items())


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.TransientError("MLflow is away"), "retry"),
        (errors.TerminalError("no use"), "fail"),
        (errors.DataCheckError("weights above 1"), "fail"),
        (errors.ConflictError("taken over"), "fail"),
        (ValueError("a mistake of ours"), "fail"),
        (OSError("whatever"), "fail"),
    ],
)
def test_only_what_may_pass_is_tried_again(dag_bag: Any, error: Exception, action: str) -> None:
    for task in tasks(dag_bag):
        decision = task.retry_policy.evaluate(error, try_number=1, max_tries=task.retries)
        assert decision.action.value == action, task.task_id
        assert decision.retry_delay is None, "the task's own exponential delay is used"
        assert task.retries >= 1
        assert task.retry_exponential_backoff > 1


def test_retraining_runs_nightly_or_when_the_backlog_is_ready(dag_bag: Any) -> None:
    schedule = dag_bag.dags["feedback_retraining"].timetable
    assert schedule.timetable.expression == "0 2 * * *"
    assert str(schedule.timetable.timezone) == "UTC"
    assert [asset.name for asset in schedule.asset_condition.objects] == ["backlog_ready"]


def test_monitoring_runs_daily_after_the_night(dag_bag: Any) -> None:
    schedule = dag_bag.dags["feedback_monitoring"].timetable
    assert schedule.expression == "0 4 * * *"
    assert str(schedule.timezone) == "UTC"
    assert schedule.run_immediately == timedelta(0)


def test_each_asset_starts_the_next_dag(dag_bag: Any) -> None:
    emitted = sorted((asset.name, task.task_id) for task in tasks(dag_bag) for asset in task.outlets)
    assert emitted == [
        ("awaiting_approval", "request_approval"), ("challenger", "evaluate_challenger"), ("champion", "promote"),
        ("champion", "promote"), ("champion", "rollback"),
    ]  # fmt: skip
    starts = {
        "challenger": "model_promotion", "champion": "recommendation_publishing",
        "awaiting_approval": "champion_approval",
    }  # fmt: skip
    for asset, dag_id in starts.items():
        condition = dag_bag.dags[dag_id].timetable.asset_condition
        assert [found.name for found in condition.objects] == [asset]


@pytest.mark.parametrize("dag_id", DAGS)
def test_being_unpaused_starts_no_run_for_a_time_that_has_passed(dag_bag: Any, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    assert dag.start_date is None
    assert all(task.start_date is None for task in dag.tasks)


def test_the_backlog_is_settled_whatever_happens_after_the_claim(dag_bag: Any) -> None:
    dag = dag_bag.dags["feedback_retraining"]
    claim, settle = dag.get_task("claim_backlog"), dag.get_task("settle_backlog")
    assert claim.is_setup
    assert settle.is_teardown
    assert settle.trigger_rule == "all_done_setup_success"
    assert not settle.on_failure_fail_dagrun, "it would be the only leaf: its success would turn a failed run green"


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_form_explains_every_field(dag_bag: Any, dag_id: str) -> None:
    for name, field in dag_bag.dags[dag_id].params.items():
        assert len(field.description) > 20, name
        assert field.schema["title"], name
        if (dag_id, name) != ("champion_rollback", "reason"):  # a person has to say why
            field.resolve()  # the default passes its own rules


# The setup before the tasks that need it, the teardown after them: Airflow wants that arrow, and draws it beside the line.
BESIDE_THE_LINE = {("claim_backlog", "settle_backlog")}


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_graph_is_a_line_with_branches(dag_bag: Any, dag_id: str) -> None:
    """One arrow into each task; out of it one, or one for each branch of which a run takes a single one."""
    arrows = [
        (upstream, task.task_id) for task in dag_bag.dags[dag_id].tasks for upstream in task.upstream_task_ids
        if (upstream, task.task_id) not in BESIDE_THE_LINE
    ]  # fmt: skip
    assert all(count == 1 for count in Counter(into for _, into in arrows).values())
    forks = {upstream for upstream, count in Counter(out for out, _ in arrows).items() if count > 1}
    assert forks == {"feedback_retraining": {"check_backlog"}, "model_promotion": {"refit_challenger"}}.get(
        dag_id, set()
    )


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_dag_says_in_a_line_what_it_does(dag_bag: Any, dag_id: str) -> None:
    description = dag_bag.dags[dag_id].description
    assert description, "the list of DAGs shows it"
    assert 30 < len(description) < 120
    assert description.endswith(".")


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_title_is_the_field_s_name_in_words(dag_bag: Any, dag_id: str) -> None:
    """The form, the documents, the command line and the API call a field the same."""
    for name, field in dag_bag.dags[dag_id].params.items():
        assert field.schema["title"].replace("-", " ").lower() == name.replace("_", " "), name


@pytest.mark.parametrize(
    ("dag_id", "config"), [("feedback_retraining", RunConfig), ("feedback_monitoring", MonitoringConfig)]
)
def test_the_form_has_every_setting_with_its_default_and_no_other(dag_bag: Any, dag_id: str, config: type) -> None:
    params = dag_bag.dags[dag_id].params
    assert set(params) - {"as_of", "dry_run"} == {setting.name for setting in settings_of(config)}
    for setting in settings_of(config):
        field, chosen = params.get_param(setting.name), params[setting.name]
        assert setting.checked(chosen) == setting.default
        assert field.description.startswith(setting.setting.description)
        assert (field.schema.get("minimum"), field.schema.get("maximum")) == (
            setting.setting.minimum,
            setting.setting.maximum,
        )


def test_a_new_setting_is_a_field_of_the_form() -> None:
    from airflow.sdk.exceptions import ParamValidationError
    from run_form import fields_of, form

    @dataclass(frozen=True, kw_only=True)
    class Wider(RunConfig):
        patience: Annotated[int, Setting("Patience", "Nights to wait.", "Model", minimum=1, maximum=9)] = 3

    fields = form(fields_of(Wider))
    assert list(fields)[-1] == "patience", "with those of its section"
    assert fields["patience"].resolve() == 3
    assert fields["patience"].description == "Nights to wait."
    with pytest.raises(ParamValidationError):
        fields["patience"].resolve(10)


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_form_is_in_sections(dag_bag: Any, dag_id: str) -> None:
    """What is without a section comes first: Airflow shows it open, and the sections closed."""
    sections = [field.schema.get("section") for field in dag_bag.dags[dag_id].params.values()]
    assert sections[0] is None
    assert [section for section, _ in groupby(sections)] == list(dict.fromkeys(sections)), "those of one stand together"


def test_the_form_of_retraining_begins_with_the_dry_run(dag_bag: Any) -> None:
    params = dag_bag.dags["feedback_retraining"].params
    assert next(iter(params)) == "dry_run"
    sections = dict.fromkeys(field.schema.get("section") for field in params.values())
    assert list(sections) == [None, "When", "Triggers", "Model"]


def test_the_log_has_a_line_for_each_fact_instead_of_a_dict(dag_bag: Any) -> None:
    """The steps write the lines (tests of `recsys.pipeline.facts`); Airflow would add what the task returned."""
    shown = {
        task.task_id for task in tasks(dag_bag)
        if getattr(task, "partial_kwargs", vars(task)).get("show_return_value_in_logs", True)
    }  # fmt: skip
    assert shown == {"await_approval"}, "not one of Python's: its result is what the person answered"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("threshold", [1, 20, 1_000_000], [0, -1, 1_000_001, 2.5, "20", None]),
        ("half_life_days", [None, 0.01, 0.5, 90], [0, -3, "30"]),
        ("seed", [0, 7], [-1, 1.5, None]),
        ("dry_run", [True, False], ["yes", None]),
        ("error_threshold", [0, 0.6, 1], [-0.1, 1.1, "0.6", None]),
        ("feature_lift", [1.5, 3], [1, 0, None]),
        ("feature_significance", [0.01, 0.5], [0, 1, None]),
        ("feature_min_count", [1, 10], [0, 2.5, None]),
        ("families", [[], ["closed_form"], ["my.package:Family"]], ["closed_form", [""], [3], None]),
        (
            "eligible",
            [None, {}, {"max_year": 2011, "genres": ["Drama"]}],
            [{"max_year": 3000}, {"before": 2011}, "Drama"],
        ),
        ("backlog_trigger", [True, False], ["no", None]),
        ("force_reason", [None, "new release of the model"], ["", "ok", 5]),
        ("as_of", GOOD_TIMES, BAD_TIMES),
        (
            "families",
            [["closed_form"], ["embedding", "two_tower"], ["my_package.towers:TwoTower"]],
            [[], ["closed_form", "closed_form"], ["a b"], ["x:y:z"], "closed_form", None],
        ),
    ],
)
def test_the_form_of_retraining_refuses_what_makes_no_sense(
    dag_bag: Any, name: str, good: list[Any], bad: list[Any]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    field = copy(dag_bag.dags["feedback_retraining"].params.get_param(name))  # it keeps the last value
    for value in good:
        assert field.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            field.resolve(value)


def test_a_rollback_needs_a_reason(dag_bag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    field = copy(dag_bag.dags["champion_rollback"].params.get_param("reason"))
    with pytest.raises(ParamValidationError):
        field.resolve()
    for value in ("", "no", None, 5):
        with pytest.raises(ParamValidationError):
            field.resolve(value)
    assert field.resolve("lists are worse") == "lists are worse"


def test_a_question_without_an_answer_means_no_before_the_next_night(dag_bag: Any) -> None:
    asked = dag_bag.dags["champion_approval"].get_task("await_approval")
    assert (asked.options, asked.defaults, asked.multiple) == (["Approve", "Reject"], ["Reject"], False)
    assert asked.response_timeout < timedelta(days=1)


def test_nobody_is_asked_unless_somebody_wants_it(dag_bag: Any) -> None:
    assert dag_bag.dags["model_promotion"].params["needs_approval"] is False


@pytest.mark.parametrize(
    "dag_id", ["model_promotion", "recommendation_publishing", "champion_approval", "champion_rollback"]
)
def test_a_model_version_is_a_number_in_the_registry(dag_bag: Any, dag_id: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    field = copy(dag_bag.dags[dag_id].params.get_param("model_version"))
    for value in (None, "1", "12"):
        assert field.resolve(value) == value
    for value in ("0", "champion", "1.5", "", 3):
        with pytest.raises(ParamValidationError):
            field.resolve(value)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("if_insufficient", ["hold", "extend"], ["reject", "", None, True]),
        ("as_of", GOOD_TIMES, BAD_TIMES),
        ("accept_gain", [True, False], ["yes", None]),
        ("accept_thin_evidence", [None, "a recall"], ["", True]),
    ],
)
def test_the_form_of_promotion_refuses_what_makes_no_sense(
    dag_bag: Any, name: str, good: list[Any], bad: list[Any]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    field = copy(dag_bag.dags["model_promotion"].params.get_param(name))
    for value in good:
        assert field.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            field.resolve(value)


def test_a_verdict_is_reached_whether_the_holdout_was_extended_or_not(dag_bag: Any) -> None:
    dag = dag_bag.dags["model_promotion"]
    assert dag.params["if_insufficient"] == "hold"
    assert dag.get_task("decide_promotion").trigger_rule == "none_failed"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("drift_days", [7, 0.5], [0, -1, None]),
        ("max_refusals", [1, 3], [0, 1.5, None]),
        ("max_champion_days", [14, 0.5], [0, None]),
        ("keep_lists_days", [30, 0], [-1, None]),
        ("keep_files_days", [30, 0.5], [0, -1, None]),
        ("prune_dry_run", [True, False], ["yes", None]),
    ],
)
def test_the_form_of_monitoring_refuses_what_makes_no_sense(
    dag_bag: Any, name: str, good: list[Any], bad: list[Any]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    field = copy(dag_bag.dags["feedback_monitoring"].params.get_param(name))
    for value in good:
        assert field.resolve(value) == value
    for value in bad:
        with pytest.raises(ParamValidationError):
            field.resolve(value)


def test_every_task_tells_when_it_failed_and_what_measures_tells_what_it_found(dag_bag: Any) -> None:
    for task in tasks(dag_bag):
        assert [callback.kind for callback in task.on_failure_callback] == ["task_failed"], task.task_id
    telling = {task.task_id for task in tasks(dag_bag) if task.on_success_callback}
    # `check_registry` is red when it finds something; what pruning and erasures do is nothing to look after.
    silent = {"check_registry", "prune_lists", "prune_files", "complete_erasures"}
    assert telling == set(DAGS["feedback_monitoring"]) - silent


def test_what_makes_a_version_links_to_it(dag_bag: Any) -> None:
    linked = {task.task_id for task in tasks(dag_bag) for link in task.operator_extra_links if "MLflow" in link.name}
    assert linked == {
        "train_challenger",
        "evaluate_challenger",
        "refit_challenger",
        "promote",
        "show_verdict",
        "rollback",
    }
