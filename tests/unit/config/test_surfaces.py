"""A setting stands once: what is added to `RunConfig` is there on the command line, in JSON, in documents and in old rows.

The forms of the DAGs are looked at in tests/dags/test_dag_structure.py.
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli.setting_options import takes_settings
from recsys.cli.sources import SOURCES
from recsys.config.run import RunConfig
from recsys.config.schema import json_schema
from recsys.config.setting import Setting, settings_of
from recsys.errors import InputError
from recsys.records import DislikeReason

PAGE = runpy.run_path(str(Path(__file__).resolve().parents[3] / "scripts" / "settings_reference.py"))


@dataclass(frozen=True, kw_only=True)
class Wider(RunConfig):
    """With a setting more."""

    patience: Annotated[
        int | None,
        Setting("Patience", "Nights to wait. It may be long.", "Model", minimum=1, maximum=9, unset="none at all"),
    ] = None


@pytest.fixture
def given() -> list[RunConfig]:
    return []


@pytest.fixture
def app(given: list[RunConfig]) -> typer.Typer:
    """A command that takes its settings and keeps them."""
    found = typer.Typer()

    @found.command()
    @takes_settings(config=Wider)
    def wait(*, config: RunConfig) -> None:
        """Wait."""
        given.append(config)

    return found


def test_it_is_an_option(app: typer.Typer, given: list[RunConfig]) -> None:
    command: Any = typer.main.get_command(app)
    (option,) = (param for param in command.params if param.name == "patience")
    assert (option.opts, option.help) == (["--patience"], "Nights to wait. Default: none at all.")
    for line in ([], ["--patience", "4", "--threshold", "3", "--family", "closed_form", "--family", "embedding"]):
        command(line, standalone_mode=False)
    assert given == [
        Wider(),
        Wider.from_dict({"patience": 4, "threshold": 3, "families": ["closed_form", "embedding"]}),
    ]
    refused = CliRunner().invoke(app, ["--patience", "10"])
    assert refused.exit_code == 2
    assert "less than or equal to 9" in refused.output


def test_it_is_in_json_and_in_what_a_batch_remembers() -> None:
    config = Wider(patience=2)
    assert config.as_dict()["patience"] == 2
    assert Wider.from_dict({"patience": 2}) == Wider.restored({"patience": 2, "more": 1}) == config
    assert Wider.restored({}).patience is None
    with pytest.raises(InputError, match=r"^Expected patience between 1 and 9, got 0\.$"):
        Wider.from_dict({"patience": 0})


def test_it_has_a_schema() -> None:
    assert json_schema(settings_of(Wider)[-1]) == {
        "type": ["null", "integer"], "minimum": 1, "maximum": 9, "title": "Patience",
        "description": "Nights to wait. It may be long. Empty: none at all.", "section": "Model",
    }  # fmt: skip


def test_it_is_in_the_documents() -> None:
    row = (
        "| `patience` | `--patience` | a whole number between 1 and 9 | empty | Nights to wait. It may be long. Empty: none at "
        "all. |"
    )
    assert row in PAGE["page"](Wider)


def test_the_reference_of_settings_is_current() -> None:
    assert PAGE["PAGE"].read_text(encoding="utf-8") == PAGE["page"](), (
        "Expected docs/settings.md to be as the settings are: run .venv/bin/python scripts/settings_reference.py"
    )


def test_the_table_of_reasons_is_current() -> None:
    text = PAGE["FEEDBACK"].read_text(encoding="utf-8")
    assert PAGE["with_reasons"](text) == text, "run .venv/bin/python scripts/settings_reference.py"
    assert all(f"| `{reason}` |" in text for reason in DislikeReason)


def test_a_run_has_an_option_for_each_setting() -> None:
    options = {param.name: param for param in SOURCES["run"].load("run").params}
    for setting in settings_of(RunConfig):
        parts = settings_of(setting.kind) if setting.is_object else (setting,)
        assert {part.name for part in parts} <= set(options)
        for part in parts:
            empty = part.default in ((), None)
            assert options[part.name].default in ((None, [], ()) if empty else (part.default,)), part.name
    own = {"as_of", "dry_run", "run_id", "as_json", "all_items"}
    rule = {part.name for setting in settings_of(RunConfig) if setting.is_object for part in settings_of(setting.kind)}
    assert set(options) == own | rule | {one.name for one in settings_of(RunConfig) if not one.is_object}


def test_a_field_that_is_no_setting_is_found_out_at_once() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Careless(RunConfig):
        nights: int = 3

    with pytest.raises(TypeError, match=r"Expected nights to be Annotated\[type, Setting"):
        settings_of(Careless)
