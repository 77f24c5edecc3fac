"""Kill -9 in any step, start it again: the same end state as without, no example lost, nothing doubled."""

from __future__ import annotations

import functools
import getpass
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.pipeline.night import NIGHT_STEPS
from recsys.records import BatchStatus, Dislike
from recsys.store import FeedbackStore
from tests.integration.command_line import quick
from tests.integration.loop_state import differences, state
from tests.integration.small_stream import FAMILY, FIRST_AS_OF, NOW, SECOND, SECOND_AS_OF
from tests.integration.step_processes import SECONDS, Point, SecondNight, wait_until

STORE = "recsys.store.parts"
REGISTRY = "recsys.registry.registry:Registry"

# (step, where it dies): `make test` has the first death of each step, `make test-thorough` all others.
DEATHS: list[tuple[str, Point]] = [
    ("check_backlog", Point("recsys.store.ledger:record_decision", "after")),  # written, but not committed
    ("check_backlog", Point(f"{STORE}.audit:Audit.record_decision", "after")),
    ("claim_backlog", Point("recsys.store.backlog:_open", "after")),  # the batch is there, its examples are not claimed
    ("claim_backlog", Point("recsys.store.backlog:claim", "after")),  # all is written, but not committed
    ("claim_backlog", Point(f"{STORE}.backlog:Backlog.claim_backlog", "after")),
    ("build_training_set", Point("pyarrow.parquet:write_table", "after", 2)),
    ("build_training_set", Point("pathlib:Path.rename", "before")),
    ("build_training_set", Point(f"{STORE}.backlog:Backlog.record_files", "before")),
    ("build_training_set", Point(f"{STORE}.backlog:Backlog.record_files", "after")),
    ("validate_training_set", Point("recsys.training.dataset.checks:make_self_contained", "before")),
    ("validate_training_set", Point(f"{STORE}.backlog:Backlog.update_batch", "before")),
    ("list_candidates", Point("recsys.pipeline.retraining.recipes:candidate_names", "after")),
    ("try_candidate", Point("pathlib:Path.rename", "before")),  # measured, but nothing says so
    ("train_challenger", Point(f"{REGISTRY}._log_model", "after")),  # the model is uploaded, no version points at it
    (
        "train_challenger",
        Point(f"{STORE}.backlog:Backlog.update_batch", "after"),
    ),  # the alias `challenger` is where it was
    ("evaluate_challenger", Point(f"{REGISTRY}.log_evaluation", "after")),
    ("evaluate_challenger", Point("recsys.evaluation.gate.evidence:Evidence.save", "after")),
    ("settle_backlog", Point("recsys.store.backlog:_set", "before")),  # examples are marked, the batch is not
    ("settle_backlog", Point(f"{STORE}.backlog:Backlog.settle_backlog", "after")),
    ("decide_promotion", Point(f"{STORE}.audit:Audit.record_decision", "after")),
    ("decide_promotion", Point("recsys.registry.versions:Versions.set_tags", "after")),
    ("decide_promotion", Point(f"{REGISTRY}.describe", "after")),
    ("refit_challenger", Point(f"{REGISTRY}.log_evaluation", "after")),  # registered, but the batch does not know
    ("refit_challenger", Point(f"{STORE}.backlog:Backlog.update_batch", "after")),
    ("promote", Point(f"{STORE}.audit:Audit.begin_promotion", "after")),  # the audit row is there, no alias has moved
    ("promote", Point(f"{STORE}.audit:Audit.begin_promotion", "before")),
    ("promote", Point("recsys.registry.aliases:Aliases.set_alias", "after")),  # `previous_champion`
    ("promote", Point("recsys.registry.aliases:Aliases.set_alias", "after", 2)),  # `champion`
    ("promote", Point(f"{STORE}.audit:Audit.finish_promotion", "after")),
    (
        "publish_recommendations",
        Point("recsys.store.publications:_add", "after", 3),
    ),  # some of the lists are written, and nobody sees them
    ("publish_recommendations", Point("recsys.store.publications:entry_row", "after", 1_000)),  # in a transaction
    ("publish_recommendations", Point("recsys.store.publications:_complete", "after")),  # done, but not committed
    ("publish_recommendations", Point(f"{STORE}.lists:Lists.replace_recommendation_sets", "after")),
]
FIRST_DEATHS = dict(reversed(DEATHS))


@pytest.fixture(scope="module")
def undisturbed(second_night: SecondNight, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Step -> state after it, of the night that nobody killed; the home is then as after the step."""
    scratch = tmp_path_factory.mktemp("states")

    @functools.cache
    def state_after(step: str, *, ignores_now: bool = False) -> dict[str, Any]:
        second_night.restore(second_night.copy_after(step))
        return state(second_night.settings.home, scratch, ignores_now=ignores_now)

    return state_after


def test_every_step_dies_in_this_module() -> None:
    assert {step for step, _ in DEATHS} == set(NIGHT_STEPS)


@pytest.mark.parametrize(
    ("step", "point"),
    [
        pytest.param(
            step, point, id=f"{step}-{point}", marks=[] if FIRST_DEATHS[step] is point else pytest.mark.thorough
        )
        for step, point in DEATHS
    ],
)
def test_a_killed_step_is_finished_by_running_it_again(
    step: str,
    point: Point,
    second_night: SecondNight,
    undisturbed: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    second_night.restore(second_night.copy_before(step))
    assert second_night.start(step, point).wait() == -signal.SIGKILL, f"It never came to {point}."
    assert second_night.start(step).value() == second_night.results[step]
    if step == "try_candidate":  # it was one of several
        for name in second_night.results["list_candidates"]["candidates"][:-1]:
            second_night.start(step, candidate=name).value()
    found = state(second_night.settings.home, tmp_path)
    assert not differences(found, undisturbed(step))


def test_a_killed_measurement_is_finished_by_running_it_again(second_night: SecondNight, tmp_path: Path) -> None:
    second_night.restore(second_night.copy_before("end"))
    home, version = second_night.settings.home, second_night.results["promote"]["to_version"]
    with FeedbackStore.open(second_night.settings.database_url) as store:
        served = store.lists.get_recommendations("u001")
        assert served is not None
        assert served.recommendation_set_id is not None
        store.lists.add_exposure(served.recommendation_set_id, 10, NOW)
        store.feedback.record_dislikes([Dislike("u001", NOW, NOW, item_id=served.entries[0].item_id)])
        of_one_genre = [item_id for item_id, item in store.catalog.all_items().items() if item.genres == ("Horror",)]
        store.feedback.record_dislikes([Dislike("u002", NOW, NOW, item_id=item_id) for item_id in of_one_genre])
    for point in (
        Point("recsys.store.insights:replace_patterns", "after"),  # written, but not committed
        Point(f"{STORE}.insights:Insights.replace_patterns", "after"),
        Point(f"{REGISTRY}.log_measurement", "after"),
    ):
        assert second_night.start("measure_feedback", point).wait() == -signal.SIGKILL, f"It never came to {point}."
    measured = second_night.start("measure_feedback").value()
    assert measured["versions"] == {version: 0.1}
    assert measured["num_user_patterns"] > 0
    with FeedbackStore.open(second_night.settings.database_url) as store:
        assert len(store.insights.list_patterns(None, NOW)) == measured["num_patterns"]
    found = state(home, tmp_path)
    run = found["versions"][int(version)]
    assert run["num_points"]["served_dislike_rate"] == 1, "a retry adds no second point"
    assert run["run"][3]["served_items"] == 10.0
    assert second_night.start("measure_feedback").value() == measured
    assert not differences(state(home, tmp_path), found)


@pytest.mark.thorough
def test_a_killed_measurement_of_drift_is_finished_by_running_it_again(
    second_night: SecondNight, tmp_path: Path
) -> None:
    # The first champion, and twelve days that it missed.
    second_night.restore(second_night.copy_before("check_backlog"))
    point = Point(f"{REGISTRY}.log_files", "after")  # all is in MLflow, nothing in the ledger
    assert second_night.start("measure_drift", point).wait() == -signal.SIGKILL, f"It never came to {point}."
    measured = second_night.start("measure_drift").value()
    assert measured["champion_version"] == "2"
    assert measured["distances"]["genres"] > 0
    run = state(second_night.settings.home, tmp_path)["versions"][2]
    assert run["num_points"]["drift_genres"] == 1, "a retry adds no second point"
    assert run["run"][3]["drift_genres"] == measured["distances"]["genres"]
    assert [name for name in run["artifacts"] if name.startswith("drift/")] == [measured["report"]]
    with FeedbackStore.open(second_night.settings.database_url) as store:
        (decision,) = store.audit.list_decisions(run_id="monitoring")
    assert (decision.step, decision.verdict) == ("measure_drift", measured["verdict"])
    assert {one["name"]: one["distance"] for one in decision.numbers["drifts"]} == measured["distances"]


def test_a_killed_rollback_is_finished_by_running_it_again_and_the_loop_goes_on_from_there(
    second_night: SecondNight, tmp_path: Path
) -> None:
    second_night.restore(second_night.copy_before("end"))
    settings, promoted = second_night.settings, second_night.results["promote"]
    for point in (
        Point(f"{STORE}.audit:Audit.begin_promotion", "before"),
        Point(f"{STORE}.audit:Audit.begin_promotion", "after"),
        # `previous_champion`: there is none before the first
        Point("recsys.registry.aliases:Aliases.delete_alias", "after"),
        Point("recsys.registry.aliases:Aliases.set_alias", "after"),  # `champion`
        Point(f"{STORE}.audit:Audit.finish_promotion", "after"),
    ):
        assert second_night.start("rollback", point).wait() == -signal.SIGKILL, f"It never came to {point}."
    back = second_night.start("rollback").value()
    assert (back["from_version"], back["to_version"]) == (promoted["to_version"], promoted["from_version"])
    found = state(settings.home, tmp_path)
    assert [row["kind"] for row in found["model_promotions"]] == ["promotion", "promotion", "rollback"]
    assert all(row["is_complete"] for row in found["model_promotions"])
    assert {alias: str(version) for alias, version in found["aliases"].items()} == {
        "challenger": second_night.results["train_challenger"]["model_version"], "champion": back["to_version"],
    }  # fmt: skip

    refused = second_night.start("promote").outcome()  # the night's task is cleared
    assert refused["error"] == "ConflictError"
    third = {"run_id": "third", "now": NOW}
    assert not second_night.start("check_backlog").value()["retrain"], "nor is the night run again"
    batch = second_night.start("claim_backlog", **third).value()
    assert batch["champion_version"] == back["to_version"]
    assert FIRST_AS_OF.isoformat() < batch["fit_through"] < batch["as_of"], "only what that champion has not seen"


def test_a_person_rolls_back_with_one_command_within_a_minute(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_before("end"))
    settings, promoted = second_night.settings, second_night.results["promote"]
    planned = quick(settings, "rollback", "--reason", "lists are worse", "--dry-run")
    assert planned.shows(
        f"Would roll back from version {promoted['to_version']} to version {promoted['from_version']}."
    )
    started = time.monotonic()
    done = quick(settings, "rollback", "--reason", "lists are worse")
    assert (done.code, done.err) == (0, "")
    assert time.monotonic() - started < 60
    assert done.shows(f"Version {promoted['from_version']} is champion instead of version {promoted['to_version']}.")
    with FeedbackStore.open(settings.database_url) as store:
        given = store.lists.get_recommendations("u001")
        assert given is not None
        assert given.model_version == promoted["from_version"]
        assert store.audit.last_promotion().approved_by == getpass.getuser()


@pytest.mark.thorough
def test_a_run_killed_while_it_trains_ends_as_if_nothing_had_happened(
    second_night: SecondNight, undisturbed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    second_night.restore(second_night.copy_before("check_backlog"))
    arguments = ("run", "--as-of", SECOND_AS_OF.isoformat(), "--run-id", SECOND, "--family", FAMILY)
    folder = second_night.settings.batch_folder(SECOND)
    run = second_night.command(tmp_path / "killed.log", *arguments)
    wait_until(lambda: list(folder.glob("judged.*.building")), run)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    with FeedbackStore.open(second_night.settings.database_url) as store:
        batch = store.backlog.get_batch(SECOND)
    assert (batch.status, batch.challenger_version) == (BatchStatus.CLAIMED, None)

    assert second_night.command(tmp_path / "again.log", *arguments).wait(SECONDS) == 0
    found = state(second_night.settings.home, tmp_path, ignores_now=True)
    assert not differences(found, undisturbed(NIGHT_STEPS[-1], ignores_now=True))
