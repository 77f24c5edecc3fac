"""Files that were changed after they were written: nothing is promoted, published or decided from them, and a check says so."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.errors import ConflictError, DigestError, TerminalError
from recsys.evaluation.gate.evidence import Evidence
from recsys.pipeline.champion.file_check import Finding
from recsys.pipeline.champion.registry_check import check_registry
from recsys.pipeline.context import Context
from recsys.pipeline.kept_files import record_evidence, recorder_of_version
from recsys.pipeline.promotion.verdict_audit import reaudit
from recsys.records import Batch, BatchStatus
from recsys.settings import Settings
from recsys.store.tables import artifact_digests
from tests.integration.audited_loop import FILES, HOUR, START, AuditedLoop
from tests.integration.test_registry import make_spec


def check(loop: AuditedLoop, *, adopts: bool = False) -> list[Finding]:
    return check_registry(loop.context, loop.later(), repairs=False, adopts=adopts)


def model_folder(loop: AuditedLoop, version: str) -> Path:
    return (
        Path(loop.context.registry.files.model_location(version).removeprefix("file://")) / "artifacts" / "recommender"
    )


def edit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def remove_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


WAYS = [edit, cut, Path.unlink]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", WAYS, ids=["edited", "cut", "gone"])
def test_a_refit_whose_model_was_changed_is_not_promoted(
    loop: AuditedLoop, change: Callable[[Path], None], name: str
) -> None:
    loop.champions(1)
    refit = loop.night("2")
    file = model_folder(loop, refit) / name
    change(file)
    with pytest.raises(DigestError) as refused:
        loop.promote(refit)
    assert f"Expected {file} with" in str(refused.value)
    assert "Put it back from a backup" in str(refused.value)
    assert loop.aliases() == ("2", None)
    assert loop.audit() == [("promotion", "2", True)], "not even the intent is written"
    (finding,) = check(loop)
    assert finding.kind == "file_differs"
    assert str(file) in finding.message


def test_nobody_goes_back_to_a_version_that_was_changed(loop: AuditedLoop) -> None:
    loop.champions(3)
    edit(model_folder(loop, "4") / "model.keras")
    with pytest.raises(DigestError, match=r"version 4"):
        pipeline.rollback("back", "lists are worse", loop.later())
    assert loop.aliases() == ("6", "4")
    edit(model_folder(loop, "6") / "model.keras")
    assert pipeline.rollback("further", "both were changed", loop.later(), "2")["to_version"] == "2"
    assert [one.kind for one in check(loop)] == ["file_differs", "file_differs"]


def test_lists_that_are_served_stay_when_the_champion_was_changed(loop: AuditedLoop) -> None:
    loop.champions(2)
    edit(model_folder(loop, "4") / "model.keras")
    with pytest.raises(DigestError, match=r"model\.keras"):
        pipeline.publish_recommendations(loop.now, loop.later(), "4")
    with pytest.raises(ConflictError, match=r"Expected the registry as the audit has it, but: .*model\.keras"):
        pipeline.check_registry(loop.later(), repair=True)


def test_a_model_that_is_gone_is_not_said_to_be_away(loop: AuditedLoop) -> None:
    loop.champions(1)
    shutil.rmtree(model_folder(loop, "2"))
    with pytest.raises(TerminalError, match="no such folder: put it back"):
        loop.context.recommender("2")
    assert {one.kind for one in check(loop)} == {"file_differs"}
    shutil.rmtree(model_folder(loop, "2").parents[1])
    assert [one.kind for one in check(loop)] == ["folder_missing"]


def test_a_file_that_was_put_beside_a_model_is_found(loop: AuditedLoop) -> None:
    loop.champions(1)
    (model_folder(loop, "2").parents[1] / "sitecustomize.py").write_text("print('hello')")
    (finding,) = check(loop)
    assert finding.kind == "file_unexpected"
    assert "sitecustomize.py" in finding.message


@pytest.mark.parametrize("change", WAYS, ids=["edited", "cut", "gone"])
@pytest.mark.parametrize("name", ["per_user.parquet", "evidence.json"])
def test_no_verdict_rests_on_evidence_that_was_changed(
    loop: AuditedLoop, change: Callable[[Path], None], name: str
) -> None:
    loop.night(None)
    change(loop.folder / "run-2" / name)
    with pytest.raises(DigestError, match=name):
        pipeline.decide_promotion("1", "again", loop.later())
    decision = next(one for one in loop.context.store.audit.list_decisions() if one.run_id == "run-2")
    again = reaudit(loop.context, decision)
    assert again is not None
    assert not again.is_same
    assert name in again.differences[0]
    (finding,) = check(loop)
    assert finding.kind == "file_differs"
    assert not loop.context.store.audit.list_decisions(run_id="again")


def test_evidence_that_the_loop_writes_again_is_recorded_again(loop: AuditedLoop) -> None:
    loop.night(None)
    folder = loop.folder / "run-2"
    evidence = Evidence.load(folder)
    replace(evidence, seed=1).save(folder)
    assert [one.kind for one in check(loop)] == ["file_differs"]
    record_evidence(loop.context, "run-2", folder)
    assert check(loop) == []


def test_what_was_made_before_digests_were_kept_is_used_and_adopted(
    loop: AuditedLoop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.champions(1)
    loop.context.store.database.write(lambda c: c.execute(artifact_digests.delete()))
    refit = loop.night("2")
    loop.context.store.database.write(lambda c: c.execute(artifact_digests.delete()))
    loop.promote(refit)
    assert f"No digest is recorded of version {refit}" in caplog.text
    found = check(loop)
    assert {one.kind for one in found} == {"no_digest"}
    assert all("`recsys models check --adopt`" in one.message for one in found)
    adopted = check(loop, adopts=True)
    assert len(adopted) == 6, "two verdicts and four models"
    assert all(one.is_repaired for one in adopted)
    assert check(loop) == []
    edit(model_folder(loop, refit) / "model.keras")
    assert [one.kind for one in check(loop, adopts=True)] == ["file_differs"], "what is known is not adopted anew"


def test_a_store_that_is_gone_or_damaged_is_said_to_be_that(loop: AuditedLoop) -> None:
    loop.champions(2)
    file = loop.context.settings.home / "mlflow" / "mlflow.db"
    whole = file.read_bytes()
    for content, words in (
        (None, "there is no such file: put it back"),
        (b"", "it is empty"),
        (whole[: len(whole) // 2], "malformed"),
        (b"no database" * 100, "file is not a database"),
    ):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        with Context.open(loop.context.settings) as context:
            finding = check_registry(context, loop.later(), repairs=True)[0]
            assert finding.kind == "store_unusable"
            assert words in finding.message
            assert str(file) in finding.message
        if content is None:
            with pytest.raises(TerminalError, match="no such file: put it back"):
                pipeline.publish_recommendations(loop.now, loop.later())
            assert not file.exists(), "a look makes no new store"


def test_a_model_that_somebody_puts_into_mlflow_is_not_loaded(
    settings: Settings, sqlite_template: Path, mlflow_server: str, tmp_path: Path
) -> None:
    settings.home.mkdir()
    shutil.copy(sqlite_template, settings.home / "feedback.db")
    settings = replace(settings, tracking_uri=mlflow_server)
    with Context.open(settings) as context:
        context.store.backlog.claim_backlog(
            Batch("r", START, START - HOUR, None, BatchStatus.CLAIMED, 0, RunConfig(), START, START + HOUR)
        )
        spec = make_spec(tmp_path, "r", dataset_digest="d2" * 32)  # MLflow keeps one source of a digest
        version = context.registry.log_version(spec, recorder_of_version(context, "r", "judged", {}))
        context.store.backlog.update_batch("r", challenger_version=version)
        with context.registry.files.model_files(version) as folder:
            assert (folder / "artifacts" / "recommender" / "model.keras").is_file()
        assert check_registry(context, START, repairs=False) == []
        location = context.registry.files.model_location(version).removeprefix("mlflow-artifacts:/")
        folder_url = f"{mlflow_server}/api/2.0/mlflow-artifacts/artifacts/{location}/artifacts/recommender"
        url = f"{folder_url}/model.keras"
        put = urllib.request.Request(url, data=b"weights of somebody else", method="PUT")
        with urllib.request.urlopen(put) as answer:
            assert answer.status == 200
        with pytest.raises(DigestError, match=r"model\.keras .* got 24 bytes"):
            context.recommender(version)
        (finding,) = check_registry(context, START, repairs=False)
        assert finding.kind == "file_differs"
        assert "model.keras" in finding.message
        with urllib.request.urlopen(urllib.request.Request(folder_url, method="DELETE")) as answer:
            assert answer.status == 200
        with pytest.raises(TerminalError):
            context.recommender(version)
        found = check_registry(context, START, repairs=False)
        assert found
        assert {one.kind for one in found} <= {"folder_missing", "file_differs"}
