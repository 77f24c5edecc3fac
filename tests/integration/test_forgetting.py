"""Whoever is erased in the middle of a night is not learned from: as if they had never been there, wherever it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.errors import ConflictError
from recsys.evaluation.gate.evidence import Evidence
from recsys.pipeline import kept_files
from recsys.pipeline.champion.registry_check import check_registry
from recsys.pipeline.context import Context
from recsys.pipeline.erasure import refreezing
from recsys.pipeline.erasure.purge import purge
from recsys.records import BatchStatus
from recsys.registry.deletion import FitRemover
from recsys.run_ids import folder_name
from recsys.settings import Settings
from recsys.store.erasures import Erasure
from recsys.store.parts.erasures import Erasures
from tests.integration.audited_loop import AuditedLoop
from tests.integration.command_line import copy_home, quick
from tests.integration.forgotten_user import (
    DATABASE,
    ERASED_AT,
    FROZEN,
    NOW,
    PERSON,
    STEPS,
    files_naming,
    go_on,
    models_in,
    new_home,
    numbers_of,
    record_night,
)
from tests.integration.small_stream import FIRST

pytestmark = pytest.mark.slow
# `make test`; the others `make test-thorough`. An erasure before `evaluate_challenger` is in `make test` too: there the step
# dies first, and then all is asked that is asked here.
OFTEN = ("build_training_set", "promote")
MADE = {
    "train_challenger": 1,
    "evaluate_challenger": 1,
    "settle_backlog": 1,
    "decide_promotion": 1,
    "refit_challenger": 2,
}


@dataclass(frozen=True)
class Recorded:
    """A night that nobody disturbed, the home before each of its steps, and the numbers without the person."""

    results: dict[str, dict[str, Any]]
    copies: Path
    never_there: dict[str, Any]

    def before(self, step: str) -> Path:
        return self.copies / step

    def copy(self, step: str, target: Path) -> Settings:
        """The home before a step, at another path. Before there is a version, MLflow's store is made anew."""
        source = self.before(step)
        if list((source / "mlflow").rglob("MLmodel")):
            return copy_home(source, target)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("mlflow"))
        return Settings.under(target)


@contextmanager
def using(settings: Settings) -> Iterator[Context]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.as_environment().items():
            environment.setenv(name, value)
        with Context.open(settings) as context:
            yield context


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("forgetting")
    settings = new_home(folder / "home")
    with using(settings) as context:
        results = record_night(settings, folder / "before")
        planned = context.store.backlog.get_batch(FIRST)
    without = new_home(folder / "without", without=(PERSON,))
    with using(without) as context:
        # The same cut-offs: where the holdout begins depends on how many events there are.
        context.store.backlog.claim_backlog(replace(planned, status=BatchStatus.CLAIMED))
        go_on("build_training_set", results)
        never_there = numbers_of(context, context.store.backlog.get_batch(FIRST))
    return Recorded(results, folder / "before", never_there)


def test_nothing_that_a_night_leaves_names_its_users_but_the_database_and_the_frozen_set(night: Recorded) -> None:
    named = files_naming(night.before("end"), "person-")
    assert {name for name in named if not name.startswith(DATABASE)} == {
        f"artifacts/{folder_name(FIRST)}/{FROZEN}/{table}.parquet" for table in ("training_set", "histories")
    }
    examples = [path.name for path in night.before("end").rglob("*input_example.json")]
    assert sorted(set(examples)) == ["input_example.json", "serving_input_example.json"], (
        "they are there, and name nobody"
    )


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in OFTEN else pytest.mark.thorough) for step in STEPS]
)
def test_a_user_who_is_erased_before_a_step_is_not_learned_from(night: Recorded, step: str, tmp_path: Path) -> None:
    with using(night.copy(step, tmp_path / "home")) as context:
        erasure = context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        require_forgotten(context, night, step, erasure)


def require_forgotten(context: Context, night: Recorded, step: str, erasure: Erasure) -> None:
    """The night goes on from a step, learns nothing from the person, and in the end nothing names them."""
    done = go_on(step, night.results)
    batch = context.store.backlog.get_batch(FIRST)
    assert numbers_of(context, batch) == night.never_there
    assert context.registry.aliases.get_alias("champion") == done["promote"]["to_version"] == batch.refit_version
    assert context.registry.versions.get_tags(str(batch.refit_version))["dataset_digest"] == batch.training_set_digest
    assert batch.status is BatchStatus.USED
    decided = context.store.audit.list_decisions(run_id=FIRST, step="forget_users")
    assert bool(decided) == (step != "build_training_set")
    for one in decided:
        (change,) = one.numbers["changes"]
        assert (change["at_step"], change["num_users"]) == (
            step if step != "settle_backlog" else "decide_promotion",
            1,
        )
        assert (change["old_digest"], change["new_digest"]) == (
            night.results["build_training_set"]["digest"], batch.training_set_digest,
        )  # fmt: skip
    made = pipeline.complete_erasures(NOW)
    assert len(made.get("model_versions", ())) == MADE.get(_before(step), 0)
    assert set(erasure.model_versions) <= set(made.get("model_versions", ()))
    if made["num_open"]:
        purged = quick(context.settings, "erasures", "purge", "--yes", "--json")
        assert purged.code == 0, purged.err
        assert json.loads(purged.out)["refused"] == []
    (proof,) = context.store.erasures.list_erasures()
    assert proof.completed_at is not None
    assert files_naming(context.settings.home, PERSON) == set()


def _before(step: str) -> str:
    return STEPS[max(0, STEPS.index(step) - 1)] if step != STEPS[0] else ""


class Killed(BaseException):
    """Ends a step wherever it is."""


@pytest.mark.parametrize("place_of_death", ["before the ledger says so", "before the new set is in its place"])
def test_a_step_that_died_while_it_froze_anew_is_finished_by_running_it_again(
    night: Recorded, place_of_death: str, tmp_path: Path
) -> None:
    with using(night.copy("evaluate_challenger", tmp_path / "home")) as context:
        erasure = context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        with pytest.MonkeyPatch.context() as death:
            if place_of_death == "before the ledger says so":
                death.setattr(Erasures, "freeze_anew", _die)
            else:
                death.setattr(Path, "rename", _dying_at(refreezing.ANEW))
            with pytest.raises(Killed):
                pipeline.evaluate_challenger(FIRST)
        require_forgotten(context, night, "evaluate_challenger", erasure)
        (decided,) = context.store.audit.list_decisions(run_id=FIRST, step="forget_users")
        assert len(decided.numbers["changes"]) == 1
        assert not (context.folder(FIRST) / refreezing.ANEW).exists()


def _dying_at(name: str) -> Any:
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        if self.name == name:
            raise Killed
        return rename(self, target)

    return watched


def test_versions_that_knew_an_erased_user_go_on_request_once_they_serve_no_more(
    night: Recorded, tmp_path: Path
) -> None:
    with using(night.copy("end", tmp_path / "home")) as context:
        context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        judged, champion = (night.results[step]["model_version"] for step in ("train_challenger", "refit_challenger"))
        left = pipeline.complete_erasures(NOW)
        assert (left["num_open"], left["model_versions"], left["batches"]) == (1, [judged, champion], [FIRST])
        planned = quick(context.settings, "erasures", "purge", "--dry-run")
        assert planned.shows(f"Version {judged} stays: it is the newest challenger")
        assert planned.shows(f"Version {champion} stays: it is champion")
        assert planned.shows(f"The training set of run {FIRST} stays as long as version {judged} does.")

        models = models_in(context.settings.home)
        assert len(models) == 2
        later = AuditedLoop(context, tmp_path / "evidence", now=NOW)
        second = later.night(champion)
        later.promote(second)
        third = later.night(second)
        later.promote(third)
        context.registry.aliases.set_alias("challenger", str(int(third) - 1))
        purged = quick(context.settings, "erasures", "purge", "--yes")
        assert purged.code == 0, purged.err
        assert purged.shows(f"versions {judged}, {champion}")
        assert [one.version for one in context.registry.versions.list_versions()] == [str(n) for n in range(3, 7)]
        assert not [path for path in models if path.exists()], "no file of either is left"
        assert not (context.folder(FIRST) / FROZEN).exists()
        assert files_naming(context.settings.home, PERSON) == set()
        (proof,) = context.store.erasures.list_erasures()
        assert proof.completed_at is not None
        assert proof.remaining == {}
        assert quick(context.settings, "erasures").shows("complete")

        # Nothing stumbles over what is gone.
        assert check_registry(context, NOW, repairs=False) == []
        for command in (("models",), ("models", "check"), ("status",), ("decisions",), ("decisions", "show", "1")):
            shown = quick(context.settings, *command)
            assert shown.code == 0, (command, shown.err)
        refused = quick(context.settings, "rollback", "--reason", "lists are worse", "--to", champion)
        assert refused.says(f"Expected version {champion} in the registry, but it was deleted there")
        assert later.audit()[-1] == ("promotion", third, True)
        back = quick(context.settings, "erasures", "purge", "--yes")
        assert back.code == 0
        assert back.shows("Nothing holds a user who was erased.")


def test_what_a_killed_purge_left_goes_with_the_next(night: Recorded, tmp_path: Path) -> None:
    with using(night.copy("end", tmp_path / "home")) as context:
        context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        models = models_in(context.settings.home)
        assert len(models) == 2
        later = AuditedLoop(context, tmp_path / "evidence", now=NOW)
        for _ in range(2):
            version = later.night(context.registry.aliases.get_alias("champion"))
            later.promote(version)
        context.registry.aliases.set_alias("challenger", version)
        with pytest.MonkeyPatch.context() as death:
            death.setattr(FitRemover, "delete_fit", _die)
            with pytest.raises(Killed):
                purge(context, NOW)
        assert [one.version for one in context.registry.versions.list_versions()] == [str(n) for n in range(3, 7)]
        assert len(pipeline.complete_erasures(NOW)["runs"]) == 2
        purge(context, NOW)
        assert pipeline.complete_erasures(NOW) == {"num_completed": 0, "num_open": 0}
        assert not [path for path in models if path.exists()]


def _die(*arguments: Any) -> None:
    raise Killed


def test_evidence_from_before_pseudonyms_is_read_and_gets_them_on_request(night: Recorded, tmp_path: Path) -> None:
    with using(night.copy("end", tmp_path / "home")) as context:
        folder = context.folder(FIRST) / "evidence"
        kept = Evidence.load(folder)
        everyone = context.store.stream.read_events(None, NOW)["user_id"].unique().to_pylist()
        ids = {context.pseudonym(user_id): user_id for user_id in everyone}
        tables = {name: getattr(kept, name) for name in ("per_user", "slices", "opinions")}
        renamed: dict[str, Any] = {
            name: table.assign(user_id=table["user_id"].map(ids)) for name, table in tables.items()
        }
        replace(kept, **renamed, is_keyed=False).save(folder)
        kept_files.record_evidence(context, FIRST, folder)
        (decided,) = context.store.audit.list_decisions(run_id=FIRST, step="decide_promotion")
        again = ("decisions", "show", str(decided.decision_id))
        shown = quick(context.settings, *again)
        assert shown.code == 0, shown.out

        context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        assert pipeline.complete_erasures(NOW)["files"] == [f"artifacts/{folder_name(FIRST)}/evidence"]
        assert json.loads(quick(context.settings, "erasures", "purge", "--yes", "--json").out)["files"]
        assert "files" not in pipeline.complete_erasures(NOW)
        assert Evidence.load(folder).per_user.equals(kept.per_user)
        assert not [name for name in files_naming(context.settings.home, "person-") if "evidence" in name]
        assert quick(context.settings, *again).code == 0


def test_whoever_approved_a_refit_that_knew_the_user_is_asked_about_the_new_one(
    night: Recorded, tmp_path: Path
) -> None:
    with using(night.copy("promote", tmp_path / "home")) as context:
        refit = night.results["refit_challenger"]["model_version"]
        pipeline.request_approval(refit, FIRST, NOW)
        pipeline.record_answer(refit, "approve", "ann", NOW)
        context.store.erasures.erase_user(PERSON, "themselves", ERASED_AT)
        with pytest.raises(ConflictError, match="to be approved, but it waits for an answer"):
            pipeline.promote(refit, FIRST, NOW)
        again = str(context.store.backlog.get_batch(FIRST).refit_version)
        assert again != refit
        assert context.registry.aliases.get_alias("champion") is None
        pipeline.record_answer(again, "approve", "ann", NOW)
        assert pipeline.promote(refit, FIRST, NOW)["to_version"] == again, "also where the old one is named"
        assert pipeline.promote(refit, FIRST, NOW)["to_version"] == again
        assert [row.to_version for row in context.store.audit.list_promotions()] == [again]
