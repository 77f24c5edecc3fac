"""What a command loads: in a fresh process, and counted in modules, not in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from recsys.settings import Settings
from tests.integration.conftest import Champion
from tests.integration.small_stream import FIRST_AS_OF, SECOND_AS_OF

# Loading any one of them takes from a fifth of a second to ten seconds.
LARGE = {
    "alembic", "duckdb", "fastapi", "great_expectations", "keras", "matplotlib", "mlflow", "pandas", "pyarrow", "requests",
    "scipy", "sklearn", "tensorflow",
}  # fmt: skip
PROGRAM = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules}))))
from recsys.cli import app
app()
"""


def loaded(settings: Settings, *arguments: str) -> tuple[str, set[str]]:
    """What `recsys ARGUMENTS` prints, and the packages that it has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env={**os.environ, **settings.as_environment()}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    said, _, packages = done.stdout.rstrip("\n").rpartition("\n")
    return said, set(json.loads(packages))


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help"), ("import", "movielens", "--help")])
def test_help_loads_no_library_of_the_loop(settings: Settings, words: tuple[str, ...]) -> None:
    said, packages = loaded(settings, *words)
    assert said.strip()
    assert packages & (LARGE | {"sqlalchemy", "numpy"}) == set()


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("users",), ("items",), ("decisions",), ("models",), ("models", "--at", "2024-03-29"), ("models", "check"),
        ("recommend", "u001"), ("brigading", "list"), ("erasures",), ("api-key", "list"), ("feedback-metrics",),
        ("drift", "--as-of", FIRST_AS_OF.isoformat()),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_question_to_the_database_loads_the_database_only(champion: Champion, words: tuple[str, ...]) -> None:
    said, packages = loaded(champion.settings, *words)
    assert said.strip()
    of_scores = {"numpy"} if words[0] == "recommend" else set()  # a list that feedback changes is computed
    assert packages & (LARGE | {"numpy"}) == of_scores
    assert "sqlalchemy" in packages


def test_drift_loads_the_model_where_something_is_new(champion: Champion) -> None:
    said, packages = loaded(champion.settings, "drift", "--as-of", SECOND_AS_OF.isoformat(), "--json")
    assert json.loads(said)["drifts"]
    assert {"tensorflow", "mlflow"} <= packages


def test_a_command_loads_no_other_commands_module() -> None:
    program = PROGRAM.replace('name.partition(".")[0]', "name")
    done = subprocess.run(
        [sys.executable, "-c", program, "users", "--help"], capture_output=True, text=True, check=True
    )
    own = {
        name.removeprefix("recsys.cli.") for name in json.loads(done.stdout.splitlines()[-1]) if "recsys.cli." in name
    }
    assert own == {"group", "options", "output", "sources", "users"}
