"""Editors and the development container are set up as the linters and the tests expect it."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUFF, MYPY = PYPROJECT["tool"]["ruff"], PYPROJECT["tool"]["mypy"]
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
EDITOR = json.loads((ROOT / ".vscode/settings.json").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def editorconfig() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string("[preamble]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    return parsed


def test_lines_are_as_long_everywhere(editorconfig: configparser.ConfigParser) -> None:
    assert editorconfig.getboolean("preamble", "root")
    assert editorconfig.getint("*.py", "max_line_length") == RUFF["line-length"]
    assert editorconfig.getint("*.py", "indent_size") == RUFF.get("indent-width", 4)
    assert editorconfig["Makefile"]["indent_style"] == "tab"
    assert EDITOR["[python]"]["editor.rulers"] == [RUFF["line-length"], RUFF["lint"]["pycodestyle"]["max-line-length"]]


def test_the_container_has_the_oldest_python_that_the_code_is_checked_for() -> None:
    [version] = re.findall(r"^python:(\d+\.\d+\.\d+)-bookworm$", CONTAINER["image"])
    [deployed] = re.findall(r"^FROM python:([\d.]+)-", (ROOT / "docker/Dockerfile").read_text(encoding="utf-8"), re.M)
    assert version == deployed
    assert version in SpecifierSet(PYPROJECT["project"]["requires-python"])
    minor = ".".join(version.split(".")[:2])
    assert MYPY["python_version"] == minor
    assert RUFF["target-version"] == f"py{minor.replace('.', '')}"


def test_the_container_gets_what_the_tests_need() -> None:
    script, *packages = CONTAINER["onCreateCommand"].split()
    assert (ROOT / script).is_file()
    asked: list[str] = []
    for name in ("test_postgres.sh", "test_browser.sh"):
        text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
        [wanted] = re.findall(r"debian_install\.sh\" ([a-z -]+) \|\|", text)
        asked += wanted.split()
    assert packages == asked
    [target] = re.findall(r"\bmake ([.\w]+)", CONTAINER["postCreateCommand"])
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.M)


def test_the_container_forwards_the_ports_of_make_up() -> None:
    text = (ROOT / "scripts/up.py").read_text(encoding="utf-8")
    ports = [int(port) for port in re.findall(r"-port\", type=int, default=(\d+)", text)]
    assert CONTAINER["forwardPorts"] == ports
    assert sorted(map(int, CONTAINER["portsAttributes"])) == sorted(ports)


def test_the_editor_uses_the_tools_of_the_environment() -> None:
    [folder] = re.findall(r"^BIN := (.+)$", MAKEFILE, re.M)
    assert EDITOR["python.defaultInterpreterPath"] == f"${{workspaceFolder}}/{folder}/python"
    assert EDITOR["ruff.configuration"] == "${workspaceFolder}/pyproject.toml"
    for tool in ("ruff", "mypy-type-checker"):
        assert EDITOR[f"{tool}.importStrategy"] == "fromEnvironment"
    installed: list[Any] = CONTAINER["customizations"]["vscode"]["extensions"]
    assert EDITOR["[python]"]["editor.defaultFormatter"] in installed


def test_the_editor_finds_the_tests() -> None:
    assert EDITOR["python.testing.pytestEnabled"]
    for folder in EDITOR["python.testing.pytestArgs"]:
        assert (ROOT / folder).is_dir()
        assert folder.split("/")[0] in PYPROJECT["tool"]["pytest"]["ini_options"]["testpaths"]
