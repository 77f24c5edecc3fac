"""Two runs at once: one goes on, the other says why not; one champion has one successor, and audit and alias agree."""

from __future__ import annotations

import functools
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import pytest

from recsys.config.run import RunConfig
from recsys.pipeline.champion.aliases import move_aliases
from recsys.pipeline.champion.registry_check import check_registry
from recsys.pipeline.context import Context
from recsys.pipeline.promotion.verdict_audit import reaudit
from recsys.pipeline.retraining.fits import register
from recsys.pipeline.retraining.planning import LEASE
from recsys.records import Batch, BatchStatus, Decision, Promotion
from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.integration.command_line import quick
from tests.integration.forkserver import FORKSERVER
from tests.integration.small_stream import FAMILY, FIRST, NOW, SECOND, SECOND_AS_OF
from tests.integration.step_processes import SECONDS, Point, SecondNight

RIVAL = "rival"


def champion_of(settings: Settings) -> str | None:
    with Context.open(settings) as context:
        return context.registry.aliases.get_alias("champion")


def findings_of(settings: Settings) -> list[str]:
    """What differs from the audit. The database of these tests was made beside the files, so it knows no digest of them."""
    with Context.open(settings) as context:
        found = check_registry(context, NOW, repairs=False)
        return [finding.message for finding in found if finding.kind != "no_digest"]


# Two whole runs


def test_of_two_runs_one_goes_on_and_the_other_names_it(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_before("check_backlog"))
    # Forced: one that looked only after the other had claimed would find no backlog and end well.
    arguments = ("run", "--as-of", SECOND_AS_OF.isoformat(), "--force", "two at once", "--family", FAMILY, "--run-id")
    names = ("one", "other")
    with ThreadPoolExecutor(len(names)) as pool:
        ended = list(pool.map(lambda name: quick(second_night.settings, *arguments, name), names))
    runs = dict(zip(names, ended, strict=True))
    assert sorted(run.code for run in ended) == [0, 3], runs
    winner, loser = sorted(names, key=lambda name: runs[name].code)
    assert runs[loser].says("ConflictError")
    assert runs[loser].says(f"run {winner} has held the backlog since")

    with FeedbackStore.open(second_night.settings.database_url) as store:
        assert [promotion.run_id for promotion in store.audit.list_promotions()] == [FIRST, winner]
        assert store.audit.last_promotion().to_version == second_night.call(champion_of, second_night.settings)
        assert store.backlog.get_batch(winner).status == BatchStatus.USED
        assert store.backlog.get_batch(winner).num_examples == second_night.results["claim_backlog"]["num_examples"]
        assert store.backlog.count_backlog(SECOND_AS_OF) == 0
        assert [decision.step for decision in store.audit.list_decisions(run_id=loser)] == ["check_backlog"]


# A run that died


def test_a_check_names_who_holds_the_backlog_and_takes_it_back_from_a_dead_run(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_before("build_training_set"))
    num_examples = second_night.results["claim_backlog"]["num_examples"]
    while_held = second_night.start("check_backlog", run_id="third").value()
    assert (while_held["retrain"], while_held["backlog"]) == (False, 0)
    assert f"Run {SECOND} holds {num_examples} more since" in while_held["reason"]
    assert f"`recsys run --run-id {SECOND}` goes on with it, `recsys release {SECOND}`" in while_held["reason"]
    later = NOW + LEASE + timedelta(seconds=1)
    checked = second_night.start("check_backlog", run_id="fourth", now=later).value()
    assert (checked["retrain"], checked["backlog"]) == (True, num_examples)
    late = second_night.start("build_training_set").outcome()
    assert late.get("error") == "ConflictError", late


def test_the_next_run_takes_over_from_a_dead_one_which_then_stops(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_before("train_challenger"))
    num_examples = second_night.results["claim_backlog"]["num_examples"]
    held = NOW + LEASE
    early = second_night.start("claim_backlog", run_id="third", now=held).outcome()
    assert early["error"] == "ConflictError"
    assert f"run {SECOND} has held the backlog" in early["message"]

    later = held + timedelta(seconds=1)
    assert second_night.start("claim_backlog", run_id="third", now=later).value()["num_examples"] == num_examples
    for step in ("build_training_set", "validate_training_set", "settle_backlog"):
        late = second_night.start(step).outcome()
        assert late.get("error") == "ConflictError", (step, late)
        assert "taken over by run third" in late["message"]
    with FeedbackStore.open(second_night.settings.database_url) as store:
        assert store.backlog.get_batch(SECOND).status == BatchStatus.RELEASED
        assert (store.backlog.get_batch("third").status, store.backlog.get_batch("third").num_examples) == (
            BatchStatus.CLAIMED, num_examples
        )  # fmt: skip
        assert store.backlog.count_backlog(SECOND_AS_OF) == 0
        store.backlog.release_batch("third", later)
        assert store.backlog.count_backlog(SECOND_AS_OF) == num_examples


# Two promotions


def promote_another(settings: Settings) -> None:
    """What another run does that was faster: version 1 becomes champion."""
    with Context.open(settings) as context:
        last = context.store.audit.last_promotion()
        other = Promotion(last.sequence + 1, RIVAL, last.to_version, "1", "passed", NOW, is_complete=False)
        context.store.audit.begin_promotion(other)
        move_aliases(context, NOW)


def judged_again(settings: Settings, run_id: str) -> list[Any]:
    with Context.open(settings) as context:
        (decision,) = context.store.audit.list_decisions(run_id=run_id, step="decide_promotion")
        again = reaudit(context, decision)
        return [again.verdict, list(again.differences)]


def test_what_passed_beside_a_champion_that_serves_no_more_is_held(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_before("decide_promotion"))
    second_night.call(promote_another, second_night.settings)
    decided = second_night.start("decide_promotion").value()
    assert decided["verdict"] == "insufficient_evidence"
    assert decided["reasons"][0].startswith(
        "Version 1 has become champion since this challenger was compared with version 2"
    )
    assert second_night.start("decide_promotion").value() == decided
    assert second_night.call(judged_again, second_night.settings, SECOND) == ["insufficient_evidence", []]


def test_what_was_promoted_stays_so_when_its_gate_is_asked_again(second_night: SecondNight) -> None:
    second_night.restore(second_night.copy_after("promote"))
    second_night.call(promote_another, second_night.settings)
    assert second_night.start("decide_promotion").value() == second_night.results["decide_promotion"]


@dataclass(frozen=True)
class Passed:
    """A run whose challenger passed the gate, with its versions in the registry."""

    run_id: str
    challenger: str
    refit: str


@pytest.fixture(scope="module")
def two_passed(second_night: SecondNight) -> tuple[Path, Passed, Passed]:
    """A copy of a home with the versions of two runs that wait for their promotion, and the runs."""
    second_night.restore(second_night.copy_before("promote"))
    challenger, refit = (
        second_night.results[step]["model_version"] for step in ("train_challenger", "refit_challenger")
    )
    rival = second_night.call(register_rival, second_night.settings)
    copy = second_night.copy_before("two promotions")
    shutil.copytree(second_night.settings.home, copy)
    return copy, Passed(SECOND, challenger, refit), Passed(RIVAL, *rival)


def register_rival(settings: Settings) -> list[str]:
    """Registers the models of the second night once more, as those of another run."""
    with Context.open(settings) as context:
        batch = context.store.backlog.get_batch(SECOND)
        folder = shutil.copytree(context.folder(SECOND), context.folder(RIVAL))
        rival = Batch(**{**vars(batch), "batch_id": RIVAL})
        return [register(context, rival, folder, fit_name) for fit_name in ("judged", "refit")]


def let_pass(store: FeedbackStore, run: Passed, champion: str) -> None:
    """Writes what the steps before `promote` leave in the feedback database."""
    lease = NOW + LEASE
    store.backlog.claim_backlog(
        Batch(run.run_id, SECOND_AS_OF, SECOND_AS_OF, champion, BatchStatus.CLAIMED, 0, RunConfig(), NOW, lease)
    )
    store.backlog.update_batch(run.run_id, challenger_version=run.challenger, refit_version=run.refit)
    store.backlog.settle_backlog(run.run_id, NOW)
    numbers = {"model_version": run.challenger}
    store.audit.record_decision(Decision(run.run_id, "decide_promotion", "promote", (), SECOND_AS_OF, NOW, numbers))


@dataclass(frozen=True)
class Promoters:
    """Two runs before their promotion, on one database and one registry."""

    night: SecondNight
    settings: Settings
    store: FeedbackStore
    one: Passed
    other: Passed
    champion: str

    def start(self, run: Passed, *at: Any) -> Any:
        return self.night.start("promote", *at, settings=self.settings, run_id=run.run_id, model_version=run.refit)

    def agreed_history(self) -> list[str]:
        """Champions in their order, after a look whether audit and aliases agree."""
        promotions = self.store.audit.list_promotions()
        assert all(promotion.is_complete for promotion in promotions)
        assert [promotion.sequence for promotion in promotions] == list(range(1, len(promotions) + 1))
        assert self.night.call(findings_of, self.settings) == []
        return [promotion.to_version for promotion in promotions]


@pytest.fixture
def promoters(second_night: SecondNight, two_passed: tuple[Path, Passed, Passed], database_url: str) -> Any:
    """Both runs; the database is empty but for the first champion and what `let_pass` writes."""
    copy, one, other = two_passed
    second_night.restore(copy)
    home = second_night.settings
    champion = second_night.results["promote"]["from_version"]
    settings = Settings(home.home, database_url, home.tracking_uri)
    with FeedbackStore.open(database_url) as store:
        store.audit.begin_promotion(Promotion(1, FIRST, None, champion, "first", NOW, is_complete=False))
        store.audit.finish_promotion(NOW, lambda rows: None)  # its alias is there
        yield Promoters(second_night, settings, store, one, other, champion)


def meet(barrier: Barrier) -> None:
    """Waits for the other process."""
    barrier.wait(SECONDS)


def fall_asleep(asleep: Event, awake: Event) -> None:
    """Waits to be woken."""
    asleep.set()
    awake.wait(SECONDS)


def test_of_two_promotions_from_one_champion_one_succeeds(promoters: Promoters) -> None:
    for run in (promoters.one, promoters.other):
        let_pass(promoters.store, run, promoters.champion)
    # Both have seen that the champion is the one they were compared with.
    at = Point("recsys.store.parts.audit:Audit.begin_promotion", "before")
    barrier = FORKSERVER.Barrier(2)
    started = [promoters.start(run, at, functools.partial(meet, barrier)) for run in (promoters.one, promoters.other)]
    outcomes = [process.outcome() for process in started]
    assert sorted(outcome.get("error", "none") for outcome in outcomes) == ["ConflictError", "none"], outcomes
    winner = next(outcome["value"] for outcome in outcomes if "error" not in outcome)
    assert winner["from_version"] == promoters.champion
    assert promoters.agreed_history() == [promoters.champion, winner["to_version"]]

    again = [promoters.start(run).outcome() for run in (promoters.one, promoters.other)]
    assert sorted(outcome.get("error", "none") for outcome in again) == ["ConflictError", "none"], again
    assert promoters.agreed_history() == [promoters.champion, winner["to_version"]]


@pytest.mark.parametrize("ending", ["wakes up", "is killed"])
def test_who_is_late_between_two_aliases_takes_nothing_back(promoters: Promoters, ending: str) -> None:
    let_pass(promoters.store, promoters.one, promoters.champion)
    let_pass(promoters.store, promoters.other, promoters.one.refit)
    # The audit row is written and `previous_champion` moved, the champion not yet.
    at = Point("recsys.registry.aliases:Aliases.set_alias", "before", 2)
    asleep, awake, waiting = FORKSERVER.Event(), FORKSERVER.Event(), FORKSERVER.Event()
    late = promoters.start(promoters.one, at, functools.partial(fall_asleep, asleep, awake))
    assert asleep.wait(SECONDS)
    # The next promotion finds a row that is not complete.
    other = promoters.start(
        promoters.other, Point("recsys.pipeline.champion.aliases:move_aliases", "before"), waiting.set
    )
    assert waiting.wait(SECONDS)
    if ending == "wakes up":
        awake.set()
        assert late.value()["to_version"] == promoters.one.refit
    else:
        late.process.kill()
        assert late.wait() == -signal.SIGKILL
    assert other.value()["from_version"] == promoters.one.refit
    assert promoters.agreed_history() == [promoters.champion, promoters.one.refit, promoters.other.refit]


def test_an_unfinished_promotion_of_a_dead_run_is_finished_by_the_next(promoters: Promoters) -> None:
    let_pass(promoters.store, promoters.one, promoters.champion)
    let_pass(promoters.store, promoters.other, promoters.champion)
    intent = Promotion(2, promoters.one.run_id, promoters.champion, promoters.one.refit, "died", NOW, is_complete=False)
    promoters.store.audit.begin_promotion(intent)
    refused = promoters.start(promoters.other).outcome()
    assert refused["error"] == "ConflictError"
    assert f"it is {promoters.one.refit} now" in refused["message"]
    assert promoters.agreed_history() == [promoters.champion, promoters.one.refit]


# A promotion and a rollback


def test_of_a_promotion_and_a_rollback_one_succeeds(promoters: Promoters) -> None:
    let_pass(promoters.store, promoters.one, promoters.champion)
    let_pass(promoters.store, promoters.other, promoters.one.refit)
    promoters.start(promoters.one).value()
    at = Point("recsys.store.parts.audit:Audit.begin_promotion", "before")
    meeting = functools.partial(meet, FORKSERVER.Barrier(2))
    promoted = promoters.start(promoters.other, at, meeting)
    back = promoters.night.start("rollback", at, meeting, settings=promoters.settings)
    outcomes = [promoted.outcome(), back.outcome()]
    assert sorted(outcome.get("error", "none") for outcome in outcomes) == ["ConflictError", "none"], outcomes
    winner = next(outcome["value"] for outcome in outcomes if "error" not in outcome)
    assert winner["from_version"] == promoters.one.refit
    assert promoters.agreed_history() == [promoters.champion, promoters.one.refit, winner["to_version"]]
    again = promoters.start(promoters.other).outcome()
    if winner["to_version"] == promoters.champion:
        assert f"it is {promoters.champion} now" in again["message"]
