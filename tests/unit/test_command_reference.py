"""docs/commands.md is what the commands say of themselves."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_of_commands_is_current() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "command_reference.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), (
        "Expected docs/commands.md to be as the commands are: run .venv/bin/python scripts/command_reference.py"
    )


def test_the_reference_names_every_option_with_its_default() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert "## recsys items list" in page
    assert "| `-k`, `--limit` | How many to show at most. | `20` |" in page
    assert "| `--publish`, `--no-publish` | Publish every user's list anew. | on |" in page
    assert "| `USER` | The user who dislikes it; `recsys users` lists users. | required |" in page
