"""Every option that takes a time, with the first, the last and impossible ones: an answer or a refusal, no overflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.errors import InputError
from recsys.records import Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from recsys.times import parse_zoned_time
from tests.integration.test_cli import commands

TIMES = (
    "0001-01-01", "0001-01-01T00:00:00+23:59", "1969-12-31", "2200-01-01", "9999-12-31", "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31T23:59:59.999999",
)  # fmt: skip
EDGES = ("1970-01-01", "1970-01-01T00:00:00Z", "2199-12-31T23:59:59.999999+00:00")
# Command -> its words, with {} for the time; `run` and `replay` go on to train at a time that they take.
ASKING = {
    ("patterns", "as_of"): ("patterns", "--as-of", "{}"),
    ("feedback-metrics", "as_of"): ("feedback-metrics", "--as-of", "{}"),
    ("drift", "as_of"): ("drift", "--as-of", "{}"),
    ("decisions", "since"): ("decisions", "--since", "{}"),
    ("models", "at"): ("models", "--at", "{}"),
    ("items set", "available_from"): ("items", "set", "i", "--available-from", "{}"),
    ("items set", "available_until"): ("items", "set", "i", "--available-until", "{}"),
    ("run", "as_of"): ("run", "--as-of", "{}"),
    ("replay", "first"): ("replay", "--from", "{}", "--to", "2013-06-01"),
    ("replay", "last"): ("replay", "--from", "2013-06-01", "--to", "{}"),
    ("import movietweetings", "ends_on"): ("import", "movietweetings", "data/movietweetings", "--dry-run", "--ends-on", "{}"),
    ("import movielens", "ends_on"): ("import", "movielens", "data/movietweetings", "--dry-run", "--ends-on", "{}"),
    ("import interactions", "ends_on"): ("import", "interactions", "{file}", "--dry-run", "--ends-on", "{}"),
}  # fmt: skip
WORDS_OF_TIME = {"as_of", "since", "at", "first", "last", "ends_on", "available_from", "available_until"}


def takes_time(command: Any) -> list[str]:
    """Options of a command that take a time; `--last` of `undo` is a switch."""
    return [one.name for one in command.params if one.name in WORDS_OF_TIME and not one.is_flag]


def test_every_option_that_takes_a_time_is_tried() -> None:
    found = {(" ".join(path), name) for path, command in commands() for name in takes_time(command)}
    assert found == set(ASKING)


@pytest.fixture
def home(empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = Settings.under(tmp_path / "home")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([Item("i", "Film")])
    (tmp_path / "own.csv").write_text("user_id,item_id,occurred_at,label\nu,i,2020-01-01,like\n")
    return tmp_path


@pytest.mark.parametrize("asked", ASKING, ids=" ".join)
def test_no_time_overflows(home: Path, asked: tuple[str, str]) -> None:
    tried = TIMES if asked[0] in {"run", "replay"} or asked[1] == "ends_on" else TIMES + EDGES
    for at in tried:
        words = [word.replace("{file}", str(home / "own.csv")).replace("{}", at) for word in ASKING[asked]]
        done = CliRunner().invoke(app, words)
        assert done.exception is None or isinstance(done.exception, SystemExit), (at, done.exception)
        assert done.exit_code in ({0} if at in EDGES else {2}), (at, done.output)


@pytest.mark.parametrize("days", ["--days", "-1", "1e308", "inf", "nan", "36501"])
def test_no_number_of_days_overflows(home: Path, days: str) -> None:
    if days == "--days":
        assert CliRunner().invoke(app, ["storage", "--days", "36500"]).exit_code == 0
        return
    done = CliRunner().invoke(app, ["storage", "--days", days])
    assert done.exit_code == 2, done.output


@pytest.mark.parametrize("at", TIMES)
def test_steps_take_no_such_time_either(at: str) -> None:
    with pytest.raises(InputError, match="Expected a time"):
        parse_zoned_time(at)
