"""Each file of a home cut to half, emptied or removed: whoever reads it says which one it is and what to do.

One home that has served a night stands for all. A case damages one file, calls everything that reads it, and puts it back: what
reads a damaged file writes nothing. No call may end in anything but an error of ours.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from recsys import pipeline
from recsys.cli import app
from recsys.errors import RecsysError, TransientError
from recsys.pipeline.context import Context
from recsys.settings import Settings
from recsys.store.tables import artifact_digests
from tests.integration.command_line import Finished, _words, copy_home
from tests.integration.conftest import Champion
from tests.integration.small_stream import FIRST_AS_OF

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
USER = "u001"
ADVICE = ("from a backup", "start a new run", "run build_training_set", "run evaluate_challenger", "`recsys ")


@dataclass(frozen=True)
class Home:
    """A home with one batch, its judged fit and its refit, which is champion; and one whose refit waits to be promoted.

    Attributes:
        served: with a champion.
        waiting: the same before the promotion.
        batch_id: of the night.
        judged: version.
        refit: version.
        decision_id: of the gate's verdict.
    """

    served: Settings
    waiting: Settings
    batch_id: str
    judged: str
    refit: str
    decision_id: int

    def file(self, settings: Settings, name: str) -> Path:
        """A file by its name below the home, the batch's folder (`run/`) or a version's model (`judged/`, `refit/`)."""
        where, _, rest = name.partition("/")
        if where == "run":
            return settings.batch_folder(self.batch_id) / rest
        if where in ("judged", "refit"):
            with Context.open(settings) as context:
                location = context.registry.files.model_location(getattr(self, where))
            return Path(location.removeprefix("file://")) / rest
        return settings.home / name


@pytest.fixture(scope="module")
def home(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("damaged")
    served = copy_home(champion.settings.home, folder / "served")
    waiting = copy_home(champion.settings.home, folder / "waiting")
    with contextlib.closing(sqlite3.connect(waiting.home / "feedback.db")) as database:
        database.execute("DELETE FROM model_promotions")
        database.commit()
    with contextlib.closing(sqlite3.connect(waiting.home / "mlflow" / "mlflow.db")) as database:
        database.execute("DELETE FROM registered_model_aliases")
        database.commit()
    with Context.open(served) as context:
        (batch,) = context.store.backlog.list_batches()
        (decision,) = context.store.audit.list_decisions(step="decide_promotion")
    return Home(
        served, waiting, batch.batch_id, str(batch.challenger_version), str(batch.refit_version),
        int(decision.decision_id or 0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def old_home(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same, made before digests were kept."""
    folder = tmp_path_factory.mktemp("damaged-old")
    served, waiting = (copy_home(one.home, folder / one.home.name) for one in (home.served, home.waiting))
    for settings in (served, waiting):
        with Context.open(settings) as context:
            context.store.database.write(lambda connection: connection.execute(artifact_digests.delete()))
    return replace(home, served=served, waiting=waiting)


@dataclass(frozen=True)
class Reader:
    """Something that reads files.

    Attributes:
        name: for people.
        call: raises what it found, or gives what a command said.
        is_waiting: reads the home whose refit was not promoted yet.
        before: SQL on the feedback database, so that the step has its work before it.
    """

    name: str
    call: Callable[[Home], Finished | dict[str, Any]]
    is_waiting: bool = False
    before: str = ""


def command(*words: str) -> Reader:
    def call(home: Home) -> Finished:
        line = [word.format(decision=home.decision_id, user=USER) for word in words]
        done = CliRunner().invoke(app, line, env={"COLUMNS": "400", "TERM": "dumb"})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Finished(done.exit_code, done.stdout, done.stderr)

    return Reader(" ".join(words), call)


def step(name: str, *, is_waiting: bool = False, before: str = "", **arguments: str) -> Reader:
    def call(home: Home) -> dict[str, Any]:
        names = {"batch": home.batch_id, "judged": home.judged, "refit": home.refit}
        given = {key: names.get(value, value) for key, value in arguments.items()}
        return dict(getattr(pipeline, name)(**given))

    return Reader(name, call, is_waiting, before)


TO_REFIT = "UPDATE training_batches SET refit_version = NULL"
CHECK = command("models", "check")
STATUS, MODELS = command("status"), command("models")
SHOW = command("decisions", "show", "{decision}")
WHY = command("recommend", "{user}", "--counterfactuals")
BUILD, VALIDATE = step("build_training_set", batch_id="batch"), step("validate_training_set", batch_id="batch")
EVALUATE = step("evaluate_challenger", batch_id="batch")
DECIDE = step("decide_promotion", model_version="judged", run_id="again", now=NOW.isoformat())
REFIT = step("refit_challenger", is_waiting=True, before=TO_REFIT, model_version="judged")
PROMOTE = step("promote", is_waiting=True, model_version="refit", run_id="batch", now=NOW.isoformat())
PUBLISH = step("publish_recommendations", as_of=FIRST_AS_OF.isoformat(), now=NOW.isoformat())

MODEL_FILES = ("model.keras", "catalog.parquet", "recipe.json")
READERS: dict[str, tuple[Reader, ...]] = {
    **{
        f"run/training_set/{name}": (CHECK, BUILD, VALIDATE, EVALUATE, REFIT)
        for name in ("training_set.parquet", "histories.parquet", "neutral.parquet", "items.parquet", "digest.json")
    },
    **{f"run/judged/recommender/{name}": (CHECK, EVALUATE, REFIT) for name in MODEL_FILES},
    "run/judged/fit.json": (CHECK, REFIT),
    **{f"run/evidence/{name}": (CHECK, DECIDE, SHOW, REFIT) for name in ("evidence.json", "per_user.parquet")},
    **{f"refit/artifacts/recommender/{name}": (CHECK, PUBLISH, PROMOTE, WHY) for name in MODEL_FILES},
    "judged/artifacts/recommender/model.keras": (CHECK,),
    "refit/MLmodel": (CHECK,),
    "refit/pyfunc_model.py": (CHECK,),
    "run/candidates/{candidate}/trial.json": (CHECK, REFIT),
    "mlflow/mlflow.db": (CHECK, MODELS, PUBLISH, PROMOTE),
    "feedback.db": (CHECK, MODELS, STATUS, SHOW, WHY, PUBLISH, EVALUATE),
    "run/training_set": (CHECK, VALIDATE, EVALUATE, REFIT),
    "run/judged": (CHECK, EVALUATE, REFIT),
    "run/evidence": (CHECK, DECIDE, SHOW, REFIT),
    "refit/artifacts": (CHECK, PUBLISH, PROMOTE, WHY),
}
# Who finds out by parsing, where no digest is known.
PARSERS: dict[str, tuple[Reader, ...]] = {
    "run/training_set/": (VALIDATE, EVALUATE),
    "run/judged/recommender/": (EVALUATE,),
    "run/judged/fit.json": (REFIT,),
    "run/evidence/": (DECIDE, SHOW),
    "run/candidates/": (REFIT,),
    "refit/artifacts/recommender/": (PUBLISH, WHY),
}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path) -> None:
    shutil.rmtree(file) if file.is_dir() else file.unlink()


WAYS: dict[str, Callable[[Path], None]] = {"half": cut, "empty": empty, "gone": remove}
FOLDERS = ("run/training_set", "run/judged", "run/evidence", "refit/artifacts")
CASES = [(name, way) for name in READERS for way in (["gone"] if name in FOLDERS else WAYS)]


@contextlib.contextmanager
def damaged(file: Path, way: str, kept: Path) -> Iterator[None]:
    """Damages a file or folder, and puts it back."""
    shutil.rmtree(kept, ignore_errors=True)
    file.rename(kept)
    shutil.copytree(kept, file) if kept.is_dir() else shutil.copy2(kept, file)
    WAYS[way](file)
    try:
        yield
    finally:
        if file.exists():
            remove(file)
        kept.rename(file)


def outcome(reader: Reader, home: Home, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a reader said of a damaged file; only an error of ours, or a command that failed, will do."""
    settings = home.waiting if reader.is_waiting else home.served
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    raised: RecsysError | None = None
    try:
        done = reader.call(home)
    except RecsysError as error:
        raised = error
    if raised is not None:
        assert not isinstance(raised, TransientError), f"{reader.name}: trying again does not help: {raised}"
        return str(raised)
    assert isinstance(done, Finished), f"Expected {reader.name} to refuse, got {done}"
    assert done.code != 0, f"Expected {reader.name} to fail, it said: {done.out}"
    assert "as they were written" not in done.out
    assert "Traceback" not in done.err
    return _words(done.out) + _words(done.err)


@contextlib.contextmanager
def prepared(reader: Reader, home: Home) -> Iterator[None]:
    """Lets a step have its work before it; takes that back."""
    file = home.waiting.home / "feedback.db"
    if not reader.before:
        yield
        return
    kept = file.read_bytes()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(reader.before)
        database.commit()
    try:
        yield
    finally:
        file.write_bytes(kept)


def parsers(name: str) -> tuple[Reader, ...]:
    return next((readers for start, readers in PARSERS.items() if name.startswith(start)), ())


def require_refusal(
    reader: Reader, home: Home, name: str, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = home.waiting if reader.is_waiting else home.served
    candidates = settings.batch_folder(home.batch_id) / "candidates"
    file = home.file(settings, name.format(candidate=min(path.name for path in candidates.iterdir())))
    with prepared(reader, home), damaged(file, way, tmp_path / "kept"):
        said = outcome(reader, home, monkeypatch)
    assert file.name in said, f"{reader.name}: {said}"
    assert any(advice in said for advice in ADVICE), f"{reader.name}: {said}"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), CASES, ids=[f"{name}-{way}" for name, way in CASES])
def test_whoever_reads_a_damaged_file_names_it_and_says_what_to_do(
    name: str, way: str, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for reader in READERS[name]:
        require_refusal(reader, home, name, way, monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), [case for case in CASES if parsers(case[0]) and case[1] != "gone"])
def test_so_does_whoever_parses_one_that_was_made_before_digests(
    name: str, way: str, old_home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for reader in parsers(name):
        require_refusal(reader, old_home, name, way, monkeypatch, tmp_path)


def test_without_damage_the_check_finds_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in home.served.as_environment().items():
        monkeypatch.setenv(name, value)
    done = CHECK.call(home)
    assert isinstance(done, Finished)
    assert done.code == 0, done.out
    assert "all files as they were written" in done.out
    assert json.loads(json.dumps(pipeline.check_registry(NOW))) == {"findings": []}


@contextlib.contextmanager
def replaced(file: Path, change: Callable[[Path], None], kept: Path) -> Iterator[None]:
    """Lets somebody change a file so that it can still be read, and puts it back."""
    shutil.copy2(file, kept)
    change(file)
    try:
        yield
    finally:
        shutil.copy2(kept, file)


def negate(file: Path) -> None:
    import keras

    import recsys.model.additive  # noqa: F401  # tells Keras of its class

    model = keras.models.load_model(file)
    model.set_weights([-weights for weights in model.get_weights()])
    model.save(file)


def flip_labels(file: Path) -> None:
    examples = pd.read_parquet(file)
    examples.assign(label=1.0 - examples["label"]).astype(examples.dtypes).to_parquet(file, index=False)


@pytest.mark.slow
def test_a_champion_whose_weights_were_negated_serves_nobody(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Context.open(home.served) as context:
        before = context.store.lists.served_lists(USER)
    assert before is not None
    for reader in (PUBLISH, PROMOTE, CHECK, WHY):
        file = home.file(home.waiting if reader.is_waiting else home.served, "refit/artifacts/recommender/model.keras")
        with replaced(file, negate, tmp_path / "kept"):
            assert "model.keras" in outcome(reader, home, monkeypatch)
    with Context.open(home.served) as context:
        assert context.store.lists.served_lists(USER) == before
        assert len(context.store.audit.list_promotions()) == 1
    with Context.open(home.waiting) as context:
        assert context.store.audit.list_promotions() == []


@pytest.mark.slow
def test_nothing_is_made_from_a_frozen_set_whose_labels_were_flipped(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for reader in (BUILD, VALIDATE, EVALUATE, REFIT, CHECK):
        settings = home.waiting if reader.is_waiting else home.served
        file = home.file(settings, "run/training_set/training_set.parquet")
        with prepared(reader, home), replaced(file, flip_labels, tmp_path / "kept"):
            assert "training_set.parquet" in outcome(reader, home, monkeypatch)


@pytest.mark.slow
def test_a_frozen_set_that_was_changed_before_digests_were_kept_is_not_adopted(
    old_home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adopt = command("models", "check", "--adopt")
    file = old_home.file(old_home.served, "run/training_set/training_set.parquet")
    with replaced(file, flip_labels, tmp_path / "kept"):
        said = outcome(adopt, old_home, monkeypatch)
    assert "Expected a training set with the digest" in said
    assert "was not adopted" in said
    done = adopt.call(old_home)
    assert isinstance(done, Finished)
    assert (done.code, done.out.count("Recorded as it is now")) == (0, 1), "all else was adopted the first time"
