"""Files of past runs go when nothing needs them any more; what verdicts and audits rest on stays. `recsys storage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.config.run import RunConfig
from recsys.errors import InputError
from recsys.pipeline.monitoring.pruning import size_of
from recsys.pipeline.promotion.verdict_audit import reaudit
from recsys.records import Batch, BatchStatus
from recsys.store import FeedbackStore
from tests.integration.audited_loop import AuditedLoop, make_evidence
from tests.integration.command_line import quick, state
from tests.integration.conftest import Champion

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=40), NOW - timedelta(days=20)
PARTS = {"training_set", "data_docs", "judged", "refit", "candidates", "evidence", "training_set.x1.building"}
ONCE, BEFORE, CHAMPION, REFUSED, RECENT, NEWEST = "run-2", "run-4", "run-6", "run-8", "run-10", "run-12"


def write(file: Path, at: datetime) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x" * 1_000, encoding="utf-8")
    os.utime(file, (at.timestamp(), at.timestamp()))


def parts(loop: AuditedLoop, run_id: str) -> set[str]:
    folder = loop.context.folder(run_id)
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def leave_files(loop: AuditedLoop, run_id: str, at: datetime) -> None:
    """What the steps of a run leave in its folder."""
    folder, context = loop.context.folder(run_id), loop.context
    for part in PARTS - {"evidence"}:
        write(folder / part / "file", at)
    batch = context.store.backlog.get_batch(run_id)
    evidence = make_evidence(batch, str(batch.challenger_version)).save(folder / "evidence")
    for file in evidence.iterdir():
        os.utime(file, (at.timestamp(), at.timestamp()))
    context.store.backlog.update_batch(
        run_id, training_set_uri=context.settings.reference(folder / "training_set"), training_set_digest="d" * 64,
        data_docs_uri=context.settings.reference(folder / "data_docs" / "index.html"),
        evidence_uri=context.settings.reference(evidence),
    )  # fmt: skip


@pytest.fixture
def runs(loop: AuditedLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditedLoop:
    """Six runs: three champions one after the other, and three that were not promoted; all old but one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    Path(tempfile.gettempdir()).mkdir()
    champions = loop.champions(3)
    for _ in range(3):
        loop.night(champions[-1])
    for run_id in (ONCE, BEFORE, CHAMPION, REFUSED, RECENT, NEWEST):
        leave_files(loop, run_id, YOUNG if run_id == RECENT else OLD)
    return loop


def test_only_what_nothing_needs_goes(runs: AuditedLoop) -> None:
    home = runs.context.settings.home
    write(home / "artifacts" / "somebody's" / "file", OLD)
    write(home / "replay" / "june" / "artifacts" / REFUSED / "refit" / "file", OLD)
    before = state(home)
    dry = pipeline.prune_files(NOW, prune_dry_run=True)
    assert (dry["num_runs"], dry["dry_run"], dry["freed_mb"]) == (2, True, 0.0)
    assert state(home) == before
    done = pipeline.prune_files(NOW)
    assert done == {**dry, "dry_run": False}
    assert parts(runs, ONCE) == {"evidence", "training_set"}, "it was champion: what it learned from stays"
    assert parts(runs, REFUSED) == {"evidence"}
    for kept in (BEFORE, CHAMPION, RECENT, NEWEST):
        assert parts(runs, kept) == PARTS, kept
    assert (home / "artifacts" / "somebody's" / "file").exists()
    assert (home / "replay" / "june" / "artifacts" / REFUSED / "refit" / "file").exists()
    assert pipeline.prune_files(NOW)["num_runs"] == 0, "a second time finds nothing"


def test_the_database_names_no_file_that_is_gone_and_verdicts_can_still_be_judged_again(runs: AuditedLoop) -> None:
    pipeline.prune_files(NOW)
    refused, once = (runs.context.store.backlog.get_batch(run_id) for run_id in (REFUSED, ONCE))
    assert (refused.training_set_uri, refused.data_docs_uri) == (None, None)
    assert refused.training_set_digest == "d" * 64
    assert once.training_set_uri is not None
    assert once.data_docs_uri is None
    verdicts = runs.context.store.audit.list_decisions(limit=None, step="decide_promotion")
    assert len(verdicts) == 6
    for verdict in verdicts:
        again = reaudit(runs.context, verdict)
        assert again is not None
        assert again.is_same, (verdict.run_id, again.differences)


def test_a_run_that_is_under_way_keeps_its_files(runs: AuditedLoop) -> None:
    store = runs.context.store
    at = runs.later()
    store.backlog.claim_backlog(
        Batch("open", at, at, None, BatchStatus.CLAIMED, 0, RunConfig(), at, at + timedelta(hours=1))
    )
    write(runs.context.folder("open") / "judged" / "file", OLD)
    assert pipeline.prune_files(NOW)["num_runs"] == 2
    assert parts(runs, "open") == {"judged"}
    store.backlog.release_batch("open", at)
    assert pipeline.prune_files(NOW)["num_runs"] == 1
    assert parts(runs, "open") == set()


def test_after_a_rollback_the_version_that_serves_again_keeps_its_files(runs: AuditedLoop) -> None:
    pipeline.rollback("back", "lists are worse", runs.later(), model_version="2")
    pipeline.prune_files(NOW)
    assert parts(runs, ONCE) == PARTS
    assert parts(runs, CHAMPION) == {"evidence", "training_set"}


def test_scratch_of_killed_processes_goes_and_nobody_elses(runs: AuditedLoop) -> None:
    temporary = Path(tempfile.gettempdir())
    for name, at in (("recsys-dry-run-a", OLD), ("recsys-version-b", YOUNG), ("other-c", OLD)):
        write(temporary / name / "file", at)
    write(runs.context.settings.home / "mlflow" / "mlflow.db.x.building" / "file", OLD)
    assert pipeline.prune_files(NOW)["num_scratch_folders"] == 2
    assert {path.name for path in temporary.iterdir()} == {"recsys-version-b", "other-c"}
    assert pipeline.prune_files(NOW, keep_files_days=10)["num_scratch_folders"] == 1
    with pytest.raises(InputError, match="Expected days above 0, got 0"):
        pipeline.prune_files(NOW, keep_files_days=0)


def test_storage_counts_every_byte_once_and_loads_no_big_library(champion: Champion) -> None:
    settings = champion.settings
    with FeedbackStore.open(settings.database_url) as store:  # SQLite's own files beside the database stay as they are
        assert store.stream.stream_summary(NOW).num_dislikes > 0
        said = quick(settings, "storage", "--json")
        in_all = sum(file.stat().st_size for file in settings.home.rglob("*") if file.is_file())
    assert said.code == 0, said.err
    found = json.loads(said.out)
    sizes = {kind["name"]: kind["num_bytes"] for kind in found["kinds"]}
    assert found["home"] == str(settings.home)
    assert sum(sizes.values()) == in_all
    numbers = {kind["name"]: kind["num"] for kind in found["kinds"]}
    assert (numbers["model versions in MLflow"], numbers["frozen training sets"]) == (2, 1)
    assert set(found["versions"]) == {"1", "2"}
    assert sum(found["versions"].values()) == sizes["model versions in MLflow"] > 100_000
    lists = sum(size for name, size in sizes.items() if name.startswith("feedback database"))
    assert 0 < sizes.get("feedback database: lists", 1) < lists
    assert found["prunable"]["num_runs"] == 0
    shown = quick(settings, "storage")
    assert shown.shows("model versions in MLflow 2 versions"), shown.out
    code = (
        "import sys; from recsys.cli import app; app(['storage'], standalone_mode=False); "
        "sys.exit(bool({'tensorflow', 'mlflow', 'great_expectations'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], env={**os.environ, **settings.as_environment()}, check=False)
    assert loaded.returncode == 0, "it takes seconds to load those"


def test_files_that_come_and_go_meanwhile_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"1234")
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for n in range(20):
                (tmp_path / f"feedback.db-{n}").touch()
            for n in range(20):
                (tmp_path / f"feedback.db-{n}").unlink()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        assert {size_of(tmp_path) for _ in range(500)} == {4}
    finally:
        ended.set()
        other.join()
