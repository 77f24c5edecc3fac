"""What MLflow shows of the version that serves: how it was judged, where it came from, and how to call it; of no real user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recsys.evaluation.reporting.tables import ROOM
from recsys.pipeline.context import Context
from tests.integration.conftest import Champion


@pytest.fixture(scope="module")
def served(champion: Champion) -> tuple[Any, Any, Any]:
    """MLflow's client, the champion's version and its run."""
    with Context.open(champion.settings) as context:
        client = context.registry.connection.client
        version = client.get_model_version_by_alias("feedback-recommender", "champion")
        return client, version, client.get_run(version.run_id)


def test_the_run_of_the_champion_has_what_was_measured_on_the_holdout(served: tuple[Any, Any, Any]) -> None:
    client, version, run = served
    judged = client.get_run(client.get_model_version("feedback-recommender", version.tags["judged_version"]).run_id)
    measured = {name: value for name, value in judged.data.metrics.items() if name.startswith("challenger_")}
    assert {"challenger_ndcg_at_10", "challenger_dislike_exposure_at_10", "challenger_auc"} <= set(measured)
    assert measured.items() <= run.data.metrics.items()
    assert run.data.metrics["holdout_users"] == judged.data.metrics["holdout_users"]
    assert run.data.metrics["rank_overlap_at_10"] > 0  # measured on the refit itself
    files = {item.path for item in client.list_artifacts(run.info.run_id, "evaluation")}
    assert {"evaluation/systems.md", "evaluation/systems.png", "evaluation/behaviour.json"} <= files
    assert run.data.tags["judged_version"] == version.tags["judged_version"] == "1"


def test_its_run_says_what_started_it(served: tuple[Any, Any, Any]) -> None:
    _, _, run = served
    assert run.data.tags["mlflow.source.name"] == "recsys run"
    assert run.data.tags["mlflow.source.type"] == "JOB"


def test_its_page_has_signature_and_an_example_of_nobody(served: tuple[Any, Any, Any], tmp_path: Path) -> None:
    from mlflow.artifacts import download_artifacts

    client, version, _ = served
    stored = client.get_model_version_download_uri("feedback-recommender", version.version)
    example = json.loads(Path(download_artifacts(f"{stored}/input_example.json", dst_path=str(tmp_path))).read_text())
    assert example["columns"] == ["user_id", "item_id", "signal", "weight", "reason", "age_days"]
    assert {row[0] for row in example["data"]} == {"example_user"}
    assert f'load_model("models:/feedback-recommender/{version.version}").predict' in version.description
    assert f"| example\\_user{ROOM} | " in version.description
    assert "signature" in Path(download_artifacts(f"{stored}/MLmodel", dst_path=str(tmp_path))).read_text()


def test_the_example_can_be_scored(served: tuple[Any, Any, Any], champion: Champion) -> None:
    import mlflow.pyfunc

    client, version, _ = served
    model = mlflow.pyfunc.load_model(client.get_model_version_download_uri("feedback-recommender", version.version))
    lists = model.predict(model.input_example, params={"k": 3})
    assert list(lists["user_id"]) == ["example_user"] * 3
    assert not set(lists["item_id"]) & set(model.input_example["item_id"])
