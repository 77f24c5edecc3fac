"""Commands print through one module, which makes text of others inert."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

import recsys
from recsys.cli import output, progress
from recsys.errors import InputError
from tests.unit.test_foreign_text import HOSTILE, steers

PACKAGE = Path(recsys.__file__).parent
PRINTERS = {PACKAGE / "cli" / "output.py", PACKAGE / "cli" / "progress.py"}
SAYS = {"print", "pprint", "input", "Console", "echo", "secho", "confirm", "prompt", "echo_via_pager", "rprint"}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path not in PRINTERS)


def printing(tree: ast.AST) -> list[str]:
    """Calls that print, and writes to the process's own streams."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of = node.func.value if isinstance(node.func, ast.Attribute) else None
            is_stream = isinstance(of, ast.Attribute) and of.attr in STREAMS and called.startswith("write")
            # a confirm of our own makes its question inert
            if (called in SAYS and not (called == "confirm" and of is None)) or is_stream:
                found.append(f"line {node.lineno}: {called}")
        elif isinstance(node, ast.ImportFrom) and node.module == "recsys.cli.output":
            found += [f"line {node.lineno}: {name.name}" for name in node.names if name.name in {"out", "err"}]
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            is_ours = {"confirm"} & {name.name for name in node.names} and names != ["recsys.cli.output"]
            found += [f"line {node.lineno}: {name}" for name in names if name.split(".")[0] == "rich" or is_ours]
    return found


def test_no_module_prints_around_it() -> None:
    assert PACKAGE / "cli" / "status.py" in MODULES
    assert {str(path): found for path in MODULES if (found := printing(ast.parse(path.read_text("utf-8"))))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "print(1)", "typer.echo(1)", "import rich", "from rich.table import Table", "sys.stdout.write('')",
        "Console().print(1)", "from recsys.cli.output import out", "from typer import confirm", "typer.confirm('')",
    ],
)  # fmt: skip
def test_printing_is_found(source: str) -> None:
    assert printing(ast.parse(source))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What both consoles print, as a terminal would get it but for colours of our own."""
    shown = io.StringIO()
    console = Console(file=shown, markup=False, highlight=False, emoji=False, width=400, no_color=True)
    monkeypatch.setattr(output, "out", console)
    monkeypatch.setattr(output, "err", console)
    return shown


def test_lines_paragraphs_and_tables_hold_it_as_text(screen: io.StringIO) -> None:
    output.say(HOSTILE)
    output.say_aside(HOSTILE)
    output.paragraph(HOSTILE)
    listed = output.table("name", HOSTILE, title=HOSTILE, right=[HOSTILE])
    listed.add_row("first", HOSTILE)
    listed.add_row(":smile:", [HOSTILE, "second line"])
    output.show(listed)
    lines = screen.getvalue().splitlines()
    assert steers("".join(lines)) == []
    assert sum(r"[/x]\x1b[31m\x9b1m\u202e\r\n- " in line for line in lines) == 7
    assert sum(":smile:" in line for line in lines) == 1
    assert lines[0].startswith("[/x]")
    assert not any(line.startswith("- ") for line in lines)
    assert any(line.strip("│ ") == "second line" for line in lines)


def test_an_error_keeps_its_own_lines_and_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_error(InputError(f"first\nsecond {HOSTILE[:30]!r}\x1b[2J" + "x" * 100_000))
    shown = capsys.readouterr().err
    assert [line.strip("│ ") for line in shown.splitlines()][1] == "first"
    assert set(steers(shown)) <= {"\n"}
    assert len(shown) < 20_000
    assert "characters)" in shown


@pytest.mark.parametrize("make", [progress.progress_bar, progress.counting_bar])
def test_a_progress_bar_holds_it_as_text(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, markup=False, width=200, color_system=None)
    monkeypatch.setattr(progress, "err", terminal)
    with make() as bar:  # type: ignore[operator] # one of two functions
        assert isinstance(bar, Progress)
        bar.add_task("[/x]\x1b]0;title\x07\x9b", total=2)
        bar.refresh()
    assert r"[/x]\x1b]0;title\x07\x9b" in shown.getvalue()
    assert "\x1b]0;" not in shown.getvalue()
    assert "\x07" not in shown.getvalue()
