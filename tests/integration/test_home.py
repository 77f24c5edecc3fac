"""`RECSYS_HOME` moves: by our command, by `mv`, killed half-way; afterwards nothing names the old path and all works."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from recsys.config.run import RunConfig
from recsys.errors import ConflictError, InputError
from recsys.home import rewriting
from recsys.home.moving import move_home, repair_home
from recsys.home.rewriting import replacement
from recsys.pipeline.context import Context
from recsys.pipeline.monitoring.pruning import find_unneeded
from recsys.records import Batch, BatchStatus
from recsys.registry.local_store import MLFLOW_FILE, recorded_home
from recsys.run_ids import folder_name
from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.integration.command_line import copy_home, quick, recsys
from tests.integration.conftest import Champion
from tests.integration.forkserver import FORKSERVER
from tests.integration.small_stream import FAMILY, SECOND_AS_OF

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.now(UTC)


def mentions(folder: Path, path: Path) -> list[str]:
    """Files under a folder whose bytes hold a path."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return [str(file) for file in files if str(path).encode() in file.read_bytes()]


def require_working(settings: Settings) -> None:
    """What a person does with a home: looks at lists, at versions, at a verdict that is judged again."""
    assert quick(settings, "recommend", "u001", "--counterfactuals").code == 0
    listed = quick(settings, "models")
    assert (listed.code, "champion" in listed.out) == (0, True), listed.err
    with FeedbackStore.open(settings.database_url) as store:
        (decided,) = store.audit.list_decisions(step="decide_promotion")
    shown = quick(settings, "decisions", "show", str(decided.decision_id))
    assert shown.shows("the same verdict, reasons and numbers"), shown.out + shown.err


@pytest.fixture
def home(champion: Champion, tmp_path: Path) -> Settings:
    return copy_home(champion.settings.home, tmp_path / "old home")


@pytest.mark.slow
def test_a_home_moved_by_the_command_works_and_names_its_old_path_nowhere(home: Settings, tmp_path: Path) -> None:
    (home.home / "logs").mkdir()
    (home.home / "logs" / "latest").symlink_to(home.home / "logs" / "today")
    airflow = home.home / "airflow" / "airflow.cfg"
    airflow.parent.mkdir()
    airflow.write_text(f"[core]\ndags_folder = {home.home}/dags\nother = {home.home}-2/dags\n")
    airflow.chmod(0o600)
    new = Settings.under(tmp_path / "moved to" / "new")
    dry = quick(home, "home", "move", str(new.home), "--dry-run")
    assert (dry.code, dry.shows("would be rewritten"), new.home.exists()) == (0, True, False), dry.err
    done = quick(home, "home", "move", str(new.home))
    assert (done.code, done.shows(f"export RECSYS_HOME='{new.home}'"), home.home.exists()) == (0, True, False), done.err
    moved = new.home / "airflow" / "airflow.cfg"
    assert moved.read_text() == f"[core]\ndags_folder = {new.home}/dags\nother = {home.home}-2/dags\n"
    assert moved.stat().st_mode & 0o777 == 0o600
    moved.unlink()
    assert (new.home / "logs" / "latest").readlink() == new.home / "logs" / "today"
    assert mentions(new.home, home.home) == mentions(new.home, Path(quote(str(home.home)))) == []
    require_working(new)


@pytest.mark.slow
def test_a_home_moved_by_mv_is_refused_until_it_is_repaired_and_then_runs_a_night(
    home: Settings, tmp_path: Path
) -> None:
    new = Settings.under(tmp_path / "new")
    home.home.rename(new.home)
    refused = recsys(new, "models")
    assert refused.code == 1
    assert refused.says("run `recsys home repair`"), refused.err
    assert not home.home.exists(), "nothing is written to where it was"
    repaired = quick(new, "home", "repair")
    assert (repaired.code, mentions(new.home, home.home)) == (0, []), repaired.err
    require_working(new)
    night = quick(new, "run", "--as-of", SECOND_AS_OF.isoformat(), "--run-id", "second", "--family", FAMILY)
    assert night.code == 0, night.err
    assert night.shows(f"Data checks: {new.batch_folder('second')}/data_docs/index.html"), night.out
    assert not home.home.exists()
    with FeedbackStore.open(new.database_url) as store:
        batch = store.backlog.get_batch("second")
    folder = f"artifacts/{folder_name('second')}"
    assert (batch.training_set_uri, batch.data_docs_uri, batch.evidence_uri) == (
        f"{folder}/training_set", f"{folder}/data_docs/index.html", f"{folder}/evidence",
    )  # fmt: skip


@pytest.mark.slow
def test_a_home_from_before_relative_references_works_where_it_is_and_moved(home: Settings, tmp_path: Path) -> None:
    def make_absolute(text: str | None) -> str | None:
        return text and text.replace("artifacts/", f"{home.artifacts.as_uri()}/")

    with contextlib.closing(sqlite3.connect(home.home / "feedback.db")) as database, database:
        database.create_function("absolute", 1, make_absolute)
        for column in ("training_set_uri", "data_docs_uri", "evidence_uri"):
            database.execute(f"UPDATE training_batches SET {column} = absolute({column})")
        database.execute("UPDATE decisions SET numbers = absolute(numbers) WHERE step = 'decide_promotion'")
    require_working(home)
    assert mentions(home.home, Path(quote(str(home.artifacts)))), "it is an old home"
    new = Settings.under(tmp_path / "new")
    assert quick(home, "home", "move", str(new.home)).code == 0
    assert mentions(new.home, home.home) == mentions(new.home, Path(quote(str(home.home)))) == []
    require_working(new)


def test_a_home_from_before_keeps_the_folders_that_its_database_names(home: Settings) -> None:
    """They were named after the run's id, with `_` for whatever a name cannot hold: several runs could have the same."""
    with FeedbackStore.open(home.database_url) as store:
        (batch,) = store.backlog.list_batches()
    new, old = home.batch_folder(batch.batch_id), home.artifacts / re.sub(r"[^A-Za-z0-9_.-]", "_", batch.batch_id)
    new.rename(old)
    with contextlib.closing(sqlite3.connect(home.home / "feedback.db")) as database, database:
        for column in ("training_set_uri", "data_docs_uri", "evidence_uri"):
            query = f"UPDATE training_batches SET {column} = replace({column}, ?, ?)"
            database.execute(query, (f"/{new.name}/", f"/{old.name}/"))
        database.execute("UPDATE decisions SET numbers = replace(numbers, ?, ?)", (f"/{new.name}/", f"/{old.name}/"))
    require_working(home)
    with Context.open(home) as context:
        assert context.folder(batch.batch_id) == old
        assert context.folder(old.name) not in {old, new}, "an id that was mapped alike has a folder of its own"
        found = find_unneeded(home, context.store, datetime.now(UTC) + timedelta(days=400), days=30)
    assert {part.parent for part in found.of_runs.get(batch.batch_id, ())} <= {old}
    assert not new.exists()


def test_a_home_in_use_stays_where_it_is(home: Settings, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with (home.home / "up.lock").open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = quick(home, "home", "move", str(new))
    assert (refused.code, refused.says("run `make down` first")) == (3, True), refused.err
    lease = NOW + timedelta(hours=1)
    with FeedbackStore.open(home.database_url) as store:
        store.backlog.claim_backlog(Batch("night", NOW, NOW, None, BatchStatus.CLAIMED, 0, RunConfig(), NOW, lease))
    refused = quick(home, "home", "move", str(new))
    assert (refused.code, refused.says("`recsys release night`")) == (3, True), refused.err
    quick(home, "release", "night")
    taken = quick(home, "home", "move", str(home.home / "inside"))
    assert (taken.code, taken.says("it is inside the folder that moves")) == (2, True), taken.err
    new.mkdir()
    taken = quick(home, "home", "move", str(new))
    assert (taken.code, taken.says("something is there"), home.home.exists()) == (2, True, True), taken.err


def test_a_store_elsewhere_is_left_alone_and_said_so(home: Settings, mlflow_server: str, tmp_path: Path) -> None:
    server = Settings(home.home, home.database_url, mlflow_server)
    done = quick(server, "home", "move", str(tmp_path / "new"))
    assert (done.code, done.shows("left alone MLflow: MLFLOW_TRACKING_URI names another one")) == (0, True), done.err


def move_and_die(old: str, new: str, num_steps: int, way: str) -> None:
    """Moves a folder, in a process that is killed after so many steps.

    Args:
        way: `copies` acts as if the new path were on another file system.
    """
    left = num_steps

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **kwargs)

        return step

    def rename(self: Path, target: Path) -> Any:
        if way == "copies" and str(self) == old:
            raise OSError(errno.EXDEV, "another file system")
        return os.rename(self, target)

    for module, name in ((rewriting, "_rewrite_file"), (rewriting, "_rewrite_database"), (Path, "unlink")):
        setattr(module, name, dying(getattr(module, name)))
    setattr(Path, "rename", dying(rename))  # noqa: B010 - mypy forbids the assignment
    move_home(Path(old), Path(new))


def exit_code(*arguments: Any) -> int | None:
    process = FORKSERVER.Process(target=move_and_die, args=arguments)
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture
def plain_home(tmp_path: Path, empty_registry: Path, sqlite_template: Path) -> Path:
    """A home with both databases and some files that name it."""
    old = copy_home(empty_registry, tmp_path / "old").home
    shutil.copy(sqlite_template, old / "feedback.db")
    for name in ("MLmodel", "airflow.cfg"):
        (old / name).write_text(f"at {old}/mlflow and {old.as_uri()}/mlflow\n")
    (old / "model.bin").write_bytes(b"\xff\x00" + str(tmp_path).encode())
    return old


@pytest.mark.slow
@pytest.mark.parametrize("way", ["renames", "copies"])
def test_a_move_that_was_killed_anywhere_is_finished_by_running_it_again(
    plain_home: Path, tmp_path: Path, way: str
) -> None:
    new, num_kills = tmp_path / "new", 0
    shutil.copytree(plain_home, tmp_path / "kept")
    for num_steps in range(50):
        code = exit_code(str(plain_home), str(new), num_steps, way)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        num_kills += 1
        assert exit_code(str(plain_home), str(new), 999, way) == 0
        assert not plain_home.exists()
        assert {path.name for path in tmp_path.iterdir()} == {"kept", "new"}
        assert mentions(new, plain_home) == []
        assert sorted(path.name for path in new.iterdir()) == sorted(
            path.name for path in (tmp_path / "kept").iterdir()
        )
        shutil.rmtree(new)
        shutil.copytree(tmp_path / "kept", plain_home)
    assert num_kills > 4


def test_a_database_in_use_stops_the_move_which_then_goes_on(
    plain_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "BUSY_TIMEOUT_S", 0.01)
    new = tmp_path / "new"
    with contextlib.closing(sqlite3.connect(plain_home / "mlflow" / "mlflow.db")) as user:
        user.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConflictError, match=r"database is locked.*run the same command again"):
            move_home(plain_home, new)
    assert recorded_home(new / MLFLOW_FILE) == plain_home, "it still tells that it is not done"
    move_home(plain_home, new)
    assert recorded_home(new / MLFLOW_FILE) == new
    assert mentions(new, plain_home) == []


def test_a_copy_is_repaired_without_touching_the_original(plain_home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(plain_home, copy)
    moved = repair_home(copy)
    assert (moved.old, moved.new, moved.rewritten.files) == (plain_home, copy, 2)
    assert mentions(copy, plain_home) == []
    assert len(mentions(plain_home, plain_home)) == 3  # two files and MLflow's database
    assert repair_home(copy).rewritten.rows == 0


def test_services_do_not_start_on_a_folder_that_was_moved(
    plain_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from stack import Stack, StackError

    plain_home.rename(tmp_path / "new")
    started: list[subprocess.Popen[bytes]] = []
    with pytest.raises(StackError, match="run `recsys home repair`"):
        Stack(Settings.under(tmp_path / "new")).start(started)
    assert started == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/home", "/b c"),
        ("see /a/home.", "see /b c."),
        ("file:///a/home/x", "file:///b%20c/x"),
        ("sqlite:////a/home/feedback.db", "sqlite:////b c/feedback.db"),
        ('{"uri": "/a/home"}', '{"uri": "/b c"}'),
        ("/a/home-2/x", "/a/home-2/x"),
        ("/a/home.old/x", "/a/home.old/x"),
        ("/z/a/home/x", "/z/a/home/x"),
        ("/a/homework", "/a/homework"),
    ],
)
def test_only_the_path_itself_is_replaced(text: str, expected: str) -> None:
    assert replacement(Path("/a/home"), Path("/b c"))(text) == expected


def test_references_are_relative_to_the_home_and_absolute_outside_it(tmp_path: Path) -> None:
    settings = Settings.under(tmp_path / "a home")
    evidence = settings.batch_folder("night 1") / "evidence"
    name = f"artifacts/{folder_name('night 1')}/evidence"
    assert settings.reference(evidence) == name
    assert settings.locate(name) == settings.locate(evidence.as_uri()) == evidence
    outside = tmp_path / "somewhere" / "evidence"
    assert settings.locate(settings.reference(outside)) == outside
    evidence.mkdir(parents=True)
    elsewhere = Path("/gone") / name
    assert settings.locate(elsewhere.as_uri()) == evidence, "an old record of a home that was moved"


def test_nothing_to_move_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected a home folder to move, found none at .*: set RECSYS_HOME"):
        move_home(tmp_path / "none", tmp_path / "new")
    with pytest.raises(InputError, match=r"name it with --from OLD_FOLDER"):
        repair_home(tmp_path)
