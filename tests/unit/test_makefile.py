"""`make` is the tour of the commands: each with a sentence and with what it costs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
COST = re.compile(r"-|(under |up to )?(\d+|a few) (s|min)")  # -: nobody has timed it


def test_make_lists_every_command_with_its_cost() -> None:
    [phony] = re.findall(r"^\.PHONY: (.+)$", TEXT, re.M)
    said = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = dict(re.findall(r"^  make (\S+) +(.+)$", said, re.M))
    assert set(rows) == {*phony.split(), ".venv"}
    for name, row in rows.items():
        cost, sentence = re.split(r" {2,}", row, maxsplit=1)
        assert COST.fullmatch(cost), f"{name}: expected seconds or minutes, got {cost!r}"
        assert len(sentence) > 10, name


def test_check_does_what_make_lint_does_and_then_tests_what_changed() -> None:
    def recipe(target: str) -> list[str]:
        [lines] = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", TEXT, re.M)
        return [line.strip().removeprefix("@") for line in lines.splitlines()]

    def tool(line: str) -> str:
        return " ".join(part for part in line.split() if not part.startswith("--"))

    *before, last = recipe("check")
    assert [tool(line) for line in before] == [tool(line) for line in recipe("lint")]
    assert "scripts/changed_tests.py" in last
