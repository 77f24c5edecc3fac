"""`recsys import` as a person types it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate

SHIPPED = Path(__file__).resolve().parents[3] / "data" / "movietweetings"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings.under(tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    migrate(settings.database_url)
    return settings


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.csv"
    file.write_text("user_id,item_id,occurred_at,label,colour[x]\nu,x,2024-01-01,like,red\nv,x,2024-01-02,dislike,\n")
    return file


def test_interactions_print_a_report(settings: Settings, own: Path) -> None:
    result = CliRunner().invoke(app, ["import", "interactions", str(own)])
    assert result.exit_code == 0, result.output
    table = {
        line.split("│")[1].strip(): line.split("│")[2].strip() for line in result.stdout.splitlines() if "│" in line
    }
    assert table.pop("time").endswith(" s")
    assert table == {
        "items": "0",
        "placeholder items, known from feedback only": "1",
        "likes": "1",
        "seen": "0",
        "dislikes": "1",
        "new or changed items": "1",
        "new feedback": "2",
        "from": "2024-01-01 00:00:00 UTC",
        "to": "2024-01-02 00:00:00 UTC",
        "columns not read": "colour[x]",
    }
    assert not result.stderr  # the progress bar is for terminals only
    with FeedbackStore.open(settings.database_url) as store:
        assert set(store.catalog.all_items()) == {"x"}


def test_dry_run_says_so(settings: Settings, own: Path) -> None:
    result = CliRunner().invoke(app, ["import", "interactions", str(own), "--dry-run"])
    assert "nothing: dry run" in result.stdout
    with FeedbackStore.open(settings.database_url) as store:
        assert not store.catalog.all_items()


def test_skipped_rows_are_counted(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,title\n1,One\n2,\n")
    refused = CliRunner().invoke(app, ["import", "items", str(file)])
    assert refused.exit_code == 2
    assert "line 3: title is missing" in refused.stderr
    result = CliRunner().invoke(app, ["import", "items", str(file), "--skip-bad-rows"])
    assert result.exit_code == 0
    assert "bad rows that are left out" in result.stdout


@pytest.mark.parametrize(
    ("command", "path", "message"),
    [
        ("movietweetings", "nowhere", "no such file"),
        ("movielens", "nowhere", "is not a MovieLens folder"),
        ("interactions", "nowhere.csv", "no such file"),
        ("items", "nowhere.txt", "has no known format"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(
    settings: Settings, tmp_path: Path, command: str, path: str, message: str
) -> None:
    result = CliRunner().invoke(app, ["import", command, str(tmp_path / path)])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "expected:" in result.stderr
    assert "Traceback" not in result.stderr


def test_thresholds_are_options(settings: Settings) -> None:
    options = ["--like-at-least", "10", "--dislike-at-most", "1", "--dry-run"]
    result = CliRunner().invoke(app, ["import", "movietweetings", str(SHIPPED), *options])
    assert "8,849" in result.stdout  # tens
    assert "838" in result.stdout  # ones and zeros
    overlap = CliRunner().invoke(app, ["import", "movietweetings", str(SHIPPED), "--dislike-at-most", "8"])
    assert overlap.exit_code == 2
    assert "--dislike-at-most < --like-at-least" in overlap.stderr


@pytest.mark.parametrize("command", ["movietweetings", "movielens", "interactions", "items"])
def test_help_names_columns_and_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["import", command, "--help"])
    assert result.exit_code == 0
    assert "--skip-bad-rows" in result.stdout
    if command in {"interactions", "items"}:
        assert "Needed columns" in result.stdout
