"""CONTRIBUTING.md names what is there: every file, every room, and in the reader's walk every function."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)+)", TEXT, re.M))
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
NAMED = sorted(
    {
        name
        for name in re.findall(r"`([\w./-]+)`", TEXT)
        if (ROOT / name).exists() or name.split("/")[0] in FOLDERS or re.search(r"\.\w{2,4}$", name)
    }
)
STEP = re.compile(r"^\| (\d+) \| `([^`]+)` \| (?:`(\w+)`)? *\| .{10,} \|$", re.M)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    assert (ROOT / name).exists(), f"CONTRIBUTING.md names {name}, which is not there: name what took its place"


def test_enough_is_named() -> None:
    assert {"recsys/settings.py", "recsys/training/dataset/checks.py", "tests/integration/conftest.py"} <= set(NAMED)


def test_every_room_is_listed_once_and_every_listed_one_exists() -> None:
    rows = re.findall(r"^( {4,6})([\w.-]+/?) +\S", SECTIONS["Where things are"], re.M)
    top = [name for indent, name in rows if len(indent) == 4]
    rooms = [name for indent, name in rows if len(indent) == 6]
    for name in top:
        assert (ROOT / name).is_dir(), name
    found = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "recsys").iterdir()
        if (path / "__init__.py").is_file() or (path.suffix == ".py" and not path.name.startswith("__"))
    ]
    assert sorted(rooms) == sorted(found)


def test_the_walk_passes_at_most_twenty_files_each_with_the_function_that_it_names() -> None:
    steps = STEP.findall(SECTIONS["The reader's walk"])
    assert [int(number) for number, _, _ in steps] == list(range(1, len(steps) + 1))
    assert 10 <= len(steps) <= 20
    assert len({file for _, file, _ in steps}) == len(steps)
    assert (steps[0][2], steps[-1][2]) == ("record_dislike", "publish")
    for _, file, name in steps:
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            assert name in names_in(text), f"{file} has no {name} any more: name where the dislike goes now"


def names_in(text: str) -> set[str]:
    """Functions, classes and constants of a module."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
