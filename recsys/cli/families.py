"""The option that names model families."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from recsys.cli.tensorflow_loading import load_for
from recsys.training.recipe.recipe import FAMILIES

Families = Annotated[
    list[str] | None,
    typer.Option(
        "--family",
        help=f"Try only candidates of this family: {', '.join(FAMILIES)}, one that an installed package brings, or one of your "
        "own as package.module:Family. Repeat the option for several.",
    ),
]


def require_families(names: Iterable[str]) -> None:
    """Loads the families of a run before anything is written.

    Raises:
        InputError: if there is none of a name, or it cannot be imported.
    """
    from recsys.training.families.registry import find_family, installed_families

    for name in names:
        if name not in FAMILIES and (":" in name or name in installed_families()):
            load_for("try_candidate")  # what it imports is its own affair; TensorFlow's greeting is nobody's
        find_family(name)
