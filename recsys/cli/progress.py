"""Progress bars for commands that take a while; on stderr, and silent where stderr is no terminal.

Standard output stays what the command prints, so `--json` may be piped while a bar moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.cli.output import err
from recsys.foreign_text import visible

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def progress_bar() -> Progress:
    """A bar with the time so far, gone at the end."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), _described(26), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def counting_bar() -> Progress:
    """A bar that says how many of how many, and the time that is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), _described(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, disable=not err.is_terminal)


def _described(width: int = 0) -> ProgressColumn:
    """What the bar is at, as text: it may name what others named."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Described(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{visible(task.description):<{width}}" if width else visible(task.description))

    return Described()
