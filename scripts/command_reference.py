"""Writes docs/commands.md, the reference of all commands, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from recsys.cli import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
HEAD = """\
# Commands

Written by `.venv/bin/python scripts/command_reference.py` from the commands themselves; `recsys COMMAND --help` says the same.
"""


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    parts = [HEAD, _text(root.help)]
    parts += [_section(words, command) for words, command in _commands(root, "recsys") if words != "recsys"]
    return "\n".join(parts)


def _commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield words, command
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _commands(command.get_command(None, name), f"{words} {name}")


def _section(words: str, command: Any) -> str:
    is_group = hasattr(command, "list_commands")
    lines = [
        f"## {words}" + (" ..." if is_group and not command.invoke_without_command else ""),
        "",
        _text(command.help),
    ]
    if is_group:
        lines += [f"Below it: {', '.join(f'`{words} {name}`' for name in command.list_commands(None))}.", ""]
    if command.params:
        lines += ["| | | default |", "|---|---|---|", *(_row(param) for param in command.params), ""]
    return "\n".join(lines)


def _text(help_text: str | None) -> str:
    return inspect.cleandoc(help_text or "") + "\n"


def _row(param: Any) -> str:
    names = (
        [param.metavar or param.name.upper()]
        if param.param_type_name == "argument"
        else [*param.opts, *param.secondary_opts]
    )
    shown = ", ".join(f"`{name}`" for name in names)
    return f"| {shown} | {' '.join(str(param.help).split()).replace('|', ' or ')} | {_default(param)} |"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if isinstance(param.show_default, str):
        return param.show_default
    value = param.default() if callable(param.default) else param.default
    if value is True:
        return "on"
    return "" if value is None or value is False or value == "" else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
