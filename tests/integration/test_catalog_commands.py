"""`recsys items set`, `recsys exclusions` and the options of `recsys run` that say what may be recommended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from recsys.cli.setting_options import takes_settings
from recsys.config.eligibility import EligibilityRule
from recsys.config.run import RunConfig
from recsys.errors import InputError
from recsys.records import Item
from recsys.settings import Settings
from recsys.store import FeedbackStore, migrate
from tests.integration.command_line import quick


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings.under(tmp_path / "home")
    migrate(settings.database_url)
    with FeedbackStore.open(settings.database_url) as store:
        store.catalog.upsert_items([Item("1", "Film [a]", ("Drama",), release_year=1999)])
    return settings


def test_an_item_is_changed_and_shown(home: Settings) -> None:
    changed = quick(
        home, "items", "set", "1", "--hidden", "--available-from", "2024-05-01", "--tag", "spring", "--tag", "cheap"
    )
    assert changed.code == 0, changed.err
    assert changed.shows("hidden, available from 2024-05-01 00:00 UTC, tags: spring, cheap")
    quick(home, "items", "set", "1", "--visible", "--available-from", "none", "--no-tags")
    shown = quick(home, "items", "show", "1")
    assert shown.shows("Film [a] (1999)")
    assert shown.shows("visible, available at any time, tags: none")
    found = json.loads(quick(home, "items", "show", "1", "--json").out)
    assert [change["is_hidden"] for change in found["changes"]] == [False, True]
    with FeedbackStore.open(home.database_url) as store:
        assert store.catalog.all_items()["1"] == Item("1", "Film [a]", ("Drama",), release_year=1999)
        assert abs((store.catalog.list_item_changes("1")[0].recorded_at - datetime.now(UTC)).total_seconds()) < 600


def test_what_cannot_be_changed_is_said(home: Settings) -> None:
    assert quick(home, "items", "set", "1").says("Expected something to change")
    assert quick(home, "items", "set", "1", "--tag", "a", "--no-tags").says("either --tag or --no-tags")
    unknown = quick(home, "items", "set", "2", "--hidden")
    assert (unknown.code, unknown.says("Expected an item of the catalog, got '2'")) == (1, True)


def test_a_user_excludes_and_takes_it_back(home: Settings) -> None:
    assert quick(home, "exclusions", "add", "u", "1").shows("Item 1 is excluded for user u since")
    listed = quick(home, "exclusions", "list", "u", "--json").out.splitlines()
    assert [json.loads(line)["item_id"] for line in listed] == ["1"]
    assert quick(home, "exclusions", "list", "u").shows("Film [a]")
    assert quick(home, "exclusions", "remove", "u", "1").code == 0
    assert quick(home, "exclusions", "list", "u").shows("User u excludes nothing.")


def rule_from(line: list[str]) -> EligibilityRule | None:
    """What a command with the options of a run takes from a line."""
    found: list[RunConfig] = []

    @takes_settings()
    def command(*, config: RunConfig) -> None:
        found.append(config)

    app = typer.Typer()
    app.command()(command)
    typer.main.get_command(app)(line, standalone_mode=False)
    return found[0].eligible


def test_options_of_a_run_make_a_rule() -> None:
    assert rule_from([]) is None  # whatever the champion may
    assert rule_from(["--all-items"]) == EligibilityRule()
    years = ["--min-year", "1990", "--max-year", "2011"]
    rule = rule_from([*years, "--genre", "Drama", "--genre", "Crime", "--without-tag", "adult"])
    assert rule == EligibilityRule(1990, 2011, ("Drama", "Crime"), without_tags=("adult",))
    with pytest.raises(InputError, match="Expected --all-items alone, got it with a rule"):
        rule_from(["--all-items", "--max-year", "2011"])
