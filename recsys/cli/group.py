"""The group of all commands: it loads a command when that is called, and turns errors into exit codes.

A command's module imports what its options need; what its work needs, its body imports. So `recsys status` loads neither
pandas nor MLflow, and the first words of `recsys --help` are there at once.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from recsys.cli.sources import SOURCES
from recsys.errors import ConflictError, InputError, RecsysError, TransientError, is_disk_full

EXIT_CODES = {InputError: 2, ConflictError: 3, TransientError: 75}  # 75: EX_TEMPFAIL, try again later


class Group(TyperGroup):
    """Commands by name, loaded on first use; errors of this package become one block on stderr and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the table, then those that were added to the application itself."""
        return [*SOURCES, *(name for name in self.commands if name not in SOURCES)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded if need be; None for an unknown name: then all are loaded, for Typer to suggest one."""
        missing = [cmd_name] if cmd_name in SOURCES else list(SOURCES)
        if cmd_name not in self.commands:
            self.commands.update({name: SOURCES[name].load(name) for name in missing})
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; anything but our own errors and the file system's keeps its traceback."""
        try:
            return super().invoke(ctx)
        except RecsysError as error:
            raise reported(error) from error
        except OSError as error:
            raise reported(_as_ours(error)) from error


def reported(error: RecsysError) -> typer.Exit:
    """Prints an error; gives the exit that goes with it."""
    from recsys.cli.output import show_error

    show_error(error)
    return typer.Exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))


def _as_ours(error: OSError) -> RecsysError:
    if is_disk_full(error):
        return TransientError(
            f"Expected room to write, but the disk is full ({error}). Nothing half-written is used: free space and run the "
            "same command again."
        )
    return InputError(f"Expected to read and write files, but: {error}. Check the path and who may use it.")
