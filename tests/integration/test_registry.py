"""The registry on both kinds of MLflow: a store in this process, and a real server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.errors import InputError, NotFoundError, TerminalError, TransientError
from recsys.registry.errors import translated_errors
from recsys.registry.registry import Registry, VersionSpec
from tests.integration.forkserver import FORKSERVER
from tests.integration.step_processes import SECONDS, Point, die

HISTORIES = pd.DataFrame({"user_id": ["ann"], "item_id": ["i01"], "signal": ["like"], "weight": [1.0]})
MODEL_URI = "models:/feedback-recommender"


def make_spec(folder: Path, batch_id: str, **changes: Any) -> VersionSpec:
    """A spec whose files lie in `folder`; the recommender is a stand-in, since nothing here looks into it."""
    model, docs, data = folder / "model", folder / "docs", folder / "training_set.parquet"
    if not data.exists():
        for context in (model, docs / "static"):
            context.mkdir(parents=True)
        (model / "model.keras").write_bytes(bytes(range(256)) * 100)
        (model / "recipe.json").write_text("{}", encoding="utf-8")
        (docs / "index.html").write_text("<p>fine</p>", encoding="utf-8")
        (docs / "static" / "style.css").write_text("p {}", encoding="utf-8")
        (folder / "loss.png").write_bytes(b"plot")
        examples = {"user_id": ["ann", "bob"], "item_id": ["i01", "i02"], "label": np.array([1, 0], dtype="int8")}
        pd.DataFrame(examples).to_parquet(data)
    spec = VersionSpec(
        batch_id=batch_id,
        fit="judged",
        model_folder=model,
        params={"seed": 0, "half_life_days": 30.0, "groups": ["genre"]},
        metrics={"ndcg_at_10": 0.25, "loss": 1.5},
        tags={"trained_through": "2013-06-01T00:00:00+00:00", "as_of": "2013-06-02T00:00:00+00:00", "recipe": "r1"},
        training_set=data,
        dataset_digest="d1" * 32,
        artifacts={"data_docs": docs, "plots": folder / "loss.png"},
        description="# Challenger\n\n| metric | value |\n|---|---|\n| ndcg_at_10 | 0.25 |\n",
        input_example=HISTORIES,
        run_name="judged 2013-06-02",
    )
    return replace(spec, **changes)


@pytest.fixture(scope="module")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


def open_embedded(folder: Path) -> Registry:
    return Registry(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}", folder / "mlflow" / "artifacts")


@pytest.fixture(params=["embedded", "server"])
def registry(request: pytest.FixtureRequest, embedded_folder: Path, tmp_path: Path) -> Registry:
    if request.param == "server":
        return Registry(request.getfixturevalue("mlflow_server"), tmp_path / "unused")
    return open_embedded(embedded_folder)


@pytest.fixture
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> VersionSpec:
    return make_spec(tmp_path, f"scheduled__2013-06-02T02:00:00+00:00/{request.node.name}")


def open_client(registry: Registry) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=registry.connection.tracking_uri, registry_uri=registry.connection.tracking_uri)


def list_artifacts(client: Any, run_id: str, path: str | None = None) -> list[str]:
    found: list[str] = []
    for item in client.list_artifacts(run_id, path):
        found += list_artifacts(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(found)


def test_a_version_carries_everything_about_its_fit(registry: Registry, spec: VersionSpec) -> None:
    registry.ensure()
    version = registry.log_version(spec)
    assert isinstance(version, str)

    client = open_client(registry)
    registered = client.get_model_version("feedback-recommender", version)
    assert registered.status == "READY"
    assert registered.description == spec.description
    expected = {**spec.tags, "batch_id": spec.batch_id, "fit": "judged", "dataset_digest": "d1" * 32}
    assert expected.items() <= registry.versions.get_tags(version).items()

    run = client.get_run(registry.versions.run_id(version))
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "judged 2013-06-02"
    assert run.data.params == {"seed": "0", "half_life_days": "30.0", "groups": '["genre"]'}
    assert run.data.metrics == spec.metrics
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("training_set", ("d1" * 32)[:36])
    assert str(spec.training_set) in dataset.source
    logged = list_artifacts(client, run.info.run_id)
    assert logged == ["data_docs/index.html", "data_docs/static/style.css", "plots/loss.png"]
    model = client.get_logged_model(registry.versions.get_tags(version)["model_id"])
    assert {metric.key: metric.value for metric in model.metrics} == spec.metrics


HOSTILE_IDS = (
    "it's", 'a "quoted" night', "both ' and \"", "back\\slash'", "100 %'", "; DROP TABLE runs; --'", "Nacht für Ü's", "it_s",
    "back`tick", "' OR ''='", "a" * 250,
)  # fmt: skip


def test_an_id_with_any_character_finds_its_own_version_and_no_other(registry: Registry, spec: VersionSpec) -> None:
    """A retry finds what the first try logged: also of ids that mean something in MLflow's search language."""
    registry.ensure()
    own = spec.dataset_digest[:-32] + uuid.uuid4().hex  # of this test: the stores are shared
    specs = [replace(spec, batch_id=batch_id, dataset_digest=own, artifacts={}) for batch_id in HOSTILE_IDS]
    first = [registry.log_version(one) for one in specs]
    assert len(set(first)) == len(HOSTILE_IDS)
    assert [registry.log_version(one) for one in specs] == first
    assert [registry.versions.get_tags(version)["batch_id"] for version in first] == list(HOSTILE_IDS)


def test_the_stored_model_holds_source_and_pinned_requirements_but_no_pickle(
    registry: Registry, spec: VersionSpec, tmp_path: Path
) -> None:
    import mlflow.artifacts
    import mlflow.models

    version = registry.log_version(spec)
    stored = open_client(registry).get_model_version_download_uri("feedback-recommender", version)
    folder = Path(
        mlflow.artifacts.download_artifacts(
            stored, dst_path=str(tmp_path / "stored"), tracking_uri=registry.connection.tracking_uri
        )
    )
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pyc", ".cloudpickle"))]
    assert {"code/recsys/registry/pyfunc_model.py", "artifacts/recommender/model.keras", "input_example.json"} <= set(
        names
    )
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert f"keras=={installed_version('keras')}" in requirements
    assert all("==" in requirement for requirement in requirements)
    signature = mlflow.models.Model.load(str(folder)).signature
    assert signature.inputs.input_names() == ["user_id", "item_id", "signal", "weight", "reason", "age_days"]
    assert [(param.name, param.default) for param in signature.params] == [("k", 10)]


def test_the_same_fit_again_is_the_same_version(registry: Registry, spec: VersionSpec) -> None:
    version = registry.log_version(spec)
    assert registry.log_version(spec) == version
    refit = registry.log_version(replace(spec, fit="refit"))
    assert refit != version
    assert registry.log_version(replace(spec, fit="refit")) == refit


def test_another_attempt_with_other_parameters_replaces_the_half_finished_one(
    registry: Registry, spec: VersionSpec
) -> None:
    with pytest.raises(InputError, match="found nothing"):
        registry.log_version(replace(spec, artifacts={"plots": spec.training_set / "missing"}))
    version = registry.log_version(replace(spec, params={"seed": 1}))
    client = open_client(registry)
    assert client.get_run(registry.versions.run_id(version)).data.params == {"seed": "1"}
    assert len(find_runs(client, spec.batch_id)) == 1


def test_aliases_move(registry: Registry, spec: VersionSpec, request: pytest.FixtureRequest) -> None:
    first, second = registry.log_version(spec), registry.log_version(replace(spec, fit="refit"))
    registry.aliases.set_alias("candidate", first)
    registry.aliases.set_alias("candidate", second)
    assert registry.aliases.get_alias("candidate") == second
    assert registry.aliases.get_alias("nobody") is None
    assert f"/#/models/feedback-recommender/versions/{second}?" in registry.link(second)


def test_the_experiment_says_what_it_is_also_one_that_was_there_before(tmp_path: Path) -> None:
    client = open_client(open_embedded(tmp_path))
    open_embedded(tmp_path).connection.client.create_experiment("feedback-recommender")
    registry = open_embedded(tmp_path)
    for _ in range(2):
        registry.ensure()
    tags = client.get_experiment_by_name("feedback-recommender").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "fitted twice" in tags["mlflow.note.content"]
    client.update_registered_model("feedback-recommender", "what an older version of this code wrote")
    open_embedded(tmp_path).ensure()
    assert "| `champion`\u00a0" in client.get_registered_model("feedback-recommender").description


def test_a_run_says_what_started_it_instead_of_a_path(registry: Registry, spec: VersionSpec) -> None:
    version = registry.log_version(replace(spec, source="Airflow DAG feedback_retraining"))
    tags = open_client(registry).get_run(registry.versions.run_id(version)).data.tags
    assert tags["mlflow.source.name"] == "Airflow DAG feedback_retraining"
    assert tags["mlflow.source.type"] == "JOB"


def test_links_lead_where_a_browser_can_go(tmp_path: Path) -> None:
    path = (
        "/#/models/feedback-recommender/versions/3?workflowType=machine_learning"  # else it opens for language models
    )
    assert (
        Registry("http://mlflow:5000", tmp_path, "https://mlflow.example/").link("3") == f"https://mlflow.example{path}"
    )
    assert Registry("http://mlflow:5000", tmp_path).link("3") == f"http://mlflow:5000{path}"


def test_tags_description_and_evaluation_are_added_to_a_version(
    registry: Registry, spec: VersionSpec, tmp_path: Path
) -> None:
    version = registry.log_version(spec)
    report = tmp_path / "report.md"
    report.write_text("fine", encoding="utf-8")
    for _ in range(2):  # a retried step
        registry.versions.set_tags(version, {"verdict": "promote"})
        registry.describe(version, "# Promoted")
        registry.log_evaluation(version, {"recall_at_20": 0.5}, [report])

    client = open_client(registry)
    assert registry.versions.get_tags(version)["verdict"] == "promote"
    assert registry.versions.get_tags(version)["fit"] == "judged"
    assert client.get_model_version("feedback-recommender", version).description == "# Promoted"
    run_id = registry.versions.run_id(version)
    assert [point.value for point in client.get_metric_history(run_id, "recall_at_20")] == [0.5]
    assert "evaluation/report.md" in list_artifacts(client, run_id)


def test_a_download_is_the_whole_recommender(registry: Registry, spec: VersionSpec, tmp_path: Path) -> None:
    version = registry.log_version(spec)
    folder = registry.files.download(version, tmp_path / "cache")
    for name in ("model.keras", "recipe.json"):
        assert (folder / name).read_bytes() == (spec.model_folder / name).read_bytes()
    assert registry.files.download(version, tmp_path / "cache") == folder
    assert list((tmp_path / "cache").iterdir()) == [folder]


@pytest.mark.parametrize("version", ["999", "nine"])
def test_an_unknown_version_is_not_found(registry: Registry, version: str, tmp_path: Path) -> None:
    registry.ensure()
    for ask in (
        lambda: registry.versions.get_tags(version),
        lambda: registry.aliases.set_alias("champion", version),
        lambda: registry.describe(version, "text"),
        lambda: registry.versions.run_id(version),
        lambda: registry.files.download(version, tmp_path),
    ):
        with pytest.raises(NotFoundError, match=version):
            ask()


def test_a_name_that_mlflow_refuses_is_terminal(registry: Registry, spec: VersionSpec) -> None:
    with pytest.raises(TerminalError, match="ndcg@10"):
        registry.log_version(replace(spec, metrics={"ndcg@10": 0.1}))


def test_an_embedded_store_writes_nothing_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    registry = open_embedded(tmp_path / "home")  # neither folder nor database exists
    assert registry.aliases.get_alias("champion") is None
    version = registry.log_version(make_spec(tmp_path, "b1"))
    registry.log_evaluation(version, {"a": 1.0}, [])
    registry.aliases.set_alias("champion", version)
    registry.files.download(version, tmp_path / "cache")
    assert open_embedded(tmp_path / "home").aliases.get_alias("champion") == version
    assert list(current.iterdir()) == []


# Killed at any point, started again


def find_runs(client: Any, batch_id: str) -> list[Any]:
    experiment = client.get_experiment_by_name("feedback-recommender")
    return list(client.search_runs([experiment.experiment_id], f"tags.batch_id = '{batch_id}'"))


def log_and_die(home: Path, folder: Path, batch_id: str, method: str) -> None:
    """Runs in a child: dies as soon as MLflow has answered to `method`."""
    Point(f"mlflow:MlflowClient.{method}", "after").reach(die)
    open_embedded(home).log_version(make_spec(folder, batch_id))


@pytest.mark.parametrize(
    "method",
    [
        "create_run",
        "log_batch",
        "log_inputs",
        "create_logged_model",
        "log_model_artifacts",
        "finalize_logged_model",
        "create_model_version",
        "set_logged_model_tags",
    ],
)
def test_a_killed_attempt_is_finished_by_the_next(method: str, embedded_folder: Path, tmp_path: Path) -> None:
    registry = open_embedded(embedded_folder)
    registry.ensure()
    spec = make_spec(tmp_path, f"killed-after-{method}")
    killed = FORKSERVER.Process(target=log_and_die, args=(embedded_folder, tmp_path, spec.batch_id, method))
    killed.start()
    killed.join(SECONDS)
    assert killed.exitcode == -signal.SIGKILL

    version = registry.log_version(spec)

    client = open_client(registry)
    assert registry.log_version(spec) == version
    same = client.search_model_versions(f"name = 'feedback-recommender' and tags.batch_id = '{spec.batch_id}'")
    assert [str(found.version) for found in same] == [version]
    (run,) = find_runs(client, spec.batch_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == spec.metrics
    assert len(run.data.params) == len(spec.params)
    assert len(run.inputs.dataset_inputs) == 1
    assert len(client.get_metric_history(run.info.run_id, "loss")) <= 2  # one for each of the models it had
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert [(model.model_id, model.status.name) for model in models] == [(same[0].tags["model_id"], "READY")]
    assert set(spec.tags) <= set(registry.versions.get_tags(version))
    assert (registry.files.download(version, tmp_path / "cache") / "recipe.json").is_file()


# When MLflow or the disk is away


def test_a_server_that_is_not_there_is_transient(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens
        port = unused.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(TransientError, match="run the same step again"):
            Registry(f"http://127.0.0.1:{port}", tmp_path).aliases.get_alias("champion")
    assert time.monotonic() - started < 20


def test_a_server_that_hangs_is_transient(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, never answers
        started = time.monotonic()
        with pytest.raises(TransientError, match="timed out"):
            Registry(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path).ensure()
    assert time.monotonic() - started < 20


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections on to another port of this machine, until it is cut."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: int) -> None:
        self.target = target
        self.ends: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), RelayedConnection)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()
        for end in self.ends:
            with contextlib.suppress(OSError):  # closed already
                end.shutdown(socket.SHUT_RDWR)


class RelayedConnection(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as onward:
            self.server.ends += [self.request, onward]
            back = threading.Thread(target=self._pass, args=(onward, self.request))
            back.start()
            self._pass(self.request, onward)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one side is gone, which is what the test does to it
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(mlflow_server: str) -> Iterator[Relay]:
    server = Relay(int(mlflow_server.rsplit(":", 1)[1]))
    yield server
    server.cut()


def test_a_server_that_goes_away_midway_is_transient_and_the_next_attempt_finishes(
    relay: Relay, mlflow_server: str, tmp_path: Path
) -> None:
    spec = make_spec(tmp_path, "midway")
    registry = Registry(f"http://127.0.0.1:{relay.server_address[1]}", tmp_path)
    registry.ensure()
    relay.cut()
    started = time.monotonic()
    with pytest.raises(TransientError, match="run the same step again"):
        registry.log_version(spec)
    assert time.monotonic() - started < 20
    assert Registry(mlflow_server, tmp_path).log_version(spec).isdecimal()


@pytest.mark.thorough
@pytest.mark.slow  # MLflow waits for 20 s, which is not ours to set
def test_a_locked_store_is_transient(tmp_path: Path) -> None:
    registry = open_embedded(tmp_path)
    registry.ensure()
    database = tmp_path / "mlflow" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientError, match="locked"):
            registry.log_version(make_spec(tmp_path, "b1"))
        other.execute("ROLLBACK")
    assert registry.log_version(make_spec(tmp_path, "b1")) == "1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device"), TransientError),
        (ConnectionResetError(104, "Connection reset by peer"), TransientError),
        (PermissionError(13, "Permission denied"), TerminalError),
        (ValueError("ours"), ValueError),
        (InputError("ours"), InputError),
    ],
)
def test_errors_are_told_apart(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as raised, translated_errors("sqlite:///mlflow.db"):
        raise error
    assert type(raised.value) is expected


def test_a_file_that_is_no_database_is_terminal(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, but it is long enough to be read as one" * 50, "utf-8")
    started = time.monotonic()
    with pytest.raises(TerminalError, match="not a database"):
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path).ensure()
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": {"as_of": "2013-06-02"}}, "missing: trained_through"),
        ({"fit": "second"}, "'judged' or 'refit', got 'second'"),
        ({"batch_id": "it\ns"}, "Expected a run id"),
    ],
)
def test_a_wrong_spec_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        replace(make_spec(tmp_path, "b1"), **changes)


def test_an_address_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI to be sqlite:///FILE or http"):
        Registry("databricks", tmp_path).ensure()


# The real model, served by MLflow alone

SERVING_PROCESS = """
import json, sys
import pandas as pd
import mlflow.pyfunc

model = mlflow.pyfunc.load_model("models:/feedback-recommender@champion")
lists = model.predict(pd.read_parquet(sys.argv[1]), params={"k": 3})
import recsys
print(json.dumps({"lists": lists.to_dict("list"), "package": recsys.__file__}))
"""


@pytest.mark.slow
def test_a_fresh_process_serves_the_champion_without_this_checkout(tmp_path: Path) -> None:
    recommender = make_recommender()
    recommender.save(tmp_path / "recommender")
    histories = pd.DataFrame(
        {"user_id": ["ann", "ann", "bob"], "item_id": ["i00", "i01", "i02"], "signal": ["like", "dislike", "seen"],
         "weight": [1.0, 0.5, 1.0]}
    )  # fmt: skip
    home = tmp_path / "home"
    registry = open_embedded(home)
    spec = make_spec(tmp_path, "b1", model_folder=tmp_path / "recommender", input_example=histories)
    registry.aliases.set_alias("champion", registry.log_version(spec))
    histories.to_parquet(tmp_path / "histories.parquet")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    served = subprocess.run(
        [sys.executable, "-c", SERVING_PROCESS, str(tmp_path / "histories.parquet")],
        cwd=elsewhere,
        env=environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 0, served.stderr
    answer = json.loads(served.stdout.splitlines()[-1])
    assert Path(answer["package"]).is_relative_to(home)  # the copy in the version, not the checkout
    expected = recommender.recommend(histories, k=3)
    pd.testing.assert_frame_equal(pd.DataFrame(answer["lists"]), expected, check_dtype=False, check_exact=True)


def make_recommender() -> Any:
    from recsys.model.additive import AdditiveModel, Parts
    from recsys.model.linked_weights import Associations
    from recsys.model.recommender import Recommender

    rng = np.random.default_rng(7)
    model = AdditiveModel(12, 12, 2, (1.0, 30.0))
    genres = np.eye(2, dtype=np.float32)[rng.integers(2, size=12)]
    linked = rng.normal(scale=0.2, size=(3, 12, 12)).astype(np.float32)
    linked[:, np.arange(12), np.arange(12)] = 0
    known = [Associations.plain(matrix, 12) for matrix in linked]
    head = np.array([0.6, 0.4, 0.8, 0.4, 0.3, 0.2, 0.5, 0.7, 1.0], np.float32)
    regard = rng.uniform(0.5, 1.0, 12).astype(np.float32)
    trends = rng.random((2, 12)).astype(np.float32)
    model.set_parts(Parts(trends, *known, genres, genres.mean(axis=0), regard), head)
    ids = [f"i{number:02d}" for number in range(12)]
    catalog = pd.DataFrame({"item_id": ids, "title": ids, "genres": [("Drama",)] * 12})
    return Recommender(model, catalog, ("Comedy", "Drama"), {})
