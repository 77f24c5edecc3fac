"""Nights with too few users in the holdout: the champion stays, evidence accumulates, or a person promotes by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.config.triggers import TriggerConfig
from recsys.errors import ConflictError, InputError
from recsys.evaluation.gate.evidence import Evidence
from recsys.pipeline.context import Context
from recsys.pipeline.night import Night, run_night
from recsys.pipeline.promotion import verdict_audit
from recsys.pipeline.retraining.evaluation import load_evidence
from recsys.records import Decision
from tests.integration.command_line import copy_home, quick
from tests.integration.small_stream import FAMILY, FIRST, FIRST_AS_OF

pytestmark = pytest.mark.slow

CHAMPION_AT = FIRST_AS_OF
HOUR = timedelta(hours=1)
NEVER = 100_000  # dislikes: a threshold that no backlog reaches


@dataclass(frozen=True)
class Nights:
    """A place with a champion, and the nights after it."""

    context: Context
    nights: dict[str, Night]

    def verdict(self, name: str) -> Decision:
        return next(d for d in self.context.store.audit.list_decisions(run_id=name) if d.step == "decide_promotion")

    def evidence(self, name: str) -> Evidence:
        return load_evidence(self.context, self.context.store.backlog.get_batch(name))


def night(name: str, at: datetime, *, force: bool = True) -> Night:
    config = RunConfig(
        triggers=TriggerConfig(threshold=NEVER),
        families=(FAMILY,),
        force_reason="a test" if force else None,
        keep_candidate=True,
    )
    return run_night(name, at, lambda: at, config, publishes=False)


@pytest.fixture(scope="module")
def nights(first_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """Three thin nights a few hours apart, the evidence of the first one lost; then nights that nobody forces."""
    with pytest.MonkeyPatch.context() as environment:
        settings = copy_home(first_night, tmp_path_factory.mktemp("thin") / "home")
        for name, value in settings.as_environment().items():
            environment.setenv(name, value)
        with Context.open(settings) as context:
            ran: dict[str, Night] = {}
            for name, hours in (("thin-1", 4), ("thin-2", 8)):
                ran[name] = night(name, CHAMPION_AT + hours * HOUR)
            shutil.rmtree(context.folder("thin-1") / "evidence")
            ran["thin-3"] = night("thin-3", CHAMPION_AT + 10 * HOUR)
            ran["too early"] = night("too early", CHAMPION_AT + 11 * HOUR, force=False)
            ran["enough"] = night("enough", CHAMPION_AT + 36 * HOUR, force=False)
            ran["late"] = night("late", CHAMPION_AT + 40 * HOUR)
            yield Nights(context, ran)


def test_on_too_few_users_the_champion_stays(nights: Nights) -> None:
    for name in ("thin-1", "thin-2", "thin-3", "late"):
        verdict = nights.verdict(name)
        assert verdict.verdict == nights.nights[name].outcome == "insufficient_evidence"
        assert verdict.numbers["num_users"] < 30
        assert "the champion stays" in verdict.reasons[0]
    assert [row.run_id for row in nights.context.store.audit.list_promotions()] == [FIRST, "enough"]


def test_evidence_grows_from_night_to_night_and_when_it_suffices_a_run_is_made_and_promotes(nights: Nights) -> None:
    users = [nights.verdict(name).numbers["num_users"] for name in ("thin-1", "thin-2", "thin-3", "enough")]
    assert users == sorted(users)
    assert users[-1] >= 30
    assert nights.nights["too early"].outcome == "skip"
    checked = nights.nights["enough"].results["check_backlog"]
    assert checked["backlog"] < checked["threshold"]  # no trigger asked for it
    assert not any(checked["triggers"].values())
    thin = nights.verdict("thin-3").numbers["model_version"]
    assert (
        f"Version {thin} could not be evaluated, with too few users; since then at least 33 users" in checked["reason"]
    )
    assert nights.nights["enough"].outcome == "promote"
    at = CHAMPION_AT + 37 * HOUR
    again = pipeline.check_backlog("another", at, at, {"threshold": NEVER}, record=False)
    assert not again["retrain"]  # it was asked once


def test_dislike_exposure_looks_at_what_earlier_verdicts_on_the_champion_saw(nights: Nights) -> None:
    assert nights.evidence("thin-2").pooled_from[0]["batch_id"] == "thin-1"
    third = nights.evidence("thin-3")
    assert [one["batch_id"] for one in third.pooled_from] == ["thin-2"]
    (lost,) = third.not_pooled
    assert lost in nights.verdict("thin-3").reasons
    assert lost.startswith("The evidence of run thin-1, an earlier verdict on the same champion, is gone")
    table = third.opinions
    assert not table.duplicated(["user_id", "item_id"]).any()
    assert set(third.own_opinions["user_id"]) == set(third.users("champion").index)
    counts = table["batch_id"].value_counts()
    assert counts["thin-2"] == third.pooled_from[0]["num_opinions"] > 0
    assert nights.evidence("late").pooled_from == []  # of another champion


def test_every_verdict_follows_from_its_own_evidence_alone(nights: Nights) -> None:
    for name in ("thin-2", "thin-3", "enough", "late"):
        again = verdict_audit.reaudit(nights.context, nights.verdict(name))
        assert again is not None
        assert again.differences == ()


def test_who_was_erased_is_in_no_new_evidence(nights: Nights) -> None:
    from recsys.pipeline.retraining.pooled_opinions import pool_opinions

    store, batch = nights.context.store, nights.context.store.backlog.get_batch("thin-3")
    evidence = nights.evidence("thin-3")
    theirs = evidence.opinions[evidence.opinions["batch_id"] == "thin-2"]
    own = evidence.own_opinions.drop(columns="batch_id")
    gone = str(theirs["user_id"].iloc[0])  # evidence names users by pseudonyms
    everyone = store.stream.read_events(None, batch.as_of)["user_id"].unique().to_pylist()
    (user_id,) = [one for one in everyone if nights.context.pseudonym(one) == gone]

    def pooled_users() -> set[str]:
        pool = pool_opinions(
            nights.context, batch, own, batch.as_of, load=lambda other, _: load_evidence(nights.context, other)
        )
        return set(pool.opinions.loc[pool.opinions["batch_id"] != "thin-3", "user_id"])

    assert gone in pooled_users()
    store.erasures.erase_user(user_id, "a test", CHAMPION_AT)
    assert gone not in pooled_users()


def test_a_person_may_promote_without_evidence_by_name_and_not_silently(nights: Nights) -> None:
    context, settings = nights.context, nights.context.settings
    version = nights.nights["late"].results["train_challenger"]["model_version"]
    at = CHAMPION_AT + 41 * HOUR
    with pytest.raises(InputError, match="Expected a reason"):
        pipeline.decide_promotion(version, "by-hand", at, accept_thin_evidence=" ")
    decided = pipeline.decide_promotion(version, "by-hand", at, accept_thin_evidence="a recall")
    assert decided["verdict"] == "promote"
    version = decided["model_version"]  # trained again, if a user of its set was erased in the test before
    again = verdict_audit.reaudit(context, nights.verdict("by-hand"))
    assert again is not None
    assert again.is_same
    refit = pipeline.refit_challenger(version)["model_version"]
    with pytest.raises(
        ConflictError, match=rf"a person's approval of version {refit}, since too little evidence .* by-hand"
    ):
        pipeline.promote(refit, "by-hand", at)
    done = quick(settings, "promote", version, "--accept-thin-evidence", "a recall", "--by", "ann", "--no-publish")
    assert (done.code, done.err) == (0, "")
    assert done.shows("There is too little evidence for the gate, and a person accepts that")
    assert done.shows(f"Version {refit} is champion")
    last = context.store.audit.list_promotions()[-1]
    assert (last.to_version, last.approved_by) == (refit, "ann")
    assert last.reason == f"thin evidence about version {version} was accepted: a recall"
