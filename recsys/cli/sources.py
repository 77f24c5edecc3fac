"""Where each command is: the table that `recsys --help` lists, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

LISTS, LOOP, LOOK, DATA, SERVING = (
    "Users, items and their lists", "The loop", "What happened", "Data", "Serving",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a command is.

    Attributes:
        module: below `recsys.cli`.
        name: the function, or the Typer application of a group, in that module.
        panel: of `recsys --help` that shows it.
    """

    module: str
    name: str
    panel: str

    def load(self, word: str) -> Any:
        """The command that `word` calls."""
        holder = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        holder.callback()(_nothing)  # with a callback, one command stays a command of a group
        found = getattr(import_module(f"recsys.cli.{self.module}"), self.name)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=word, rich_help_panel=self.panel)
        else:
            holder.command(word, rich_help_panel=self.panel)(found)
        return typer.main.get_command(holder).commands[word]  # type: ignore[attr-defined] # it is a group


def _nothing() -> None:
    """Holds a command until it is taken out."""


SOURCES = {
    "recommend": Source("status", "recommend", LISTS),
    "users": Source("users", "users", LISTS),
    "items": Source("catalog", "items", LISTS),
    "exclusions": Source("exclusions", "exclusions", LISTS),
    "dislike": Source("users", "dislike", LISTS),
    "undo": Source("users", "undo", LISTS),
    "status": Source("status", "status", LOOK),
    "decisions": Source("decisions", "decisions", LOOK),
    "models": Source("models", "models", LOOK),
    "patterns": Source("insight", "patterns", LOOK),
    "feedback-metrics": Source("insight", "feedback_metrics", LOOK),
    "drift": Source("insight", "drift", LOOK),
    "run": Source("run", "run", LOOP),
    "promote": Source("models", "promote", LOOP),
    "replay": Source("replays", "replay", LOOP),
    "step": Source("steps", "step", LOOP),
    "rollback": Source("models", "rollback", LOOP),
    "release": Source("status", "release", LOOP),
    "db": Source("status", "db", DATA),
    "import": Source("imports", "app", DATA),
    "storage": Source("home", "show_storage", DATA),
    "home": Source("home", "home", DATA),
    "brigading": Source("brigading", "brigading", DATA),
    "erase-user": Source("erasures", "erase_user", DATA),
    "erasures": Source("erasures", "erasures", DATA),
    "bring-back": Source("erasures", "bring_back", DATA),
    "serve": Source("serve", "serve", SERVING),
    "api-key": Source("api_keys", "api_key", SERVING),
}
