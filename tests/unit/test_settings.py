from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsys import settings as module
from recsys.settings import ApiSettings, Settings, default_home, run_source, user_key_file


def test_everything_is_below_the_home_by_default(tmp_path: Path) -> None:
    found = Settings.from_environment({"RECSYS_HOME": str(tmp_path)})
    assert found == Settings.under(tmp_path)
    assert found.home == tmp_path
    assert found.database_url == f"sqlite:///{tmp_path}/feedback.db"
    assert found.tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert (found.artifacts, found.mlflow_artifacts) == (tmp_path / "artifacts", tmp_path / "mlflow" / "artifacts")


def test_services_are_named_by_their_own_variables(tmp_path: Path) -> None:
    named = {
        "RECSYS_HOME": str(tmp_path),
        "RECSYS_DATABASE_URL": "postgresql://db/x",
        "MLFLOW_TRACKING_URI": "http://m",
        "RECSYS_MLFLOW_PUBLIC_URL": "https://mlflow.example",
    }
    found = Settings.from_environment(named)
    assert (found.database_url, found.tracking_uri) == ("postgresql://db/x", "http://m")
    assert found.mlflow_link_url == "https://mlflow.example"
    assert found.as_environment() == named


def test_links_lead_to_mlflow_itself_unless_it_has_a_public_address(tmp_path: Path) -> None:
    named = {"RECSYS_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": "http://m"}
    assert Settings.from_environment(named).mlflow_link_url == "http://m"
    assert Settings.from_environment({**named, "RECSYS_MLFLOW_PUBLIC_URL": ""}).mlflow_link_url == "http://m"


@pytest.mark.parametrize(
    "name", ["RECSYS_HOME", "RECSYS_DATABASE_URL", "MLFLOW_TRACKING_URI", "RECSYS_MLFLOW_PUBLIC_URL"]
)
def test_an_empty_variable_counts_as_unset(tmp_path: Path, name: str) -> None:
    environment = {"RECSYS_HOME": str(tmp_path)}
    without = Settings.from_environment({key: value for key, value in environment.items() if key != name})
    assert Settings.from_environment({**environment, name: ""}) == without


def test_without_variables_a_checkout_has_its_own_var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).resolve().parents[2]
    assert default_home() == root / "var"
    assert Settings.from_environment({}).home == root / "var"


def test_an_installed_package_uses_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "PACKAGE_PARENT", tmp_path / "site-packages")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".local" / "share" / "recsys"


def test_a_relative_home_is_made_absolute_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    found = Settings.from_environment({"RECSYS_HOME": "here/../there"})
    assert found.home == tmp_path / "there"
    assert Settings.from_environment({"RECSYS_HOME": "~/recsys"}).home == Path("/somewhere/recsys")
    assert list(tmp_path.iterdir()) == []  # reading the settings makes nothing


def test_a_child_process_sees_the_same_places(tmp_path: Path) -> None:
    found = Settings.under(tmp_path)
    assert Settings.from_environment(found.as_environment()) == found


def test_use_changes_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.under(tmp_path).as_environment():
        monkeypatch.setenv(name, "before")
    Settings.under(tmp_path).use()
    assert Settings.from_environment() == Settings.under(tmp_path)
    assert os.environ["RECSYS_HOME"] == str(tmp_path)


def test_under_ignores_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECSYS_DATABASE_URL", "postgresql://db/x")
    assert Settings.under(tmp_path).database_url.startswith("sqlite:///")


def test_the_api_has_variables_of_its_own() -> None:
    assert ApiSettings.from_environment({}) == ApiSettings()
    assert ApiSettings.from_environment({"RECSYS_API_HOST": "", "RECSYS_JWT_SECRET": ""}) == ApiSettings()
    named = {
        "RECSYS_API_HOST": "::1",
        "RECSYS_API_PORT": "80",
        "RECSYS_JWT_SECRET": "s",
        "RECSYS_JWT_PUBLIC_KEY": "p",
        "RECSYS_JWT_AUDIENCE": "a",
        "RECSYS_JWT_ISSUER": "i",
        "RECSYS_RATE_LIMIT_URL": "redis://r",
        "RECSYS_RATE_LIMIT_PER_USER": "1/day",
        "RECSYS_RATE_LIMIT_PER_KEY": "2/day",
        "PROMETHEUS_MULTIPROC_DIR": "/m",
    }
    found = ApiSettings.from_environment(named)
    assert (found.host, found.port, found.metrics_folder) == ("::1", "80", "/m")
    assert (found.jwt_secret, found.jwt_public_key, found.jwt_audience, found.jwt_issuer) == ("s", "p", "a", "i")
    limits = (found.rate_limit_url, found.rate_limit_per_user, found.rate_limit_per_key)
    assert limits == ("redis://r", "1/day", "2/day")
    assert "redis" not in repr(found)


def test_workers_of_the_api_see_what_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    told = ApiSettings(port="0", rate_limit_per_key="none")
    told.use()
    assert ApiSettings.from_environment() == told
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ  # an empty one would switch the library over


@pytest.mark.parametrize(
    ("environ", "arguments", "source"),
    [
        ({"AIRFLOW_CTX_DAG_ID": "model_promotion"}, ["/x/recsys/__main__.py", "step"], "Airflow DAG model_promotion"),
        ({}, ["/x/bin/recsys", "run", "--force", "a reason"], "recsys run"),
        ({}, ["/x/recsys/__main__.py", "replay"], "recsys replay"),
        ({}, ["/x/bin/pytest", "tests"], "recsys.pipeline, called from Python"),
        ({}, [], "recsys.pipeline, called from Python"),
    ],
)
def test_a_run_comes_from_a_dag_or_a_command(environ: dict[str, str], arguments: list[str], source: str) -> None:
    assert run_source(environ, arguments) == source


def test_the_key_of_erased_users_is_beside_the_database_or_where_it_is_named(tmp_path: Path) -> None:
    environment = {"RECSYS_HOME": str(tmp_path / "home")}
    assert user_key_file(tmp_path / "elsewhere" / "feedback.db", environment) == tmp_path / "elsewhere" / "user.key"
    assert user_key_file(None, environment) == tmp_path / "home" / "user.key"
    named = {**environment, "RECSYS_USER_KEY_FILE": str(tmp_path / "secret")}
    assert {user_key_file(place, named) for place in (None, tmp_path / "feedback.db")} == {tmp_path / "secret"}
    assert user_key_file(None, {**environment, "RECSYS_USER_KEY_FILE": ""}) == tmp_path / "home" / "user.key"
